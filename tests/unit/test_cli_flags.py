"""`weft faults` and `weft flags` on a system that does not run: the file is all that they touch."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from stack.cli import app
from stack.flags import FAULTS, FEATURES, find, places
from stack.home import ROOT, Home
from stack.services import SERVICES


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("WEFT_HOME", str(tmp_path))
    home = Home(tmp_path)
    home.make()
    return home


def weft(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def flags(home: Home) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(home.flags.read_text())["flags"]
    return found


def test_a_fault_is_switched_on_for_a_while_and_off(home: Home) -> None:
    done = weft("faults", "on", "payment-failures", "--percent", "80", "--for", "2m")
    assert done.exit_code == 0, done.output
    assert "payment-failures (80 %) in card_provider until" in done.output
    assert "expect the alert PeerFails" in done.output
    assert flags(home)["payment-failures"]["value"] == 80
    assert weft("faults", "on", "slow-inventory", "--delay", "500ms").exit_code == 0
    assert flags(home)["slow-inventory"]["value"] == 0.5
    listed = json.loads(weft("faults", "list", "--json").output)
    assert [one["name"] for one in listed] == [kind.name for kind in FAULTS]
    assert {one["name"] for one in listed if one["on"]} == {"payment-failures", "slow-inventory"}
    assert "on until" in weft("faults", "list").output
    assert weft("faults", "off", "payment-failures").output == "payment-failures: off\n"
    assert set(flags(home)) == {"slow-inventory"}
    assert weft("faults", "off").output == "slow-inventory: off\n"
    assert weft("faults", "off").output == "no fault was on\n"


def test_a_fault_that_may_be_anywhere_is_where_it_is_said(home: Home) -> None:
    assert (
        weft("faults", "on", "memory-leak", "--rate", "2", "--service", "payments").exit_code == 0
    )
    assert flags(home)["memory-leak"]["service"] == "payments"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nonsense"], "nonsense is not a fault: expected one of payment-failures"),
        (["payment-failures", "--percent", "0"], "--percent: expected more than 0, at most 100"),
        (["payment-failures", "--percent", "101"], "--percent: expected more than 0"),
        (["payment-failures", "--percent", "nan"], "--percent: expected more than 0"),
        (
            ["payment-failures", "--delay", "2s"],
            "--delay is not for payment-failures, --percent is",
        ),
        (["consumer-paused", "--rate", "2"], "--rate is not for consumer-paused"),
        (["slow-inventory", "--delay", "soon"], "--delay: expected a duration"),
        (["slow-inventory", "--for", "2h"], "--for: expected more than 0, at most 1h"),
        (["slow-inventory", "--service", "orders"], "--service orders: expected one of inventory"),
        (["memory-leak", "--service", "nowhere"], "--service nowhere: expected one of orders"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(home: Home, arguments: list[str], told: str) -> None:
    done = weft("faults", "on", *arguments)
    assert (done.exit_code, done.stderr[: len(told)]) == (2, told)
    assert not home.flags.exists()


def test_a_system_that_takes_no_faults_is_given_none(home: Home) -> None:
    environment = home.config / "environment.json"
    for chosen in ({"WEFT_FAULTS": "0"}, {"WEFT_ENVIRONMENT": "production"}):
        environment.write_text(json.dumps(chosen))
        done = weft("faults", "on", "cpu-burn")
        assert (done.exit_code, "take no faults" in done.stderr) == (1, True)
        assert "take no faults" in weft("faults", "list").output
    environment.write_text('{"WEFT_ENVIRONMENT": "staging", "WEFT_FAULTS": "1"}')
    assert weft("faults", "on", "cpu-burn").exit_code == 0


def test_without_a_system_there_is_nothing_to_switch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEFT_HOME", str(tmp_path / "none"))
    for arguments in (["faults", "on", "cpu-burn"], ["faults", "off"]):
        done = weft(*arguments)
        assert (done.exit_code, done.stderr) == (1, "there is no system yet: weft up\n")


def test_a_wrong_file_is_named_and_left_alone(home: Home) -> None:
    home.flags.parent.mkdir()
    home.flags.write_text("{")
    for arguments in (["faults", "list"], ["faults", "on", "cpu-burn"], ["flags", "list"]):
        done = weft(*arguments)
        assert (done.exit_code, str(home.flags) in done.stderr) == (1, True)
    assert home.flags.read_text() == "{"


def test_a_feature_flag_keeps_owner_and_age_when_its_share_grows(home: Home) -> None:
    done = weft("flags", "set", "volume-discount", "--percent", "20")
    assert (done.exit_code, "--owner" in done.stderr) == (2, True)
    assert (
        weft("flags", "set", "volume-discount", "--percent", "20", "--owner", "shop").exit_code == 0
    )
    found = flags(home)["volume-discount"]
    home.flags.write_text(home.flags.read_text().replace(found["since"], "2026-01-01"))
    assert weft("flags", "set", "volume-discount", "--percent", "50").exit_code == 0
    (listed,) = json.loads(weft("flags", "list", "--json").output)
    assert listed == {
        "name": "volume-discount",
        "service": "orders",
        "percent": 50.0,
        "owner": "shop",
        "since": "2026-01-01",
        "old": True,
    }
    assert "of shop is older than 90 days" in weft("faults", "list").output
    assert weft("faults", "off").exit_code == 0
    assert weft("flags", "drop", "volume-discount").exit_code == 0
    assert weft("flags", "drop", "volume-discount").exit_code == 1
    assert weft("flags", "set", "other", "--percent", "1").exit_code == 2


def test_every_fault_and_feature_of_the_catalogue_is_asked_for_by_the_code() -> None:
    texts = {
        node.value
        for top in ("weft", "services")
        for path in (ROOT / top).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert {*FEATURES, *(kind.name for kind in FAULTS)} <= texts


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.name)
def test_a_fault_has_a_service_and_a_usual_value(kind: Any) -> None:
    assert kind.service in {service.name for service in SERVICES}
    assert kind.service in places(kind)
    assert 0 < kind.usual <= kind.most
    assert find(kind.name) is kind
