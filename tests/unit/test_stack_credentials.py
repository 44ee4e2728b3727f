"""Secrets are made once, each for one reader; the broker's rights follow from them."""

import base64
import hashlib
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest

from stack.addresses import environment
from stack.backing.rabbitmq import definitions, password_hash
from stack.credentials import Credentials, NoCredentialsError
from stack.home import Home
from stack.launch import _Launch
from stack.ports import Ports
from stack.services import SERVICES, choose_traffic, programs, remember
from stack.system import System

NAMES = [service.name for service in SERVICES]


@pytest.fixture
def system(tmp_path: Path) -> System:
    home, ports = Home(tmp_path / "home"), Ports(5000)
    home.make()
    system = System(home, ports, Credentials(home.secrets, ports))
    system.credentials.make(NAMES)
    return system


def test_every_secret_is_a_file_that_only_its_owner_may_read(system: System) -> None:
    files = list(system.home.secrets.iterdir())
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_a_second_start_keeps_every_secret(system: System) -> None:
    def kept() -> dict[str, bytes]:
        files = system.home.secrets.iterdir()
        return {file.name: file.read_bytes() for file in files if file.name != "traffic-token"}

    before = kept()
    system.credentials.make(NAMES)
    assert kept() == before


def test_a_start_gives_traffic_a_token_for_all_that_it_does_today(system: System) -> None:
    system.credentials.file("traffic-token", "of an older version")
    system.credentials.make(NAMES)
    claims = jwt.decode(
        system.credentials.password("traffic-token"), options={"verify_signature": False}
    )
    assert {"orders:write", "reports:write", "synthetic"} <= set(claims["scope"].split())


def test_no_two_passwords_are_alike(system: System) -> None:
    names = [f"postgres-{name}" for name in NAMES] + [f"rabbitmq-{name}" for name in NAMES]
    assert len({system.credentials.password(name) for name in names}) == len(names)


def test_before_the_first_start_one_line_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoCredentialsError, match="weft up"):
        Credentials(tmp_path, Ports(0)).signer()


def test_a_secret_that_an_older_weft_did_not_make_is_named(system: System) -> None:
    with pytest.raises(NoCredentialsError, match="no secret of-tomorrow yet: run `weft up` first"):
        system.credentials.password("of-tomorrow")


def test_a_token_is_good_by_the_public_key_that_the_services_get(system: System) -> None:
    token = system.credentials.signer().mint("alice", ["orders:read"], 60.0).token
    [key] = json.loads(system.credentials.jwks_path.read_text())["keys"]
    assert "d" not in key
    claims = jwt.decode(token, jwt.PyJWK(key), algorithms=["EdDSA"], audience="weft")
    assert claims["sub"] == "alice"
    assert claims["scope"] == "orders:read"


def test_a_start_without_traffic_has_no_program_for_it_until_another_start(system: System) -> None:
    remember(system, {})
    for said, runs in (({"WEFT_TRAFFIC": "0"}, 0), ({}, 1), ({"WEFT_TRAFFIC": "true"}, 1)):
        choose_traffic(system, said)
        assert [program.name for program in programs(system)].count("traffic") == runs


def test_traffic_starts_when_nothing_is_being_built_any_more(system: System) -> None:
    remember(system, {})
    nobody: Any = None
    launch = _Launch(system, nobody, nobody, SimpleNamespace(pending=["loki"]))  # type: ignore[arg-type]
    assert {one.name for one in launch._due({"loki"})} == {*NAMES} - {"traffic"}
    assert {one.name for one in launch._due(set())} == {*NAMES}


def test_each_service_gets_its_own_secrets_and_no_others(system: System) -> None:
    remember(system, {})
    secrets_of = {
        program.name: {
            value
            for value in program.environment.values()
            if value.startswith(str(system.home.secrets)) and not value.endswith("jwks.json")
        }
        for program in programs(system)
    }
    assert {Path(path).name for path in secrets_of["orders"]} == {
        "orders.database-url",
        "orders.broker-url",
    }
    assert {Path(path).name for path in secrets_of["traffic"]} == {"traffic-token"}
    assert {Path(path).name for path in secrets_of["gateway"]} == {"valkey-url", "token-key.pem"}
    assert all(Path(path).exists() for paths in secrets_of.values() for path in paths)


def test_no_secret_stands_in_the_environment_itself(system: System) -> None:
    remember(system, {})
    texts = {file.read_text().strip() for file in system.home.secrets.iterdir()}
    for program in programs(system):
        assert not texts & set(program.environment.values())


