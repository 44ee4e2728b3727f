"""Grafana, where its release is on this machine; it is never built."""

from pathlib import Path
from typing import Final

from stack.home import ROOT
from stack.parts import Found
from stack.ports import BIND
from stack.probe import http_ok
from stack.program import Program
from stack.system import System

ADMIN_PASSWORD: Final = "grafana-admin"  # noqa: S105 - the name of the secret's file
READER_PASSWORD: Final = "postgres-orders_reader"  # noqa: S105
"""The secret of the role that reads the views of orders, and can do nothing else."""
_PACKAGED: Final = Path("/usr/share/grafana")


def program(system: System, found: Found) -> Program:
    ports = system.ports
    data = system.home.data("grafana")
    return Program(
        id="grafana",
        name="grafana",
        kind="backing",
        port=ports.of("grafana"),
        command=(found.binaries["grafana"], "server", f"--homepath={_home(found)}"),
        environment={
            "GF_PATHS_DATA": str(data),
            "GF_PATHS_LOGS": str(data / "log"),
            "GF_PATHS_PLUGINS": str(data / "plugins"),
            "GF_PATHS_PROVISIONING": str(ROOT / "grafana" / "provisioning"),
            "GF_SERVER_HTTP_ADDR": BIND,
            "GF_SERVER_HTTP_PORT": str(ports.of("grafana")),
            # Grafana itself reads it; the variable that ends in __FILE is its image's alone.
            "GF_SECURITY_ADMIN_PASSWORD": _file(system, ADMIN_PASSWORD),
            "GF_AUTH_ANONYMOUS_ENABLED": "true",
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
            "WEFT_GRAFANA_DASHBOARDS": str(ROOT / "grafana" / "dashboards"),
            "WEFT_JAEGER_URL": ports.url("jaeger"),
            "WEFT_LOKI_URL": ports.url("loki"),
            "WEFT_PROMETHEUS_URL": ports.url("prometheus"),
            "WEFT_POSTGRES_ADDRESS": ports.address("postgres"),
            "WEFT_ORDERS_READER_PASSWORD": _file(system, READER_PASSWORD),
        },
        probe=http_ok(f"{ports.url('grafana')}/api/health"),
    )


def _file(system: System, secret: str) -> str:
    return f"$__file{{{system.credentials.path(secret)}}}"


def prepare(system: System, found: Found) -> None:
    del found
    system.home.data("grafana").mkdir(mode=0o700, exist_ok=True)


def _home(found: Found) -> Path:
    """The folder of a release, which its program stands in; Debian's package has them apart."""
    release = found.binaries["grafana"].resolve().parent.parent
    return release if (release / "conf" / "defaults.ini").exists() else _PACKAGED
