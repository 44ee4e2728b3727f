"""Whom Alertmanager tells of which alert, as its own tool reads the configuration."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from stack import parts

CONFIG = Path(__file__).resolve().parents[2] / "alertmanager" / "alertmanager.yml"


def amtool(*arguments: str) -> str:
    found = parts.find("alertmanager")
    assert found is not None, "Alertmanager is not installed: run `weft up` once"
    tool = found.binaries["alertmanager"].with_name("amtool")
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def config() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    return read


def test_the_configuration_is_accepted() -> None:
    assert "SUCCESS" in amtool("check-config", str(CONFIG))


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (("alertname=Watchdog", "severity=info"), "notifier"),
        (("alertname=ReportsWait", "scaler=reports", "severity=info"), "report_runner"),
        (("alertname=InstanceDown", "severity=critical"), "notifier"),
        (("alertname=CollectorRefuses", "severity=warning"), "notifier"),
        (("alertname=FromGrafana",), "notifier"),
    ],
)
def test_every_alert_reaches_the_notifier_but_those_that_steer_reach_the_runner(
    labels: tuple[str, ...], receiver: str
) -> None:
    asked = ("config", "routes", "test", f"--config.file={CONFIG}", *labels)
    assert amtool(*asked).split() == [receiver]


def test_what_steers_the_runner_waits_for_nothing() -> None:
    [route] = [r for r in config()["route"]["routes"] if r["receiver"] == "report_runner"]
    assert (route["group_wait"], route["group_interval"]) == ("0s", "1s")


def test_nothing_critical_is_muted_and_quiet_hours_are_there_to_be_set() -> None:
    muted = [r for r in config()["route"]["routes"] if "mute_time_intervals" in r]
    assert muted
    assert all("critical" not in str(route["matchers"]) for route in muted)
    assert [each["name"] for each in config()["time_intervals"]] == ["quiet-hours"]


def test_what_a_fallen_broker_or_database_explains_is_held_back() -> None:
    rules = sorted((CONFIG.parents[1] / "prometheus" / "rules").glob("*.yaml"))
    groups = [group for file in rules for group in yaml.safe_load(file.read_text())["groups"]]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    following = {r["alert"] for r in alerts if "follows_from" in r["labels"]}
    assert following >= {"InstanceNotReady", "MessagesWaitToBeSent", "ConsumerMissing"}
    assert not following & {"RabbitMQDown", "PostgreSQLDown", "InstanceDown"}
    sources = {str(rule["source_matchers"]) for rule in config()["inhibit_rules"]}
    assert {"['alertname = RabbitMQDown']", "['alertname = PostgreSQLDown']"} <= sources