def test_a_users_own_store_is_where_reports_are_kept_and_nobody_else_knows(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    remember(
        system,
        {
            "WEFT_ARTIFACTS_URL": "s3://bucket/reports",
            "WEFT_ARTIFACTS_CREDENTIALS_FILE": "s3.key",
            "WEFT_ARTIFACTS_CREDENTIALS": "ID:SECRET",
        },
    )
    told = {
        program.name: {
            name: value
            for name, value in program.environment.items()
            if name.startswith("WEFT_ARTIFACTS_")
        }
        for program in programs(system)
    }
    store = {
        "WEFT_ARTIFACTS_URL": "s3://bucket/reports",
        "WEFT_ARTIFACTS_CREDENTIALS_FILE": str(tmp_path / "s3.key"),
    }
    assert {name: given for name, given in told.items() if given} == {
        "reports": store,
        "report_runner": store,
    }


def test_a_users_own_setting_reaches_the_services_but_no_address_does(system: System) -> None:
    remember(
        system,
        {
            "WEFT_ORDER_DEADLINE": "5s",
            "WEFT_ADMIN_DATABASE_URL": "postgresql://admin:secret@h/d",
            "WEFT_JWKS": "elsewhere",
            "WEFT_HOME": "/x",
            "OTEL_TRACES_SAMPLER": "always_off",
            "PATH": "/bin",
        },
    )
    [orders] = [program for program in programs(system) if program.name == "orders"]
    assert orders.environment["WEFT_ORDER_DEADLINE"] == "5s"
    assert orders.environment["OTEL_TRACES_SAMPLER"] == "always_off"
    assert orders.environment["WEFT_JWKS"] == str(system.credentials.jwks_path)
    assert not {"WEFT_ADMIN_DATABASE_URL", "WEFT_HOME", "PATH"} & orders.environment.keys()


def test_an_operators_environment_leads_to_every_part(system: System) -> None:
    variables = environment(system)
    database = urlsplit(variables["WEFT_ADMIN_DATABASE_URL"])
    assert (database.hostname, database.port) == ("127.0.0.1", 10432)
    assert urlsplit(variables["WEFT_ORDERS_BROKER_URL"]).path == "/weft"
    assert variables["WEFT_GATEWAY_URL"] == "http://127.0.0.1:13080"


def _definitions() -> dict[str, Any]:
    return definitions(lambda name: name, SERVICES)


@pytest.mark.parametrize(
    ("user", "right", "resource", "allowed"),
    [
        ("orders", "configure", "orders.events", True),
        ("orders", "configure", "inventory.commands", False),
        ("orders", "configure", "weft.events", False),
        ("orders", "write", "weft.commands", True),
        ("inventory", "write", "weft.commands", False),
        ("inventory", "write", "weft.events", True),
        ("inventory", "write", "orders.events", False),
        ("inventory", "read", "weft.commands", True),
        ("inventory", "read", "payments.commands", False),
        ("payments", "configure", "paymentsx.commands", False),
        ("weft_monitoring", "read", "orders.events", False),
        ("weft_operator", "read", "orders.events.dead", True),
        ("weft_operator", "read", "hello.commands.dead", True),
        ("weft_operator", "read", "orders.events", False),
        ("weft_operator", "read", "weft.unrouted", False),
        ("weft_operator", "write", "orders.direct", True),
        ("weft_operator", "write", "weft.commands", False),
        ("weft_operator", "write", "weft.events", False),
        ("weft_operator", "write", "amq.default", False),
        ("weft_operator", "configure", "orders.events.dead", False),
    ],
)
def test_a_broker_user_may_do_what_its_service_needs(
    user: str, right: str, resource: str, allowed: bool
) -> None:
    [entry] = [
        one
        for one in _definitions()["permissions"]
        if (one["user"], one["vhost"]) == (user, "weft")
    ]
    assert bool(re.search(entry[right], resource)) is allowed


@pytest.mark.parametrize(
    ("user", "key", "allowed"),
    [
        ("orders", "order.confirmed", True),
        ("orders", "stock.reserved", False),
        ("inventory", "stock.reserved", True),
        ("inventory", "product.set", True),
        ("payments", "payments.captured", False),
        ("payments", "payment.captured", True),
    ],
)
def test_a_service_publishes_only_events_of_its_own(user: str, key: str, allowed: bool) -> None:
    [entry] = [one for one in _definitions()["topic_permissions"] if one["user"] == user]
    assert bool(re.search(entry["write"], key)) is allowed


def test_events_that_no_queue_wants_are_kept_within_a_bound() -> None:
    made = _definitions()
    [queue] = made["queues"]
    assert queue["arguments"]["x-max-length"] > 0
    [events] = [one for one in made["exchanges"] if one["name"] == "weft.events"]
    assert events["arguments"]["alternate-exchange"] == "weft.unrouted"


def test_definitions_hold_hashes_that_the_broker_can_check_and_no_password() -> None:
    salted = base64.b64decode(password_hash("correct horse"))
    assert salted[4:] == hashlib.sha256(salted[:4] + b"correct horse").digest()
    assert "password" not in _definitions()["users"][0]
