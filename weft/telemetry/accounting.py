"""What this process has told, by its own count: /metrics gives it, past the collector.

Beside what the backends have stored it shows whether something was lost on the way.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final, Literal

from opentelemetry.metrics import CallbackOptions, Observation, get_meter

from weft.telemetry.instruments import ALL

Signal = Literal["traces", "logs"]
SIGNALS: tuple[Signal, ...] = ("traces", "logs")
Records = Mapping[str, Counter[Signal]]
"""Spans and log records by outcome (started, adopted, sent, dropped) and signal.

`adopted` is what another process has left.
"""

_own: Final[list[Records]] = []


def records() -> Records:
    """Return counts that begin with none."""
    outcomes = ("started", "adopted", "sent", "dropped")
    return {outcome: Counter(dict.fromkeys(SIGNALS, 0)) for outcome in outcomes}


def count(counted: Records) -> None:
    """Let `counted`, which go on counting, be this process' own; make a metric of them, too."""
    _own[:] = [counted]

    def observe(_: CallbackOptions) -> list[Observation]:
        return [
            Observation(number, {"signal": signal, "outcome": outcome})
            for outcome, signals in counted.items()
            for signal, number in signals.items()
        ]

    get_meter("weft").create_observable_counter(
        "weft.telemetry.records",
        [observe],
        "{record}",
        "Spans and log records: started, sent, dropped.",
    )


def exposition(service: str) -> str:
    """Return the counts in the Prometheus text format; `service` is an escaped name.

    No measurements where the SDK counts, which tells no numbers.
    """
    told = [
        f'weft_accounting_records_total{{service="{service}",signal="{signal}",'
        f'outcome="{outcome}"}} {number}'
        for counted in _own
        for outcome, signals in counted.items()
        for signal, number in signals.items()
    ]
    measurements = [
        f'weft_accounting_measurements_total{{service="{service}",metric="{each.name}"}} '
        f"{each.measured()}"
        for each in ALL
        if each.series
    ]
    lines = [
        *_counter("weft_accounting_records", "Spans and log records by this process.", told),
        *_counter("weft_accounting_measurements", "Measurements by this process.", measurements),
    ]
    return "".join(f"{line}\n" for line in lines)


def _counter(name: str, text: str, samples: list[str]) -> list[str]:
    if not samples:
        return []
    return [f"# HELP {name}_total {text}", f"# TYPE {name}_total counter", *samples]
