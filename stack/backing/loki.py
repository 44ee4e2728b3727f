"""Loki."""

from stack.home import ROOT
from stack.parts import Found
from stack.ports import BIND
from stack.probe import http_ok
from stack.program import Program
from stack.system import System


def program(system: System, found: Found) -> Program:
    ports = system.ports
    return Program(
        id="loki",
        name="loki",
        kind="backing",
        port=ports.of("loki"),
        command=(
            found.binaries["loki"],
            f"-config.file={ROOT / 'loki' / 'config.yaml'}",
            "-config.expand-env=true",
        ),
        environment={
            "WEFT_LOKI_HOST": BIND,
            "WEFT_LOKI_HTTP_PORT": str(ports.of("loki")),
            "WEFT_LOKI_GRPC_PORT": str(ports.of("loki-grpc")),
            "WEFT_LOKI_DATA": str(system.home.data("loki")),
            "GOMEMLIMIT": "400MiB",
        },
        probe=http_ok(f"{ports.url('loki')}/ready"),
        stop_seconds=20,
    )


def prepare(system: System, found: Found) -> None:
    del found
    system.home.data("loki").mkdir(mode=0o700, exist_ok=True)
