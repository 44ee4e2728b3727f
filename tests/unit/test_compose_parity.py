"""compose.yaml runs what the native run does: parts, versions, ports, settings, health, files."""

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stack import backing, log_shipping, services
from stack.backing import alertmanager, prometheus, rabbitmq
from stack.compose import files, inside
from stack.compose.inside import ContainerPorts, host
from stack.credentials import Credentials
from stack.home import ROOT, Home
from stack.parts import PARTS, Found
from stack.ports import BIND, Ports
from stack.program import Program
from stack.system import System

NATIVE_ONLY = {
    "log-shipper",  # reads the parts' log files; containers write to the engine's
}
COMPOSE_ONLY = {
    "postgres-roles",  # what `weft up` does itself
    "data-owner",  # volumes have an owner of their own
    "otel-collector-probe",  # an image that nothing can be run in
}
NATIVE_SETTINGS = {
    # A container cannot tell who reaches its port; Compose's names lead to all instances.
    "gateway": {"WEFT_DEMO_USER", "WEFT_ADDRESSES"},
    # The image has its own folders, and its entrypoint says that it is supervised.
    "rabbitmq": {
        "HOME",
        "RUNNING_UNDER_SYSTEMD",
        "RABBITMQ_MNESIA_BASE",
        "RABBITMQ_LOG_BASE",
        "RABBITMQ_PID_FILE",
    },
    "grafana": {"GF_PATHS_DATA", "GF_PATHS_LOGS", "GF_PATHS_PLUGINS", "GF_PATHS_PROVISIONING"},
}
COMPOSE_SETTINGS = {
    "gateway": {"WEFT_JAEGER_PAGE", "WEFT_GRAFANA_PAGE"},  # the native parts have no pages
    # What natively are the arguments of initdb.
    "postgres": {
        "POSTGRES_USER",
        "POSTGRES_DB",
        "POSTGRES_PASSWORD_FILE",
        "POSTGRES_INITDB_ARGS",
    },
}
NATIVE_ARGUMENTS = {
    # The image has its own data folder, and is set up by its own socket.
    "postgres": {"-D", "postgres-18", "-cunix_socket_directories="},
    "grafana": {"server", "--homepath=grafana"},
}
PUBLISHED = {
    "gateway",
    "rabbitmq-management",
    "jaeger",
    "prometheus",
    "alertmanager",
    "loki",
    "grafana",
}
UNMOUNTED = ("builder.yaml", "record.yaml")  # of the native build, and of tests
CONFIGURED = ("alertmanager", "jaeger", "loki", "otel-collector", "prometheus", "rabbitmq")


