"""Grafana natively: its release is found and pointed at our folders; it is never built."""

from pathlib import Path

import pytest

from stack import backing
from stack.backing import grafana
from stack.home import ROOT
from stack.parts import Found
from stack.system import System


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System.load({"WEFT_HOME": str(tmp_path / "home"), "WEFT_PORT_BASE": "10000"})


def found(folder: Path) -> Found:
    binary = folder / "bin" / "grafana"
    binary.parent.mkdir(parents=True)
    binary.touch()
    return Found(name="grafana", version="12.3.1", binaries={"grafana": binary}, source="path")


def test_a_release_is_run_from_its_own_folder_on_loopback(system: System, tmp_path: Path) -> None:
    release = tmp_path / "grafana-v12.3.1"
    part = found(release)
    (release / "conf").mkdir()
    (release / "conf" / "defaults.ini").touch()
    program = backing.program(system, part)
    assert program.command[1:] == ("server", f"--homepath={release}")
    assert program.port == 13000
    assert program.environment["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
    assert program.environment["WEFT_LOKI_URL"] == "http://127.0.0.1:13100"


def test_a_packaged_program_is_given_its_packages_folder(system: System, tmp_path: Path) -> None:
    program = grafana.program(system, found(tmp_path / "usr"))
    assert program.command[2] == "--homepath=/usr/share/grafana"


def test_every_folder_and_variable_that_its_provisioning_names_is_given(
    system: System, tmp_path: Path
) -> None:
    environment = grafana.program(system, found(tmp_path)).environment
    provisioning = Path(environment["GF_PATHS_PROVISIONING"])
    assert provisioning == ROOT / "grafana" / "provisioning"
    named = "".join(file.read_text() for file in provisioning.rglob("*.yaml"))
    for variable in ("DASHBOARDS", "JAEGER", "LOKI", "PROMETHEUS", "POSTGRES", "PASSWORD"):
        (name,) = {v for v in environment if v.startswith("WEFT_") and variable in v}
        assert f"${{{name}}}" in named


def test_it_reads_the_views_of_orders_as_their_reader(system: System, tmp_path: Path) -> None:
    environment = grafana.program(system, found(tmp_path)).environment
    file = system.credentials.path("postgres-orders_reader")
    assert environment["WEFT_ORDERS_READER_PASSWORD"] == f"$__file{{{file}}}"
    assert environment["WEFT_POSTGRES_ADDRESS"] == "127.0.0.1:15432"


def test_its_password_is_a_file_and_not_in_the_environment(system: System, tmp_path: Path) -> None:
    environment = grafana.program(system, found(tmp_path)).environment
    file = system.credentials.path("grafana-admin")
    assert environment["GF_SECURITY_ADMIN_PASSWORD"] == f"$__file{{{file}}}"


def test_the_system_is_whole_without_it() -> None:
    assert set(backing.OPTIONAL) == {"grafana"}
    assert "grafana" not in backing.NAMES
