"""What compose.yaml gives to a container is taken by the program in it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest
import yaml

from stack import parts, services
from stack.compose import files
from stack.credentials import Credentials
from stack.home import ROOT, Home
from stack.ports import Ports
from stack.system import System
from tests.ports import free_port

START_SECONDS = 120.0
STOP_SECONDS = 60.0
COLLECTOR = [f"--config={{}}/{name}.yaml" for name in ("config", "doors-usual", "today")]
pytestmark = pytest.mark.timeout(3600)  # a first run builds the parts


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what containers are given."""
    home = Home(tmp_path_factory.mktemp("home"))
    home.make()
    credentials = Credentials(home.secrets, Ports(0))
    credentials.make([service.name for service in services.SERVICES])
    system = System(home, Ports(0), credentials)
    services.remember(system, {})
    files.prepare(system)
    return files.folder(system)


@pytest.fixture(scope="module")
def containers(given: Path) -> dict[str, Any]:
    """compose.yaml's services, with the paths that they have on this machine."""
    text = (ROOT / "compose.yaml").read_text().replace("/run/secrets/", f"{given}/secrets/")
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    compose: dict[str, Any] = yaml.safe_load(text)
    return compose


def _environment(containers: dict[str, Any], name: str) -> dict[str, str]:
    own: dict[str, str] = containers["services"][name]["environment"]
    return {"PATH": os.environ["PATH"], **own}


def _accepts(command: list[str | Path], environment: dict[str, str], folder: Path) -> None:
    done = subprocess.run(
        command,
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "binary", "arguments"),
    [
        (
            "otel-collector",
            "otelcol",
            ["validate", *COLLECTOR, "--config={}/sampling-all.yaml"],
        ),
        (
            "otel-collector",
            "otelcol",
            ["validate", *COLLECTOR, "--config={}/sampling-tail.yaml"],
        ),
        ("jaeger", "jaeger", ["validate", "--config={}/config.yaml"]),
        ("loki", "loki", ["-config.file={}/config.yaml", "-config.expand-env", "-verify-config"]),
        ("alertmanager", "amtool", ["check-config", "{}/alertmanager.yml"]),
    ],
)
def test_a_parts_config_holds_with_its_containers_environment(
    containers: dict[str, Any], tmp_path: Path, name: str, binary: str, arguments: list[str]
) -> None:
    found = parts.install(name, log=tmp_path / "build.log", progress=lambda _: None)
    command = [argument.format(ROOT / name) for argument in arguments]
    _accepts([found.binaries[binary], *command], _environment(containers, name), tmp_path)


def test_prometheus_config_holds_with_the_targets_beside_it(
    containers: dict[str, Any], tmp_path: Path
) -> None:
    for one in containers["services"]["prometheus"]["configs"]:
        target = tmp_path / Path(one["target"]).relative_to("/etc/prometheus")
        target.parent.mkdir(exist_ok=True)
        content = containers["configs"][one["source"]]["content"]
        target.write_text(content)
        assert json.loads(content)
    (tmp_path / "rules").symlink_to(ROOT / "prometheus" / "rules")
    config = tmp_path / "prometheus.yml"
    config.write_text((ROOT / "prometheus" / "prometheus.yml").read_text())
    found = parts.install("prometheus", log=tmp_path / "build.log", progress=lambda _: None)
    command = [found.binaries["promtool"], "check", "config", config]
    _accepts(command, {"PATH": os.environ["PATH"]}, tmp_path)


@pytest.mark.parametrize("name", [service.name for service in services.SERVICES])
def test_a_service_takes_its_containers_settings_and_ends_when_told(
    containers: dict[str, Any], tmp_path: Path, name: str
) -> None:
    port = free_port()
    here = {"WEFT_BIND": "127.0.0.1", "WEFT_PORT": str(port), "PYTHONPATH": str(ROOT)}
    with (tmp_path / "log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", f"services.{name}"],
            env={**_environment(containers, name), **here},
            cwd=tmp_path,
            stderr=log,
        )
        try:
            _wait_for_life(process, port)
            process.send_signal(signal.SIGTERM)
            assert process.wait(STOP_SECONDS) == 0
        finally:
            process.kill()
            process.wait()
        log.seek(0)
        assert "is not set" not in log.read()


def _wait_for_life(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, "it ended by itself"
        connection = HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/healthz")
            assert connection.getresponse().status == 200
        except (OSError, HTTPException):
            assert time.monotonic() < deadline, "it does not answer"
            time.sleep(0.1)
        else:
            return
        finally:
            connection.close()
