"""The program that sends the backing parts' log files to the collector."""

import sys
from typing import Final

from stack.probe import fresh
from stack.program import Program
from stack.system import System

NAME: Final = "log-shipper"
SILENT_SECONDS: Final = 30.0
"""The shipper touches its file in every round, also while the collector is away."""


def program(system: System) -> Program:
    offsets = system.home.data(NAME) / "offsets.json"
    return Program(
        id=NAME,
        name=NAME,
        kind="backing",
        port=0,
        command=(sys.executable, "-m", "stack.log_shipper"),
        environment={
            "WEFT_LOGS": str(system.home.logs),
            "WEFT_OFFSETS": str(offsets),
            "WEFT_ENVIRONMENT": "local",
            "OTEL_EXPORTER_OTLP_ENDPOINT": system.ports.url("otel-collector-http"),
        },
        probe=fresh(offsets, SILENT_SECONDS),
    )
