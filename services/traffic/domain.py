"""What traffic buys, and when: pure."""

import itertools
from collections.abc import Iterator
from datetime import date
from typing import Final, NamedTuple

PACE: Final = 1.0
"""Seconds from one order to the next, on average."""
JITTER: Final = 0.5
"""An order comes earlier or later by this share of the pace at most."""
SKU: Final = "TRAFFIC-0001"
"""A product that only traffic buys."""
STOCK: Final = 500
PROBE_SKU: Final = "PROBE-0001"
"""A product that only the probe buys."""
PROBE_SECONDS: Final = 10.0
"""Seconds from one probe to the next."""
PROBE_DAY: Final = date(2000, 1, 1)
"""What the probe's report is about: a day without sales, so that it stays small."""
MOST_URGENT: Final = 9
"""The priority of the probe's report: how long customers wait is another objective."""
RESTOCK_EVERY: Final = 100
"""Orders: none of them but those for TOO_MANY finds the stock too small."""
TOO_MANY: Final = 1000
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 10.0
"""Seconds between two tries while the gateway is away."""


class Wish(NamedTuple):
    """A quantity of SKU, and the payment token."""

    quantity: int
    payment: str


_ROUND: Final = (
    Wish(1, "tok_ok"),
    Wish(2, "tok_declined"),
    Wish(3, "tok_ok"),
    Wish(TOO_MANY, "tok_ok"),
    *(Wish(quantity, "tok_ok") for quantity in (2, 1, 1, 3, 2, 1)),
)


def wishes() -> Iterator[Wish]:
    """Yield orders without end: of ten, one is declined and one is out of stock."""
    return itertools.cycle(_ROUND)


def until_next(pace: float, chance: float) -> float:
    """Return the seconds from one order's beginning to the next; `chance` is from 0 to 1."""
    return pace * (1 + JITTER * (2 * chance - 1))


def back_off(failures: int, chance: float) -> float:
    """Return the seconds to wait after so many failures in a row: doubled, with jitter."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 16))
    return longest * (0.5 + 0.5 * chance)
