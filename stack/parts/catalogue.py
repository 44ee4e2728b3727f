"""The parts of the native run, in the order to install them in.

Debian's first: they take seconds. Then the collector, whose file queue keeps the telemetry
until the backends behind it are built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stack.parts.part import Binary, Part

if TYPE_CHECKING:
    from collections.abc import Mapping

_ALL = (
    Part(
        name="rabbitmq",
        kind="apt",
        version="3.10",
        below="5",
        packages=("rabbitmq-server",),
        folders=("/usr/lib/rabbitmq/bin",),
        binaries=(Binary("rabbitmq-server"), Binary("rabbitmqctl"), Binary("epmd")),
    ),
    Part(
        name="postgres",
        kind="apt",
        version="15",
        below="19",
        packages=("postgresql",),
        folders=("/usr/lib/postgresql/*/bin",),
        binaries=(Binary("postgres"), Binary("initdb"), Binary("pg_ctl"), Binary("psql")),
    ),
    Part(
        name="valkey",
        kind="apt",
        version="6.2",
        packages=("valkey-server", "redis-server"),
        folders=("/usr/bin",),
        binaries=(Binary("valkey-server", also=("redis-server",)),),
    ),
    Part(
        name="otel-collector",
        kind="go",
        version="0.161.0",
        revision=2,  # with the doors for Zipkin and Fluent Forward
        binaries=(Binary("otelcol", also=("otelcol-contrib",)),),
    ),
    Part(name="jaeger", kind="go", version="2.13.0", binaries=(Binary("jaeger"),)),
    Part(
        name="prometheus",
        kind="go",
        version="3.16.0",
        binaries=(Binary("prometheus"), Binary("promtool")),
    ),
    Part(
        name="alertmanager",
        kind="go",
        version="0.31.1",
        binaries=(Binary("alertmanager"), Binary("amtool")),
    ),
    Part(
        name="loki",
        kind="go",
        version="3.7.8",
        binaries=(Binary("loki", also=("loki-linux-amd64", "loki-linux-arm64")),),
    ),
    Part(  # checks compose.yaml where there is no container engine
        name="compose",
        kind="go",
        version="2.40.3",
        binaries=(Binary("docker-compose"),),
        on_demand=True,
    ),
    Part(  # the tests' browser
        name="chromium",
        kind="apt",
        version="120",
        packages=("chromium",),
        folders=("/usr/bin",),
        binaries=(Binary("chromium"),),
        on_demand=True,
    ),
    Part(name="grafana", kind="own", version="11", binaries=(Binary("grafana"),)),
)

PARTS: Mapping[str, Part] = {part.name: part for part in _ALL}
