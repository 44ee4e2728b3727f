"""Every alert fires and clears in a test of promtool's, and has a page that says what to do."""

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from stack import parts
from stack.cli import app

ROOT = Path(__file__).resolve().parents[2]
RULES = sorted((ROOT / "prometheus" / "rules").glob("*.yaml"))
TESTS = sorted((ROOT / "tests" / "rules").glob("*.yaml"))
RUNBOOKS = ROOT / "docs" / "runbooks"
HEADINGS = ["## What it means", "## How to look", "## What to do"]
RAISED_BY_THE_NOTIFIER = {"DeadMansSwitch"}
NEVER_CLEARS = {"Watchdog"}


def alerts(files: list[Path] = RULES) -> dict[str, dict[str, Any]]:
    """Every alert by its name."""
    groups = (group for file in files for group in yaml.safe_load(file.read_text())["groups"])
    rules = (rule for group in groups for rule in group["rules"])
    return {rule["alert"]: rule for rule in rules if "alert" in rule}


def expected(files: list[Path] = TESTS) -> dict[bool, set[str]]:
    """The names of the alerts that a test expects to fire (True), and not to (False)."""
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for file in files:
        for test in yaml.safe_load(file.read_text())["tests"]:
            for check in test["promql_expr_test"]:
                [name] = re.findall(r'alertname="(\w+)"', check["expr"])
                found[bool(check["exp_samples"])].add(name)
    return found


def commands() -> set[str]:
    """Every command of `weft`, those of groups with their group's name before."""
    group = typer.main.get_command(app)
    names = set()
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", {})
        names |= {f"{name} {each}" for each in inner} or {name}
    return names


@cache
def variables() -> dict[str, set[str]]:
    """What an address may choose in each dashboard, by the dashboard's uid."""
    files = (ROOT / "grafana" / "dashboards").glob("*.json")
    return {
        board["uid"]: {f"var-{one['name']}" for one in board.get("templating", {}).get("list", [])}
        for board in (json.loads(file.read_text()) for file in files)
    }


def promtool() -> Path:
    """The one of the part that is installed."""
    found = parts.find("prometheus")
    assert found is not None, "Prometheus is not installed: run `weft up` once"
    return Path(found.binaries["promtool"])


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_alerts_fire_and_clear_as_promtool_sees_it(file: Path) -> None:
    done = subprocess.run(
        [promtool(), "test", "rules", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_seen_firing_and_not_firing_by_a_test() -> None:
    assert expected()[True] == set(alerts())
    assert expected()[False] == set(alerts()) - NEVER_CLEARS


def test_an_alert_without_a_test_is_noticed(tmp_path: Path) -> None:
    new = tmp_path / "new.yaml"
    new.write_text("groups: [{name: new, rules: [{alert: Untested, expr: vector(1)}]}]")
    assert set(alerts([*RULES, new])) - expected()[True] == {"Untested"}


@pytest.mark.parametrize("name", alerts())
def test_every_alert_says_what_it_is_how_bad_and_where_to_go(name: str) -> None:
    rule = alerts()[name]
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    told = rule["annotations"]
    assert told["summary"]
    assert told["description"].endswith(".")
    uid, _, chosen = told["dashboard"].removeprefix("/d/").partition("?")
    assert uid in variables()
    assert {one.partition("=")[0] for one in chosen.split("&") if one} <= variables()[uid]
    assert told["runbook"] == f"docs/runbooks/{name}.md"


def test_every_alert_has_a_page_and_there_is_no_other() -> None:
    assert {page.stem for page in RUNBOOKS.iterdir()} == set(alerts()) | RAISED_BY_THE_NOTIFIER


@pytest.mark.parametrize("page", sorted(RUNBOOKS.iterdir()), ids=lambda page: page.stem)
def test_a_page_says_what_it_means_how_to_look_and_what_to_do(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r"^## .*$", text, re.MULTILINE) == HEADINGS
    assert text.startswith(f"# {page.stem}\n")
    for link in re.findall(r"\]\(([\w.]+)\)", text):
        assert (RUNBOOKS / link).exists(), link
    known = commands()
    for command in re.findall(r"(?:^|`)weft ([a-z-]+(?: [a-z-]+)?)", text, re.MULTILINE):
        first = command.partition(" ")[0]
        assert command in known or first in known, f"weft {command}"
