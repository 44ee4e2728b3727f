"""What the collector received, from the files that otel-collector/record.yaml has it write."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_LENGTH: Final = struct.Struct(">I")


def traces(folder: Path) -> Iterator[ExportTraceServiceRequest]:
    """Yield the requests with spans."""
    return map(ExportTraceServiceRequest.FromString, _requests(folder / "traces"))


def metrics(folder: Path) -> Iterator[ExportMetricsServiceRequest]:
    """Yield the requests with metrics."""
    return map(ExportMetricsServiceRequest.FromString, _requests(folder / "metrics"))


def logs(folder: Path) -> Iterator[ExportLogsServiceRequest]:
    """Yield the requests with log records."""
    return map(ExportLogsServiceRequest.FromString, _requests(folder / "logs"))


def _requests(path: Path) -> Iterator[bytes]:
    """The last one may be under way: it is left out."""
    with path.open("rb") as file:
        while len(head := file.read(_LENGTH.size)) == _LENGTH.size:
            [size] = _LENGTH.unpack(head)
            body = file.read(size)
            if len(body) == size:
                yield body
