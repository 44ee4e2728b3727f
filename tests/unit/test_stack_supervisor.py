"""What supervisord reads is what was meant."""

from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from stack.home import Home
from stack.program import Program
from stack.stop import stages
from stack.supervisor import Supervisor
from weft.settings import SettingsError

DIFFICULT = {
    "PLAIN": "one",
    "PERCENT": "100%(x)s %",
    "COMMA": "a=b,c=d",
    "DOUBLE": '[{"a": 1}]',
    "SINGLE": "it's",
    "HASH": "a#b;c",
    "URL": "http://u:p@h:1/x?y=z&q=%20",
}


def _program(tmp_path: Path, **changes: object) -> Program:
    values: dict[str, object] = {
        "id": "orders-0",
        "name": "orders",
        "kind": "service",
        "port": 1,
        "command": ("/bin/echo", "a b", "50%", "it's"),
        "directory": tmp_path,
        "probe": lambda: None,
    }
    return Program(**(values | changes))  # type: ignore[arg-type]


def _read(home: Home) -> ServerOptions:
    options = ServerOptions()
    options.realize(args=["-c", str(home.config / "supervisord.conf")], doc="")
    return options


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.make()
    return home


def test_environment_and_command_survive_supervisords_own_syntax(
    home: Home, tmp_path: Path
) -> None:
    Supervisor(home).configure([_program(tmp_path, environment=DIFFICULT)])
    [group] = _read(home).process_group_configs
    [process] = group.process_configs
    assert process.environment == DIFFICULT
    assert process.command == "/bin/echo 'a b' 50% 'it'\"'\"'s'"


def test_who_stands_back_is_started_by_nice(home: Home, tmp_path: Path) -> None:
    Supervisor(home).configure([_program(tmp_path, nice=10)])
    [group] = _read(home).process_group_configs
    assert group.process_configs[0].command.startswith("nice -n 10 /bin/echo ")


def test_a_program_is_started_again_practically_without_end(home: Home, tmp_path: Path) -> None:
    Supervisor(home).configure([_program(tmp_path)])
    [group] = _read(home).process_group_configs
    [process] = group.process_configs
    assert process.startretries >= 1_000_000
    assert process.stdout_logfile_maxbytes > 0
    assert process.redirect_stderr


@pytest.mark.parametrize("value", ["a\"b'c", "two\nlines", "a ;comment", "a #comment"])
def test_a_value_that_supervisord_cannot_express_is_named_and_not_shown(
    home: Home, tmp_path: Path, value: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        Supervisor(home).configure([_program(tmp_path, environment={"WEFT_X": value})])
    assert "WEFT_X" in str(raised.value)
    assert value not in str(raised.value)


def test_a_supervisor_that_does_not_run_does_not_answer(home: Home) -> None:
    assert not Supervisor(home).answers()


def test_services_are_stopped_before_what_they_write_to() -> None:
    names = ["rabbitmq", "orders-0", "log-shipper", "orders-1", "otel-collector", "gateway-0"]
    assert stages(names) == [
        ["gateway-0", "orders-0", "orders-1"],
        ["log-shipper"],
        ["otel-collector", "rabbitmq"],
    ]
