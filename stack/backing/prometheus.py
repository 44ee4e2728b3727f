"""Prometheus: its configuration beside the files that name its targets."""

import shutil
from collections.abc import Iterator
from typing import Any, Final

from stack import services
from stack.home import ROOT, write, write_json
from stack.parts import Found
from stack.ports import BIND
from stack.probe import http_ok
from stack.program import Program
from stack.system import System

_BACKING: Final = {
    "otel-collector": "otel-collector-metrics",
    "jaeger": "jaeger-metrics",
    "loki": "loki",
    "alertmanager": "alertmanager",
    "prometheus": "prometheus",
}
"""Each backing part, and the port on which it gives its metrics."""


def program(system: System, found: Found) -> Program:
    url = system.ports.url("prometheus")
    return Program(
        id="prometheus",
        name="prometheus",
        kind="backing",
        port=system.ports.of("prometheus"),
        command=(
            found.binaries["prometheus"],
            f"--config.file={_folder(system) / 'prometheus.yml'}",
            f"--storage.tsdb.path={system.home.data('prometheus')}",
            "--storage.tsdb.retention.time=7d",
            "--storage.tsdb.retention.size=2GB",
            f"--web.listen-address={system.ports.address('prometheus')}",
            f"--web.external-url={url}",
            "--web.enable-otlp-receiver",
            # The second makes a series begin at 0: rate() counts its first events, too.
            "--enable-feature=exemplar-storage,created-timestamp-zero-ingestion",
            # A dead instance's pushed series are gone after three missed pushes.
            "--query.lookback-delta=15s",
            # What a dead Prometheus said last ends after four of these.
            "--rules.alert.resend-delay=10s",
            "--log.format=json",
        ),
        environment={"GOMEMLIMIT": "500MiB"},
        probe=http_ok(f"{url}/-/ready"),
        stop_seconds=30,
    )


def prepare(system: System, found: Found) -> None:
    """Copy its configuration to where its targets are: it looks for them beside itself."""
    del found
    system.home.data("prometheus").mkdir(mode=0o700, exist_ok=True)
    folder, source = _folder(system), ROOT / "prometheus"
    write(folder / "prometheus.yml", (source / "prometheus.yml").read_text(encoding="utf-8"))
    shutil.rmtree(folder / "rules", ignore_errors=True)
    shutil.copytree(source / "rules", folder / "rules")
    write_targets(system)


def write_targets(system: System) -> None:
    """Write the target files. Prometheus sees a change by itself."""
    ports = system.ports
    targets = _folder(system) / "targets"
    backing = [_target(ports.of(port), name) for name, port in _BACKING.items()]
    write_json(targets / "backing.json", backing)
    write_json(targets / "rabbitmq.json", [_target(ports.of("rabbitmq-metrics"), "rabbitmq")])
    write_json(targets / "alertmanager.json", [_target(ports.of("alertmanager"), "alertmanager")])
    write_json(targets / "services.json", list(_services(system)))


def _services(system: System) -> Iterator[dict[str, Any]]:
    counts = services.instances(system)
    for service in services.SERVICES:
        count = counts[service.name]
        # Instances that share a port are one target: the kernel chooses who answers.
        for instance in range(min(1, count) if service.shares_port else count):
            yield _target(services.port(system, service, instance), service.name, instance)


def _target(port: int, name: str, instance: int = 0) -> dict[str, Any]:
    labels = {
        "service_name": name,
        "service_namespace": "weft",
        "service_instance_id": f"{name}-{instance}",
    }
    return {"targets": [f"{BIND}:{port}"], "labels": labels}


def _folder(system: System) -> Any:
    return system.home.config / "prometheus"
