"""When a decision begins a wake, ends it, changes something or nothing; the limits' settings."""

from typing import Any

import pytest

from services.report_runner.app import ReportRunnerSettings, limits
from services.report_runner.decisions import State, Wake
from services.report_runner.requestor import Facts
from services.report_runner.scaler import phase_of
from services.report_runner.scaling import Decision, Limits, Sizer
from weft.settings import SettingsError

LEAST = 2
GIVEN = {
    "WEFT_DATABASE_URL": "postgresql://",
    "WEFT_BROKER_URL": "amqp://",
    "WEFT_JWKS": "jwks.json",
    "WEFT_ORDERS_READER_DATABASE_URL": "postgresql://",
    "WEFT_REPORT_RUNNER_TOKEN": "token",
    "WEFT_REPORT_WEBHOOK_SECRET": "whsec_",
    "WEFT_ARTIFACTS_URL": "file:///tmp",
    "WEFT_ALERTS_KEY": "key",
}


def phase(
    wake: Wake, *, firing: bool = False, waiting: int = 0, before: int = 4, workers: int = 4
) -> str | None:
    names = ["ReportsWaiting"] if firing else []
    state = State(desired=before, wake=wake, firing=names, service_time=None)
    return phase_of(state, decision(waiting, before, workers), least=LEAST)


def decision(waiting: int, before: int, workers: int) -> Decision:
    facts = Facts(waiting=waiting, oldest=0.0, running=0, requested=0)
    made = Sizer(Limits(min_workers=0)).step(0.0, facts, 1.0, before)
    values: dict[str, Any] = {name: getattr(made, name) for name in made.__struct_fields__}
    return Decision(**{**values, "workers": workers})


def test_asleep_nothing_is_decided_whatever_the_facts_are() -> None:
    assert phase("asleep", waiting=100, workers=16) is None


@pytest.mark.parametrize(("wake", "firing"), [("woken", True), ("woken", False), ("asleep", True)])
def test_the_first_decision_of_a_wake_is_stored_also_if_the_alert_is_over_by_then(
    wake: Wake, firing: bool
) -> None:
    assert phase(wake, firing=firing) == "woke"


def test_awake_only_changes_are_stored() -> None:
    assert phase("awake", firing=True) is None
    assert phase("awake", firing=True, workers=5) == "changed"
    assert phase("awake", workers=3) == "changed"


def test_it_stays_awake_until_no_alert_fires_nothing_waits_and_the_least_is_left() -> None:
    assert phase("awake", firing=True, before=LEAST, workers=LEAST) is None
    assert phase("awake", waiting=1, before=LEAST, workers=LEAST) is None
    assert phase("awake", before=3, workers=3) is None
    assert phase("awake", before=LEAST, workers=LEAST) == "slept"
    assert phase("awake", before=3, workers=LEAST) == "slept"


def test_the_limits_are_the_services_settings() -> None:
    chosen = {
        "WEFT_REPORT_MIN_WORKERS": "3",
        "WEFT_REPORT_MAX_WORKERS": "9",
        "WEFT_REPORT_TARGET_WAIT": "1m",
        "WEFT_REPORT_SCALE_DOWN_DELAY": "500ms",
    }
    found = limits(ReportRunnerSettings.load(GIVEN | chosen))
    assert (found.min_workers, found.max_workers) == (3, 9)
    assert (found.target_wait, found.scale_down_delay) == (60.0, 0.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEFT_REPORT_MIN_WORKERS", "9"),
        ("WEFT_REPORT_MIN_WORKERS", "-1"),
        ("WEFT_REPORT_MAX_WORKERS", "1001"),
        ("WEFT_REPORT_TARGET_WAIT", "0s"),
    ],
)
def test_limits_that_cannot_be_are_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        limits(ReportRunnerSettings.load(GIVEN | {name: value}))