def _interpolated(text: str) -> str:
    """As Compose does it with no variable set."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    return re.sub(r"\$\{(\w+)(:\?[^}]*)?\}", r"/given/\1", text).replace("$$", "$")


COMPOSE: dict[str, Any] = yaml.safe_load(_interpolated((ROOT / "compose.yaml").read_text()))
CONTAINERS: dict[str, dict[str, Any]] = COMPOSE["services"]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> System:
    """A system with secrets, of which nothing runs."""
    home = Home(tmp_path_factory.mktemp("home"))
    home.make()
    credentials = Credentials(home.secrets, Ports(0))
    credentials.make([service.name for service in services.SERVICES])
    return System(home, Ports(0), credentials)


@pytest.fixture(scope="module")
def programs(system: System) -> dict[str, Program]:
    """What the native run starts, by name; each service once."""
    parts = (
        Found(
            name=name,
            version="18.0",
            binaries={binary.name: Path("/bin", binary.name) for binary in PARTS[name].binaries},
            source="cache",
        )
        for name in (*backing.NAMES, *backing.OPTIONAL)
    )
    found = [backing.program(system, part) for part in parts]
    found += [log_shipping.program(system), *services.programs(system)]
    return {program.name: program for program in found}


def both(programs: dict[str, Program]) -> Iterator[tuple[str, Program, dict[str, Any]]]:
    for name, program in programs.items():
        if name in CONTAINERS:
            yield name, program, CONTAINERS[name]


def _same_way(value: str) -> str:
    """Without what has to differ: who listens or is called, and where a file lies."""
    value = re.sub(r"^\$__file\{(.*)\}$", r"\1", value)
    value = re.sub(r"(?<![\w.])[\w.-]+(?=:\d{4,5}\b)", "HOST", value)
    value = re.sub(r"(?:/[\w.*-]+)+/([\w.*-]+)$|^/([\w.-]+)$|(?<==)/([\w.-]+)$", _last, value)
    return re.sub(r"(?:(?<==)|^)(127\.0\.0\.1|0\.0\.0\.0|\*)$", "BIND", value)


def _last(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group is not None)


def test_the_same_parts_and_services_run_both_ways(programs: dict[str, Program]) -> None:
    assert set(programs) - NATIVE_ONLY == set(CONTAINERS) - COMPOSE_ONLY


@pytest.mark.parametrize("name", [name for name in PARTS if name in CONTAINERS])
def test_an_images_version_is_one_that_the_native_run_takes(name: str) -> None:
    tag = CONTAINERS[name]["image"].rpartition(":")[2].removeprefix("v")
    assert re.fullmatch(r"\d+(\.\d+)*(-management)?", tag)
    assert PARTS[name].accepts(tag.partition("-")[0])


@pytest.mark.parametrize(
    ("name", "known_as"),
    [("rabbitmq", "RabbitMQ"), ("postgres", "PostgreSQL"), ("valkey", "Valkey or Redis")],
)
def test_readme_names_the_versions_that_will_do(name: str, known_as: str) -> None:
    readme = (ROOT / "README.md").read_text()
    part = PARTS[name]
    last = f" to {int(part.below) - 1}" if part.below else " or later"
    assert f"{known_as} {part.version}{last}" in " ".join(readme.split())


def test_roles_are_set_up_for_the_version_of_the_image() -> None:
    images = {CONTAINERS[name]["image"] for name in ("postgres", "postgres-roles")}
    assert images == {f"postgres:{files.POSTGRES}"}


def test_every_port_is_the_same(system: System) -> None:
    owners = {"epmd": "rabbitmq"}
    for part, port in system.ports.all().items():
        container = CONTAINERS[owners.get(part, host(part))]
        sources = [one["source"] for one in container.get("configs", [])]
        configs = [COMPOSE["configs"][source]["content"] for source in sources]
        said = json.dumps([container, configs])
        assert re.search(rf"\b{port}\b", said), f"{part} {port}"


def test_only_the_gateway_and_operators_pages_are_reached_from_outside(system: System) -> None:
    known = {port: part for part, port in system.ports.all().items()}
    published = set()
    for name, container in CONTAINERS.items():
        for mapping in container.get("ports", []):
            address, outer, inner = mapping.split(":")
            assert (address, outer) == (BIND, inner)
            assert host(known[int(inner)]) == name
            published.add(known[int(inner)])
        networks = container.get("networks", [])
        assert ("edge" in networks) == ("ports" in container), name
    assert published == PUBLISHED
    assert COMPOSE["networks"]["private"] == {"internal": True}


def test_every_setting_is_the_same(programs: dict[str, Program]) -> None:
    for name, program, container in both(programs):
        native = dict(program.environment)
        contained = dict(container.get("environment", {}))
        for variable in NATIVE_SETTINGS.get(name, ()):
            del native[variable]
        for variable in COMPOSE_SETTINGS.get(name, ()):
            del contained[variable]
        if "WEFT_DEFINITIONS_DIGEST" in native:
            native["WEFT_DEFINITIONS_DIGEST"] = ""  # given by `weft up`
        if "WEFT_FAULTS" in native:
            native["WEFT_FAULTS"] = "false"  # so is this; compose.yaml by itself has no faults
        assert sorted(native) == sorted(contained), name
        for variable, value in native.items():
            if variable == "OTEL_RESOURCE_ATTRIBUTES":
                assert set(value.split(",")) == set(contained[variable].split(","))
            elif variable != "RABBITMQ_CONFIG_FILES":  # two folders with *.conf
                assert _same_way(value) == _same_way(contained[variable]), f"{name} {variable}"


def test_every_argument_is_the_same(programs: dict[str, Program]) -> None:
    for name, program, container in both(programs):
        native = " ".join(str(part) for part in program.command[1:])
        native = re.sub(r"-c (?=\w+=)", "-c", native)
        contained = [str(part) for part in container.get("command", [])]
        if program.kind == "service" or name in ("postgres", "valkey"):
            contained = contained[1:]
        if name == "postgres":  # its log_line_prefix has blanks
            parts = re.findall(r"-c\w+=.*?(?= -c|$)|-D|/\S+", native)
        else:
            parts = native.split()
        expected = {_same_way(part) for part in parts} - NATIVE_ARGUMENTS.get(name, set())
        assert expected == {_same_way(part) for part in contained}, name


def test_who_stands_back_where_cores_are_short_does_so_in_containers(
    programs: dict[str, Program],
) -> None:
    standing_back = {name for name, container in CONTAINERS.items() if "cpu_shares" in container}
    assert standing_back == {name for name, one in programs.items() if one.nice} == {"jaeger"}


def test_addresses_between_containers_lead_to_who_listens_there() -> None:
    ports = ContainerPorts()
    listening = {ports.address(part) for part in ports.all()}
    for name, container in CONTAINERS.items():
        for value in container.get("environment", {}).values():
            for address in re.findall(r"\b[a-z][\w-]*:\d{4,5}\b", value):
                assert address in listening, f"{name}: {address}"


def test_whatever_is_watched_natively_has_the_same_health_check(
    programs: dict[str, Program],
) -> None:
    for name, program, container in both(programs):
        watched = CONTAINERS.get(f"{name}-probe", container)
        test = " ".join(watched["healthcheck"]["test"])
        url = inspect.getclosurevars(program.probe).nonlocals.get("parts")
        if program.kind == "service":
            assert url.path == "/readyz"
            assert '"/readyz"' in test
            assert 'os.environ["WEFT_PORT"]' in test
        elif name == "rabbitmq":  # by the tool that asks the same of the node
            assert url.path == "/api/health/checks/port-listener/5672"
            assert test.endswith("check_port_listener 5672")
        elif name == "prometheus":
            assert url.path == "/-/ready"
            assert test == f"CMD promtool check ready --url=http://{url.netloc}"
        elif url is not None:
            assert url.path in test
            assert f":{url.port}" in test
        else:
            assert str(program.port) in test


def test_whatever_runs_on_is_asked_for_its_health_and_what_ends_is_waited_for() -> None:
    waited_for = {
        name
        for container in CONTAINERS.values()
        for name, how in container.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    for name, container in CONTAINERS.items():
        if name in waited_for:
            assert not {"restart", "healthcheck"} & set(container), name
        else:
            assert container["restart"] == "unless-stopped"
            assert "healthcheck" in container or f"{name}-probe" in CONTAINERS, name


def test_it_is_stopped_the_same_way(programs: dict[str, Program]) -> None:
    for name, program, container in both(programs):
        assert container["stop_grace_period"] == f"{program.stop_seconds}s", name
        assert container.get("stop_signal", "SIGTERM") == f"SIG{program.stop_signal}", name


def test_every_config_file_of_a_part_is_mounted_and_none_can_be_written() -> None:
    mounted = set()
    for container in CONTAINERS.values():
        for volume in container.get("volumes", []):
            source, _, mode = (
                volume.split(":") if volume.count(":") > 1 else (*volume.split(":"), "")
            )
            if source.startswith("/given/"):
                assert mode == "ro"
                continue
            if not source.startswith("./"):
                assert source in COMPOSE["volumes"]
                continue
            path = ROOT / source
            assert mode == "ro"
            mounted |= {path} if path.is_file() else set(path.rglob("*"))
    for folder in CONFIGURED:
        for file in (ROOT / folder).rglob("*.*"):
            assert file in mounted or file.name in UNMOUNTED, file


def test_prometheus_has_the_same_targets(system: System) -> None:
    prometheus.write_targets(system)
    by_port = {port: part for part, port in ContainerPorts().all().items()}
    for name in ("backing", "rabbitmq", "alertmanager", "services"):
        file = system.home.config / "prometheus" / "targets" / f"{name}.json"
        native = json.loads(file.read_text())
        for one in native:
            port = int(one["targets"][0].removeprefix(f"{BIND}:"))
            one["targets"] = [f"{host(by_port[port])}:{port}"]
        assert native == json.loads(COMPOSE["configs"][f"prometheus-{name}"]["content"])


def test_alertmanager_tells_the_same_services_and_names_files_that_are_there(
    system: System,
) -> None:
    alertmanager.write_targets(system)
    folder = system.home.config / "alertmanager" / "targets"
    container = CONTAINERS["alertmanager"]
    mounted = {one["target"] for one in (*container["configs"], *container["secrets"])}
    inside_of = f"{container['working_dir']}/targets"
    assert mounted == {f"{inside_of}/{file.name}" for file in folder.iterdir()}
    for one in container["configs"]:
        name = one["target"].rpartition("/")[2]
        native = (folder / name).read_text().replace(f"{BIND}:", f"{name}:")
        assert native == COMPOSE["configs"][one["source"]]["content"].strip()
    named = re.findall(r"(?<=targets/)[\w-]+", (ROOT / "alertmanager/alertmanager.yml").read_text())
    assert set(named) - set(alertmanager.TOLD) == {"alerts-key"}


def test_rabbitmq_has_the_same_addresses(system: System) -> None:
    native = rabbitmq._addresses(system, "/run/secrets/rabbitmq-definitions.json")
    contained = COMPOSE["configs"]["rabbitmq-addresses"]["content"]
    assert native.replace(BIND, inside.BIND) == contained


def test_each_container_is_given_the_secrets_that_it_names_and_no_other() -> None:
    for name, container in CONTAINERS.items():
        configs = [one["source"] for one in container.get("configs", [])]
        said = json.dumps([container, [COMPOSE["configs"][one] for one in configs]])
        named = set(re.findall(r"/run/secrets/([\w.-]+\w)", said))
        given = [one for one in container.get("secrets", []) if isinstance(one, str)]
        assert named == set(given), name
        assert len(given) == len(container.get("secrets", [])) or name == "alertmanager"


def test_every_secret_has_a_file_and_is_written_nowhere_else(system: System) -> None:
    services.remember(system, {})
    files.prepare(system)
    made = files.secrets(system)
    assert set(made) == set(COMPOSE["secrets"])
    for name, one in COMPOSE["secrets"].items():
        assert one == {"file": f"/given/WEFT_GIVEN/secrets/{name}"}
    open_text = files.variables_file(system).read_text() + (ROOT / "compose.yaml").read_text()
    for name, text in made.items():
        assert text.strip() not in open_text, name


def test_services_have_no_rights_and_no_place_to_write() -> None:
    for service in services.SERVICES:
        container = CONTAINERS[service.name]
        assert container["cap_drop"] == ["ALL"]
        assert container["read_only"] is True
        assert container["security_opt"] == ["no-new-privileges:true"]
        assert "user" not in container
    last = (ROOT / "Dockerfile").read_text().rpartition("FROM ")[2]
    assert "\nUSER 10001:10001\n" in last
