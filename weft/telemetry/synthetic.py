"""Traffic that no customer made: marked in the baggage of its trace, so that every service knows.

A service leaves it out of its business metrics; technical metrics, spans and log lines stay. The
mark comes from a token with the scope SYNTHETIC: the edge drops the baggage of its callers, so that
no customer hides an order from the metrics.
"""

from opentelemetry import baggage, context
from opentelemetry.baggage import _BAGGAGE_KEY

SYNTHETIC = "synthetic"
"""The scope whose bearer's requests are synthetic."""

ATTRIBUTE = "weft.synthetic"
"""True on the spans and the canonical log lines of synthetic requests and messages."""


def is_synthetic() -> bool:
    """Tell whether what is in hand belongs to synthetic traffic."""
    # baggage.get_baggage copies the baggage first: eight times the cost, for every message.
    carried = context.get_value(_BAGGAGE_KEY)
    return isinstance(carried, dict) and carried.get(ATTRIBUTE) == "true"


def mark_synthetic(synthetic: bool = True) -> None:
    """Put the mark into the current context, or take it out, until the request in hand ends."""
    if synthetic == is_synthetic():
        return
    if synthetic:
        context.attach(baggage.set_baggage(ATTRIBUTE, "true"))
    else:
        context.attach(baggage.remove_baggage(ATTRIBUTE))
