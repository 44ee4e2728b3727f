"""Alertmanager."""

from stack.home import ROOT
from stack.parts import Found
from stack.probe import http_ok
from stack.program import Program
from stack.system import System


def program(system: System, found: Found) -> Program:
    url = system.ports.url("alertmanager")
    return Program(
        id="alertmanager",
        name="alertmanager",
        kind="backing",
        port=system.ports.of("alertmanager"),
        command=(
            found.binaries["alertmanager"],
            f"--config.file={ROOT / 'alertmanager' / 'alertmanager.yml'}",
            f"--storage.path={system.home.data('alertmanager')}",
            f"--web.listen-address={system.ports.address('alertmanager')}",
            f"--web.external-url={url}",
            "--cluster.listen-address=",
            "--data.retention=120h",
            "--log.format=json",
        ),
        environment={"GOMEMLIMIT": "100MiB"},
        probe=http_ok(f"{url}/-/ready"),
    )


def prepare(system: System, found: Found) -> None:
    del found
    system.home.data("alertmanager").mkdir(mode=0o700, exist_ok=True)
