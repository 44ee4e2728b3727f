"""compose.yaml before the real Compose, and health checks before the real programs."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from stack import parts, services
from stack.compose import files
from stack.credentials import Credentials
from stack.home import ROOT, Home
from stack.parts import PARTS, find
from stack.ports import Ports
from stack.system import System

BUILD_SECONDS = 3600
pytestmark = pytest.mark.timeout(BUILD_SECONDS)


@pytest.fixture(scope="module")
def docker_compose(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compose's own command line."""
    return _installed("compose", tmp_path_factory.mktemp("build")).binaries["docker-compose"]


def _installed(name: str, logs: Path) -> parts.Found:
    """A part; built into Weft's cache by the first run."""
    return parts.install(name, log=logs / f"{name}.log", progress=lambda _: None)


@pytest.fixture
def system(tmp_path: Path) -> System:
    """A system that was prepared for containers; nothing of it runs."""
    home = Home(tmp_path / "home")
    home.make()
    credentials = Credentials(home.secrets, Ports(10000))
    credentials.make([service.name for service in services.SERVICES])
    system = System(home, Ports(10000), credentials)
    services.remember(system, {"WEFT_ORDER_DEADLINE": "5s", "WEFT_API_KEYS": '[{"a": "$x"}]'})
    files.prepare(system)
    return system


def _config(
    docker_compose: Path, *options: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [docker_compose, "--file", ROOT / "compose.yaml", *options, "config"]
    return subprocess.run(
        [*command, "--format", "json"],
        env=environment or {"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def accepted(docker_compose: Path, system: System) -> dict[str, Any]:
    """compose.yaml as Compose understands it."""
    done = _config(docker_compose, "--env-file", str(files.variables_file(system)))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    project: dict[str, Any] = json.loads(done.stdout)
    return project


def test_compose_accepts_it_without_a_warning(accepted: dict[str, Any], system: System) -> None:
    assert accepted["name"] == files.project(system)
    assert {service.name for service in services.SERVICES} <= set(accepted["services"])


def test_without_what_weft_gives_it_says_how_to_start(docker_compose: Path) -> None:
    done = _config(docker_compose)
    assert done.returncode != 0
    assert "run it by weft up" in done.stderr


def test_each_file_that_a_container_is_given_is_there(accepted: dict[str, Any]) -> None:
    for secret in accepted["secrets"].values():
        assert Path(secret["file"]).is_file()
    for service in accepted["services"].values():
        for volume in service.get("volumes", []):
            assert volume["type"] == "volume" or Path(volume["source"]).exists()


def test_published_ports_are_the_moved_ones_on_loopback(accepted: dict[str, Any]) -> None:
    (gateway,) = accepted["services"]["gateway"]["ports"]
    assert (gateway["host_ip"], gateway["published"], gateway["target"]) == (
        "127.0.0.1",
        "18080",
        8080,
    )


@pytest.mark.parametrize(("said", "containers"), [("0", 0), ("true", 1)])
def test_traffic_has_a_container_unless_it_is_told_off(
    docker_compose: Path, system: System, said: str, containers: int
) -> None:
    services.choose_traffic(system, {"WEFT_TRAFFIC": said})
    files.prepare(system)
    done = _config(docker_compose, "--env-file", str(files.variables_file(system)))
    assert json.loads(done.stdout)["services"]["traffic"]["deploy"]["replicas"] == containers


def test_the_users_settings_reach_each_service_as_they_are(accepted: dict[str, Any]) -> None:
    for service in services.SERVICES:
        environment = accepted["services"][service.name]["environment"]
        assert environment["WEFT_ORDER_DEADLINE"] == "5s"
        assert environment["WEFT_API_KEYS"].replace("$$", "$") == '[{"a": "$x"}]'


@pytest.mark.parametrize("name", ["rabbitmq", "postgres", "valkey"])
def test_the_distributions_version_is_one_that_containers_may_have_too(name: str) -> None:
    package = "postgresql" if name == "postgres" else "|".join(PARTS[name].packages)
    listed = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    ).stdout
    versions = re.findall(
        rf"^installed (?:{package})(?:-\d+)? (?:\d+:)?([\d.]+\d)", listed, re.MULTILINE
    )
    if not versions:  # a release on the PATH or in WEFT_PARTS_DIR
        found = find(name)
        versions = [found.version] if found else []
    assert versions
    assert [version for version in versions if not PARTS[name].accepts(version)] == []


class _Answering(HTTPServer):
    status = 200
    asked: str = ""


class _Handler(BaseHTTPRequestHandler):
    server: _Answering

    def do_GET(self) -> None:
        self.server.asked = self.path
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(b"ready\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def answering() -> Iterator[_Answering]:
    """A server that answers as it is told."""
    with _Answering(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def _check(accepted: dict[str, Any], name: str, server: _Answering) -> list[str]:
    """A container's health check, aimed at `server`."""
    test: list[str] = accepted["services"][name]["healthcheck"]["test"][1:]
    there = f"127.0.0.1:{server.server_port}"
    return [re.sub(r"(127\.0\.0\.1|otel-collector):\d+", there, part) for part in test]


@pytest.mark.parametrize(
    ("name", "part", "path"),
    [
        ("loki", "loki", "/ready"),
        ("prometheus", "promtool", "/-/ready"),
        ("orders", None, "/readyz"),
        ("otel-collector-probe", None, "/"),
    ],
)
def test_a_health_check_tells_ready_from_not_ready(
    accepted: dict[str, Any],
    answering: _Answering,
    tmp_path: Path,
    name: str,
    part: str | None,
    path: str,
) -> None:
    check = _check(accepted, name, answering)
    program = Path(sys.executable)
    if part is not None:
        program = _installed(name, tmp_path).binaries[part]
    environment = {"WEFT_PORT": str(answering.server_port), "PATH": "/usr/bin:/bin"}

    def ended() -> int:
        return subprocess.run(
            [program, *check[1:]], env=environment, capture_output=True, timeout=60, check=False
        ).returncode

    assert ended() == 0
    assert answering.asked == path
    answering.status = 503
    assert ended() != 0
