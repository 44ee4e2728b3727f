"""Alertmanager: its configuration beside the files that name whom it tells."""

from pathlib import Path
from typing import Final

from stack import services
from stack.home import ROOT, write
from stack.parts import Found
from stack.probe import http_ok
from stack.program import Program
from stack.system import System

_HOOK: Final = "/hooks/alertmanager"
_KEY: Final = "alerts-key"
TOLD: Final = ("notifier", "report_runner")
"""The services with the webhook."""


def program(system: System, found: Found) -> Program:
    url = system.ports.url("alertmanager")
    return Program(
        id="alertmanager",
        name="alertmanager",
        kind="backing",
        port=system.ports.of("alertmanager"),
        command=(
            found.binaries["alertmanager"],
            f"--config.file={_folder(system) / 'alertmanager.yml'}",
            f"--storage.path={system.home.data('alertmanager')}",
            f"--web.listen-address={system.ports.address('alertmanager')}",
            f"--web.external-url={url}",
            "--cluster.listen-address=",
            "--data.retention=120h",
            "--log.format=json",
        ),
        environment={"GOMEMLIMIT": "100MiB"},
        directory=_folder(system),  # its files name others from here
        probe=http_ok(f"{url}/-/ready"),
    )


def prepare(system: System, found: Found) -> None:
    """Copy its configuration to where its targets are."""
    del found
    system.home.data("alertmanager").mkdir(mode=0o700, exist_ok=True)
    folder = _folder(system)
    source = ROOT / "alertmanager" / "alertmanager.yml"
    write(folder / "alertmanager.yml", source.read_text(encoding="utf-8"))
    write_targets(system)


def write_targets(system: System) -> None:
    """Write whom it tells, and the key that they ask for."""
    targets = _folder(system) / "targets"
    for service in filter(services.find, TOLD):
        write(targets / service, system.ports.url(service) + _HOOK)
    write(targets / _KEY, system.credentials.password(_KEY))


def _folder(system: System) -> Path:
    return system.home.config / "alertmanager"
