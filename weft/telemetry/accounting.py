"""What this process has told, by its own count: /metrics gives it, past the collector.

Beside what the backends have stored it shows whether something was lost on the way.
"""

from collections.abc import Mapping
from typing import Any, Final

from weft.telemetry.instruments import ALL

Records = Mapping[str, Mapping[Any, int]]
"""Outcome (started, adopted, sent, dropped) to signal (traces, logs) to a number."""

_own: Final[list[Records]] = []


def count(records: Records) -> None:
    """Let `records`, which go on counting, be this process' own, instead of any before."""
    _own[:] = [records]


def exposition(service: str) -> str:
    """Return the counts in the Prometheus text format; `service` is an escaped name.

    Nothing where the SDK counts, which tells no numbers.
    """
    told = [
        f'weft_accounting_records_total{{service="{service}",signal="{signal}",'
        f'outcome="{outcome}"}} {number}'
        for records in _own
        for outcome, signals in records.items()
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
