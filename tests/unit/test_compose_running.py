"""The system in containers: which way is chosen, what is given, what is told of the containers."""

import json
import re
import stat
from pathlib import Path

import pytest

from stack import compose, parts, services
from stack.compose import engine, files
from stack.compose.inside import ContainerPorts, inside
from stack.credentials import Credentials, NoCredentialsError
from stack.home import Home
from stack.ports import Ports
from stack.status import Entry
from stack.system import System
from weft.settings import SettingsError

DOCKER = """\
#!/bin/sh
printf '%s\\n' "$*" >> {calls}
case "$*" in
    "compose version") exit {version} ;;
    "compose ls"*) echo "is the engine running?" >&2; exit {engine} ;;
    *" ps "*) cat {answer} ;;
    *" up "*) exit {up} ;;
esac
"""


@pytest.fixture
def system(tmp_path: Path) -> System:
    home = Home(tmp_path / "home")
    return System(home, Ports(5000), Credentials(home.secrets, Ports(5000)))


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Docker":
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    for name in ("WEFT_STACK", "WEFT_ORDER_DEADLINE"):
        monkeypatch.delenv(name, raising=False)
    return Docker(tmp_path)


class Docker:
    """A program of that name: it notes its arguments, and answers `ps` with what it is told."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.here()

    def here(self, *, version: int = 0, engine: int = 0, up: int = 0) -> None:
        """Put it on the PATH; the numbers are what its commands end with."""
        program = self._folder / "bin" / "docker"
        program.parent.mkdir(exist_ok=True)
        calls, answer = self._folder / "calls", self._folder / "answer"
        ends = {"version": version, "engine": engine, "up": up}
        program.write_text(DOCKER.format(calls=calls, answer=answer, **ends))
        program.chmod(0o755)
        answer.touch()

    def answers(self, *containers: dict[str, object]) -> None:
        text = "".join(json.dumps(one) + "\n" for one in containers)
        (self._folder / "answer").write_text(text)

    def calls(self) -> list[str]:
        lines = (self._folder / "calls").read_text().splitlines()
        return [line for line in lines if "--file" in line]


@pytest.mark.parametrize(("said", "chosen"), [("compose", True), ("native", False)])
def test_what_weft_stack_says_is_done(system: System, said: str, chosen: bool) -> None:
    assert compose.chosen(system, {"WEFT_STACK": said}) is chosen


def test_another_weft_stack_is_a_mistake(system: System) -> None:
    with pytest.raises(SettingsError, match=r"^WEFT_STACK is 'podman': expected one of"):
        compose.chosen(system, {"WEFT_STACK": "podman"})


@pytest.mark.parametrize("apt", [True, False])
def test_without_a_word_it_is_containers_where_there_is_no_apt(
    system: System, monkeypatch: pytest.MonkeyPatch, apt: bool
) -> None:
    def check_host() -> None:
        if not apt:
            raise parts.UnsupportedHost("this is Fedora")

    monkeypatch.setattr(parts, "check_host", check_host)
    assert compose.chosen(system, {}) is not apt


@pytest.mark.usefixtures("docker")
def test_a_system_that_was_started_in_containers_is_found_there(system: System) -> None:
    compose.up(system)
    assert compose.chosen(system, {})
    assert not compose.chosen(system, {"WEFT_STACK": "native"})


def test_up_waits_for_health_and_down_keeps_the_data(system: System, docker: Docker) -> None:
    compose.up(system)
    assert compose.down(system)
    up, down = docker.calls()
    assert up.endswith("up --build --detach --remove-orphans --wait --wait-timeout 600")
    assert f"--env-file {files.variables_file(system)}" in up
    assert down.endswith("down --remove-orphans")
    assert not compose.down(system)


def test_a_start_that_fails_is_told_with_its_code(system: System, docker: Docker) -> None:
    docker.here(up=17)
    with pytest.raises(compose.ComposeError, match="docker compose up ended with code 17"):
        compose.up(system)


@pytest.mark.parametrize(
    ("broken", "told"),
    [("version", "install a container engine"), ("engine", "is the engine running?")],
)
def test_without_compose_and_its_engine_nothing_is_written(
    system: System, docker: Docker, broken: str, told: str
) -> None:
    docker.here(**{broken: 1})
    with pytest.raises(compose.ComposeError, match=re.escape(told)):
        compose.up(system)
    assert not system.home.exists()


@pytest.mark.usefixtures("docker")
def test_a_folder_with_something_else_in_it_is_left_alone(system: System) -> None:
    system.home.path.mkdir()
    (system.home.path / "thesis.tex").touch()
    with pytest.raises(SettingsError, match="neither empty nor a home of Weft"):
        compose.up(system)


def test_logs_of_a_system_that_never_ran_are_not_looked_for(system: System) -> None:
    with pytest.raises(NoCredentialsError):
        compose.logs(system, ["orders"], lines=5, follow=False)


def test_logs_are_the_containers(system: System, docker: Docker) -> None:
    compose.up(system)
    compose.logs(system, ["orders"], lines=5, follow=True)
    assert docker.calls()[-1].endswith("logs --tail 5 --follow -- orders")


def test_a_container_is_what_its_state_and_its_health_say(system: System, docker: Docker) -> None:
    compose.up(system)
    port = {"TargetPort": 8080, "PublishedPort": 13080}
    docker.answers(
        _container("gateway", Health="healthy", Publishers=[port]),
        _container("orders", Health="starting", Status="Up 3 seconds (health: starting)"),
        _container("payments", State="exited", ExitCode=2),
        _container("inventory", State="restarting"),
        _container("rabbitmq", State="exited", ExitCode=0),
        _container("otel-collector"),
        _container("otel-collector-probe", Health="unhealthy"),
        _container("jaeger", Publishers=[{"TargetPort": 4317, "PublishedPort": 0}]),
    )
    told = {entry.name: entry for entry in compose.entries(system)}
    assert (told["gateway"].state, told["gateway"].port) == ("ready", 13080)
    assert told["gateway"].instance == 0
    assert told["orders"].state == "starting"
    assert told["orders"].detail == "Up 3 seconds (health: starting)"
    assert (told["payments"].state, told["payments"].detail) == ("failed", "ended with code 2")
    assert told["inventory"].state == "failed"
    assert told["rabbitmq"].state == "stopped"
    assert told["otel-collector"].state == "starting"
    assert (told["jaeger"].state, told["jaeger"].port) == ("ready", 4317)
    assert told["prometheus"].state == "stopped"
    assert "otel-collector-probe" not in told


def test_every_part_is_stopped_before_the_first_start(system: System) -> None:
    told: list[Entry] = compose.entries(system)
    assert {entry.state for entry in told} == {"stopped"}
    assert {service.name for service in services.SERVICES} <= {entry.name for entry in told}


def test_inside_a_part_is_called_by_its_name_on_its_usual_port(system: System) -> None:
    within = inside(system)
    assert within.ports == ContainerPorts()
    assert within.ports.url("jaeger") == "http://jaeger:16686"
    assert within.ports.address("otel-collector-http") == "otel-collector:4318"
    system.home.make()
    system.credentials.make(["orders"])
    outside = system.credentials.database_url("orders", "orders")
    expected = outside.replace("127.0.0.1:10432", "postgres:5432")
    assert within.credentials.database_url("orders", "orders") == expected


@pytest.mark.usefixtures("docker")
def test_what_containers_are_given_is_behind_a_folder_that_others_cannot_enter(
    system: System,
) -> None:
    compose.up(system)
    folder = files.folder(system) / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o644}
    assert "bind 0.0.0.0\nport 6379\n" in (folder / "valkey.conf").read_text()


@pytest.mark.usefixtures("docker")
def test_published_ports_move_with_the_base(system: System) -> None:
    compose.up(system)
    given = files.variables(system)
    assert given["WEFT_PUBLISHED_GATEWAY"] == "13080"
    assert given["WEFT_PUBLISHED_GRAFANA"] == "8000"


@pytest.mark.usefixtures("docker")
def test_a_person_is_told_only_of_addresses_that_are_reached(system: System) -> None:
    compose.up(system)
    told = compose.environment(system)
    assert told["WEFT_GATEWAY_URL"] == "http://127.0.0.1:13080"
    assert told["WEFT_GRAFANA_URL"] == "http://127.0.0.1:8000"
    assert not [name for name in told if "DATABASE" in name or "BROKER" in name]
    published = {value for name, value in files.variables(system).items() if "PUBLISHED" in name}
    addresses = [value for name, value in told.items() if name.endswith("_URL")]
    assert {address.rpartition(":")[2] for address in addresses} == published


def test_two_homes_are_two_projects(system: System, tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    second = System(other, Ports(0), Credentials(other.secrets, Ports(0)))
    assert files.project(system) == files.project(system) != files.project(second)


@pytest.mark.usefixtures("docker")
def test_the_users_settings_reach_the_services(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEFT_ORDER_DEADLINE", "5s")
    monkeypatch.setenv("WEFT_ENVIRONMENT", "staging")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=shop")
    compose.up(system)
    given = (files.folder(system) / "services.env").read_text().splitlines()
    assert "WEFT_ORDER_DEADLINE=5s" in given
    attributes = files.variables(system)["WEFT_RESOURCE_ATTRIBUTES"]
    assert attributes == "team=shop,deployment.environment.name=staging"


@pytest.mark.usefixtures("docker")
def test_a_setting_of_two_lines_is_refused(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_API_KEYS", "[\n]")
    with pytest.raises(SettingsError, match="WEFT_API_KEYS: expected one line"):
        compose.up(system)


def test_the_shells_variables_do_not_come_before_the_systems(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WEFT_PUBLISHED_GATEWAY", "1")
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "other")
    assert not {"WEFT_PUBLISHED_GATEWAY", "COMPOSE_PROJECT_NAME"} & set(engine._environment())


def _container(name: str, **more: object) -> dict[str, object]:
    usual = {"Service": name, "State": "running", "Health": "", "Publishers": None, "ExitCode": 0}
    return {**usual, **more}
