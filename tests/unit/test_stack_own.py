"""What `weft run` makes of a file's name, and of the environment that it is called in."""

import socket
from pathlib import Path

import pytest

from stack import own
from stack.backing.rabbitmq import definitions
from stack.credentials import Credentials
from stack.home import Home
from stack.launch import PortsTakenError
from stack.ports import Ports
from stack.services import SERVICES, Service, remember
from stack.system import System
from weft.settings import SettingsError

HELLO = Service(name="hello", database=True, broker=True, publishes=("hello",))


@pytest.fixture
def system(tmp_path: Path) -> System:
    home, ports = Home(tmp_path / "home"), Ports(5000)
    home.make()
    system = System(home, ports, Credentials(home.secrets, ports))
    system.credentials.make([*(service.name for service in SERVICES), "hello"])
    return system


@pytest.mark.parametrize(
    ("file", "name", "expected"),
    [
        ("examples/hello.py", None, "hello"),
        ("my-service.py", None, "my_service"),
        ("main.py", "shipping2", "shipping2"),
    ],
)
def test_a_service_is_named_as_its_file_unless_it_is_said(
    file: str, name: str | None, expected: str
) -> None:
    assert own.named(Path(file), name) == expected


@pytest.mark.parametrize("name", ["Hello", "2nd", "a b", 'x";--', "é", "a" * 32, "a.b", "_a"])
def test_a_name_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="expected a-z, 0-9 and _"):
        own.named(Path("hello.py"), name)


@pytest.mark.parametrize(
    "name",
    [
        "orders",
        "order",
        "stock",
        "weft",
        "amq",
        "postgres",
        "weft_admin",
        "weft_operator",
        "pg_hello",
    ],
)
def test_a_name_that_would_give_rights_of_others_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="that the system does not use itself"):
        own.named(Path("hello.py"), name)


def test_it_gets_the_rights_that_a_service_gets() -> None:
    rights = definitions(lambda _: "password", [HELLO])
    [permission] = [one for one in rights["permissions"] if one["user"] == "hello"]
    assert permission["configure"] == r"^hello\..*$"
    assert permission["write"] == r"^(hello\..*|weft\.events)$"
    [topics] = rights["topic_permissions"]
    assert topics["write"] == r"^(hello)\."


def test_it_is_given_its_own_secrets_and_not_those_of_the_shell(system: System) -> None:
    shell = {
        "PATH": "/usr/bin",
        "WEFT_HOME": "/home/of/the/system",
        "WEFT_ADMIN_DATABASE_URL": "postgresql://admin:secret@127.0.0.1/postgres",
        "WEFT_ORDERS_DATABASE_URL": "postgresql://orders:secret@127.0.0.1/orders",
        "WEFT_SIGNING_KEY_FILE": "/secrets/token-key.pem",
        "WEFT_DATABASE_URL": "postgresql://other:secret@127.0.0.1/other",
    }
    given = own.environment(system, HELLO, 13120, shell)
    assert given["PATH"] == "/usr/bin"
    assert given["WEFT_PORT"] == "13120"
    assert given["WEFT_DATABASE_URL_FILE"] == str(system.credentials.path("hello.database-url"))
    assert given["WEFT_BROKER_URL_FILE"] == str(system.credentials.path("hello.broker-url"))
    assert given["OTEL_SERVICE_NAME"] == "hello"
    assert "service.instance.id=hello-0" in given["OTEL_RESOURCE_ATTRIBUTES"]
    assert not [value for value in given.values() if "secret@" in value]
    assert given.keys().isdisjoint({"WEFT_HOME", "WEFT_SIGNING_KEY_FILE"})


def test_its_own_settings_go_before_those_that_the_system_was_started_with(
    system: System,
) -> None:
    remember(system, {"WEFT_LOG_LEVEL": "warning", "WEFT_DRAIN_TIMEOUT": "3s"})
    given = own.environment(system, HELLO, 1, {"WEFT_LOG_LEVEL": "debug"})
    assert given["WEFT_LOG_LEVEL"] == "debug"
    assert given["WEFT_DRAIN_TIMEOUT"] == "3s"


def test_the_first_free_port_is_taken_and_without_one_all_are_named(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as first,
        socket.create_server(("127.0.0.1", 0)) as second,
    ):
        busy = [first.getsockname()[1] - 5000, second.getsockname()[1] - 5000]
        with socket.create_server(("127.0.0.1", 0)) as third:
            free = third.getsockname()[1]
        monkeypatch.setattr(own, "PORTS", [*busy, free - 5000])
        assert own.free_port(system) == free
        monkeypatch.setattr(own, "PORTS", busy)
        with pytest.raises(PortsTakenError) as error:
            own.free_port(system)
    assert len(error.value.taken) == 2


@pytest.mark.parametrize("name", ["hello.py", "../hello", "orders", "nobody", ""])
def test_only_a_service_of_ones_own_is_forgotten(system: System, name: str) -> None:
    with pytest.raises(SettingsError):
        own.forget(system, name)
    assert system.credentials.path("rabbitmq-hello").exists()
    assert system.credentials.path("rabbitmq-orders").exists()
