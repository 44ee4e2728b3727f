"""The scaler: woken by Alertmanager's webhook, one instance decides, and the last size holds."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.report_runner import decisions
from services.report_runner.requestor import Facts
from services.report_runner.scaling import Decision, Limits, Sizer
from tests.integration.notifier.conftest import alert, hook
from tests.integration.reporting.kit import KEY, Held, Shop
from tests.integration.shop.kit import Running, until
from weft.postgres import Database, Lease

SCHEMA = Path(__file__).resolve().parents[3] / "services" / "report_runner" / "schema"
MOST, QUEUED = 4, 12  # as many read the sales at once
QUICK = {
    "WEFT_REPORT_MAX_WORKERS": str(MOST),
    "WEFT_REPORT_TARGET_WAIT": "10ms",
    "WEFT_REPORT_SCALE_DOWN_DELAY": "1s",
}


def waiting(status: str = "firing", **more: Any) -> dict[str, Any]:
    """The alert that wakes."""
    labels = {"scaler": "reports", "severity": "info"}
    return alert(status, name="ReportsWaiting", labels=labels, **more)


async def post(shop: Shop, runner: Running, body: Any, key: str | None = KEY) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    url = f"{runner.url}/hooks/alertmanager"
    async with shop.session.post(url, json=body, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


async def decided(shop: Shop) -> list[dict[str, Any]]:
    rows = await shop.rows(
        "report_runner",
        "SELECT phase, before, workers, reason, alerts, inputs::text FROM decisions ORDER BY id",
    )
    return [dict(row) | {"inputs": msgspec.json.decode(row["inputs"])} for row in rows]


async def wake(shop: Shop) -> str:
    (row,) = await shop.rows("report_runner", "SELECT wake FROM workers")
    return str(row["wake"])


async def asleep(shop: Shop) -> bool:
    return await wake(shop) == "asleep"


@pytest.fixture(autouse=True)
async def afresh(shop: Shop, reports: Running) -> None:
    del reports
    await shop.rows("reports", "UPDATE reports SET status = 'cancelled' WHERE status = 'queued'")


@pytest.fixture
async def runner(shop: Shop, reports: Running) -> AsyncIterator[Running]:
    one = await shop.runner(reports, **QUICK)
    await shop.rows("report_runner", "DELETE FROM decisions")
    await shop.rows("report_runner", "DELETE FROM alerts")
    await shop.rows("report_runner", "UPDATE workers SET desired = 1, wake = 'asleep'")
    yield one
    await one.end(signal.SIGKILL)


async def test_an_alert_wakes_more_workers_come_every_report_is_made_and_it_sleeps_again(
    shop: Shop, reports: Running, runner: Running
) -> None:
    user = shop.user(reports)
    async with Held(shop) as held:
        asked = [await user.ask() for _ in range(QUEUED)]
        await held.reached()
        assert await post(shop, runner, hook(waiting())) == (200, {"news": 1})
        await held.reached(MOST)
    states = [(await user.ended(report_id))["status"] for report_id in asked]
    assert states == ["finished"] * QUEUED
    assert await post(shop, runner, hook(waiting("resolved"))) == (200, {"news": 1})
    await until(lambda: asleep(shop))

    found = await decided(shop)
    first, last = found[0], found[-1]
    assert (first["phase"], first["before"], first["workers"]) == ("woke", 1, MOST)
    assert first["alerts"] == ["ReportsWaiting"]
    assert first["inputs"]["waiting"] >= QUEUED - MOST
    assert (last["phase"], last["workers"], last["alerts"]) == ("slept", 1, [])
    for one in found[1:-1]:
        assert one["phase"] == "changed"
        assert one["before"] != one["workers"]
    changed = [one for one in found if one["before"] != one["workers"]]
    assert runner.output.count("workers scaled") == len(changed)
    assert await shop.rows("report_runner", "SELECT FROM runs WHERE seconds > 0")


async def test_of_two_instances_one_decides_and_the_other_goes_on_when_it_is_killed(
    shop: Shop, reports: Running, runner: Running
) -> None:
    other = await shop.runner(reports, **QUICK)

    async def decider() -> Running | None:
        rows = await shop.rows(
            "report_runner", "SELECT holder FROM weft.leases WHERE name = 'scaler'"
        )
        holders = [row["holder"].split(":")[1] for row in rows]
        return next((one for one in (runner, other) if [str(one.pid)] == holders), None)

    leader = await until(decider)
    follower = other if leader is runner else runner
    user = shop.user(reports)
    async with Held(shop) as held:
        asked = [await user.ask() for _ in range(QUEUED)]
        await held.reached()
        answers = await asyncio.gather(
            post(shop, follower, hook(waiting())), post(shop, leader, hook(waiting()))
        )
        assert sorted(answer["news"] for _, answer in answers) == [0, 1]
        await held.reached(MOST)
        assert [one["phase"] for one in await decided(shop)] == ["woke"]
        await leader.end(signal.SIGKILL)
    for report_id in asked:
        assert (await user.ended(report_id))["status"] == "finished"
    await post(shop, follower, hook(waiting("resolved")))
    await until(lambda: asleep(shop))
    found = await decided(shop)
    assert [one["phase"] for one in found].count("woke") == 1
    assert found[-1]["phase"] == "slept"
    await other.end(signal.SIGKILL)


async def test_while_reports_does_not_answer_the_last_size_holds(shop: Shop) -> None:
    reports = await shop.reports()
    runner = await shop.runner(reports, **QUICK)
    await shop.rows("report_runner", "DELETE FROM decisions")
    await shop.rows("report_runner", "UPDATE workers SET desired = 3, wake = 'asleep'")
    await reports.end(signal.SIGKILL)
    await post(shop, runner, hook(waiting(start=7)))

    async def told() -> bool:
        return "scaler waits for the facts" in runner.output

    await until(told)
    assert await decided(shop) == []
    assert await wake(shop) == "woken"
    await reports.start()
    await reports.ready()

    async def woke() -> bool:
        return bool(await decided(shop))

    await until(woke)
    assert (await decided(shop))[0]["phase"] == "woke"
    await runner.end(signal.SIGKILL)


async def test_only_who_has_the_key_may_wake_and_others_alerts_wake_nobody(
    shop: Shop, runner: Running
) -> None:
    for key in ("wrong", None):
        assert (await post(shop, runner, hook(waiting()), key=key))[0] == 401
    assert await post(shop, runner, hook(alert())) == (200, {"news": 0})
    assert await decided(shop) == []
    assert await asleep(shop)


async def test_what_comes_twice_or_out_of_order_is_no_news(shop: Shop, runner: Running) -> None:
    grafana = hook(waiting(start=1), group="g", version="1") | {"orgId": 1, "state": "alerting"}
    for body, news in (
        (hook(waiting("resolved", start=5), group="a"), 0),
        (hook(waiting(start=5), group="a"), 0),
        (hook(waiting(start=6), group="a"), 1),
        (hook(waiting(start=6), group="a"), 0),
        (hook(waiting("resolved", start=6), waiting(fingerprint="b"), group="a"), 2),
        (hook(waiting("resolved", start=6), waiting(fingerprint="b"), group="a"), 0),
        (grafana, 1),
    ):
        assert await post(shop, runner, body) == (200, {"news": news})
    firing = await shop.rows(
        "report_runner", "SELECT fingerprint FROM alerts WHERE firing ORDER BY fingerprint"
    )
    assert [row["fingerprint"] for row in firing] == ["b", "c4bd3c6a43ab8f5b"]


async def test_a_wrong_payload_is_refused(shop: Shop, runner: Running) -> None:
    for wrong in (
        {"version": "3"},
        {"alerts": []},
        {"groupKey": ""},
        {"groupKey": "x" * 9000},
        {"alerts": [waiting() | {"startsAt": "yesterday"}]},
        {"alerts": [waiting() | {"status": "maybe"}]},
        {"alerts": [waiting() | {"fingerprint": "a b"}]},
        {"alerts": [waiting() | {"labels": {"alertname": 7}}]},
        {"alerts": [waiting()] * 1001},
    ):
        assert (await post(shop, runner, hook(waiting()) | wrong))[0] == 422, str(wrong)[:80]


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, schema=SCHEMA)
    await database.start()
    yield database
    await database.stop()


def a_decision() -> Decision:
    facts = Facts(waiting=100, oldest=1.0, running=1, requested=100)
    return Sizer(Limits(min_workers=1)).step(0.0, facts, 1.0, 1)


async def test_who_has_lost_the_lease_decides_nothing(db: Database) -> None:
    lease = Lease(db, "scaler")
    await lease.acquire()

    async def decide(epoch: int) -> bool:
        return await decisions.decide(
            db, lease="scaler", epoch=epoch, phase="woke", decision=a_decision(), alerts=[]
        )

    assert not await decide(lease.epoch - 1)
    assert await db.fetchval("SELECT count(*) FROM decisions") == 0
    assert await decide(lease.epoch)
    assert await db.fetchval("SELECT desired FROM workers") == a_decision().workers


async def test_decisions_and_runs_are_kept_up_to_a_number(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "MAX_DECISIONS", 3)
    lease = Lease(db, "scaler")
    await lease.acquire()
    for _ in range(5):
        await decisions.decide(
            db, lease="scaler", epoch=lease.epoch, phase="woke", decision=a_decision(), alerts=[]
        )
    rows = await db.fetch("SELECT id FROM decisions ORDER BY id")
    assert [row["id"] for row in rows] == [3, 4, 5]


async def test_what_a_run_takes_is_the_mean_of_the_last_ones(db: Database) -> None:
    assert (await decisions.state(db)).service_time is None
    for seconds in (*[9.0] * 10, *[1.0] * 100, *[3.0] * 100):
        await decisions.took(db, seconds)
    assert (await decisions.state(db)).service_time == 2.0
    await db.execute("UPDATE runs SET ended_at = now() - interval '1 hour'")
    assert (await decisions.state(db)).service_time is None
