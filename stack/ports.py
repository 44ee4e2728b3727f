"""Which port each part listens on, and who has one that should be free."""

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import psutil

BIND: Final = "127.0.0.1"
INSTANCE_STEP: Final = 100
_BASES: Final = (10000, 5000, 12000, 7000, 15000)
_PORTS: Final = {
    "gateway": 8080,
    "orders": 8101,
    "inventory": 8102,
    "payments": 8103,
    "reports": 8104,
    "report_runner": 8105,
    "notifier": 8106,
    "host_agent": 8107,
    "card_provider": 8108,
    "traffic": 8109,
    "rabbitmq": 5672,
    "rabbitmq-management": 15672,
    "rabbitmq-metrics": 15692,
    "rabbitmq-distribution": 5673,
    "epmd": 4370,
    "postgres": 5432,
    "valkey": 6379,
    "otel-collector": 4317,
    "otel-collector-http": 4318,
    "otel-collector-zipkin": 9411,
    "otel-collector-fluent": 8006,
    "otel-collector-health": 13133,
    "otel-collector-metrics": 8888,
    "jaeger": 16686,
    "jaeger-query-grpc": 16685,
    "jaeger-otlp-grpc": 4327,
    "jaeger-otlp-http": 4328,
    "jaeger-health": 13134,
    "jaeger-metrics": 8889,
    "prometheus": 9090,
    "alertmanager": 9093,
    "loki": 3100,
    "loki-grpc": 9096,
    "grafana": 3000,
}


@dataclass(frozen=True)
class Ports:
    """The port of every part; `base` moves all of them up."""

    base: int

    def of(self, part: str, instance: int = 0) -> int:
        return _PORTS[part] + self.base + instance * INSTANCE_STEP

    def url(self, part: str) -> str:
        return f"http://{self.address(part)}"

    def address(self, part: str) -> str:
        return f"{BIND}:{self.of(part)}"

    def all(self) -> dict[str, int]:
        """Return every port by the part's name."""
        return {part: port + self.base for part, port in _PORTS.items()}

    def free_base(self) -> int | None:
        """Return another base under which every port is free now."""
        bases = (base for base in _BASES if base != self.base)
        return next((base for base in bases if not taken(Ports(base).all().items())), None)


@dataclass(frozen=True)
class Taken:
    """A port that is not free; `holder` is the process that has it, where that can be seen."""

    part: str
    port: int
    holder: str | None

    def __str__(self) -> str:
        by = f" by {self.holder}" if self.holder else ""
        return f"port {self.port} ({self.part}) is taken{by}"


def taken(ports: Iterable[tuple[str, int]]) -> list[Taken]:
    """Return those of `ports` (part, port) that nothing can be bound to now."""
    return [Taken(part, port, holder(port)) for part, port in ports if not _free(port)]


def holder(port: int) -> str | None:
    """Return name and pid of the process that listens on `port`, if that may be seen."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.Error:
        return None
    for connection in connections:
        if connection.status != psutil.CONN_LISTEN or not connection.pid:
            continue
        if connection.laddr and connection.laddr[1] == port:
            return _process_name(connection.pid)
    return None


def _process_name(pid: int) -> str | None:
    try:
        return f"{psutil.Process(pid).name()} (pid {pid})"
    except psutil.Error:
        return f"pid {pid}"


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((BIND, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True
