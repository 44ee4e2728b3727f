"""All three signals of a service, behind one seam (`record`) and the OpenTelemetry API."""

from weft.telemetry import record
from weft.telemetry.calls import fact
from weft.telemetry.context import attach, current_carrier, detach, untraced
from weft.telemetry.log import Log, get_logger
from weft.telemetry.metrics import (
    Readings,
    Values,
    counter,
    gauge,
    histogram,
    observed_counter,
    observed_up_down_counter,
    up_down_counter,
)
from weft.telemetry.synthetic import SYNTHETIC, is_synthetic, mark_synthetic
from weft.telemetry.tracing import traced

__all__ = [
    "SYNTHETIC",
    "Log",
    "Readings",
    "Values",
    "attach",
    "counter",
    "current_carrier",
    "detach",
    "fact",
    "gauge",
    "get_logger",
    "histogram",
    "is_synthetic",
    "mark_synthetic",
    "observed_counter",
    "observed_up_down_counter",
    "record",
    "traced",
    "untraced",
    "up_down_counter",
]
