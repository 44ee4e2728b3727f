"""A report on real parts: asked for, made, fetched, listed, cancelled, refused."""

import io
import uuid

import aio_pika
import polars as pl
import pytest

from services.reports.domain import SYNTHETIC_KEPT
from services.reports.retention import forget
from tests.integration.reporting.kit import Held, Shop, wanted
from tests.integration.shop.kit import Running, until
from weft.artifacts import Artifacts
from weft.postgres import Database
from weft.telemetry import SYNTHETIC


@pytest.fixture(autouse=True)
def _running(reports: Running, runner: Running) -> None:
    """All of these need both."""


async def test_a_report_is_made_and_its_user_hears_of_it_once(shop: Shop, reports: Running) -> None:
    user = shop.user(reports)
    report_id = await user.ask()
    seen = await user.ended(report_id)
    # 31 days and the 7 beyond them, of two products
    assert (seen["status"], seen["progress"], seen["result"]["rows"]) == ("finished", 100, 76)
    status, body, headers = await user.call("GET", seen["links"]["download"])
    assert status == 200
    assert headers["Content-Type"].startswith("text/csv")
    assert len(body) == seen["result"]["bytes"]
    table = pl.read_csv(io.BytesIO(body))
    assert table["quantity"].sum() == 2 * sum(range(1, 32))
    # a unit more each day, at 2.50: the last day of January has 31, and February goes on
    assert table.filter(pl.col("day") == "2026-02-03")["forecast"].to_list() == [85.0, 85.0]
    told = await user.told(report_id)
    assert [kind for kind, _ in told if kind != "report.progress"] == [
        "report.queued",
        "report.finished",
    ]
    assert told[-1][1] == {"status": "finished", "reason": None, "result": seen["result"]}
    assert ("report.progress", {"status": "running", "stage": "claimed", "progress": 0}) in told


async def test_parquet_holds_the_same_as_csv(shop: Shop, reports: Running) -> None:
    user = shop.user(reports)
    asked = [await user.ask(days=10, format=kind) for kind in ("csv", "parquet")]
    files = []
    for report_id in asked:
        await user.ended(report_id)
        files.append((await user.call("GET", f"/v1/reports/{report_id}/download"))[1])
    text = pl.read_csv(io.BytesIO(files[0]), try_parse_dates=True)
    table = pl.read_parquet(io.BytesIO(files[1]))
    assert table["revenue"].sum() == text["revenue"].sum() == 2 * 2.5 * 55
    assert table["day"].to_list() == text["day"].to_list()


async def test_the_same_key_is_the_same_report(shop: Shop, reports: Running) -> None:
    user = shop.user(reports)
    key = uuid.uuid4().hex
    first, again = await user.post(wanted(3), key), await user.post(wanted(3), key)
    assert first[:2] == again[:2]
    assert again[2]["Idempotent-Replayed"] == "true"
    assert (await user.post(wanted(4), key))[0] == 422


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"to": "2026-01-01"}, "/to"),
        ({"to": "2025-12-31"}, "/to"),
        ({"to": "2027-01-03"}, "/to"),
        ({"from": "1999-12-31", "to": "2000-01-02"}, "/from"),
        ({"from": "2026-02-30"}, "/from"),
        ({"priority": 10}, "/priority"),
        ({"kind": "gossip"}, "/kind"),
        ({"format": "pdf"}, "/format"),
    ],
)
async def test_what_cannot_be_a_report_is_refused_with_the_place(
    shop: Shop, reports: Running, change: dict[str, object], path: str
) -> None:
    status, problem, _ = await shop.user(reports).post(wanted() | change)
    assert status == 422
    assert [error["path"] for error in problem["errors"]] == [path]


async def test_an_empty_range_is_a_failure_with_its_reason(shop: Shop, reports: Running) -> None:
    user = shop.user(reports)
    report_id = await user.ask(days=5, **{"from": "2025-01-01", "to": "2025-01-06"})
    seen = await user.ended(report_id)
    assert (seen["status"], seen["reason"]) == ("failed", "no_sales")
    assert await user.ends_told(report_id) == ["report.failed"]
    assert (await user.call("GET", f"/v1/reports/{report_id}/download"))[0] == 409


async def test_a_cancelled_report_ends_at_once_and_frees_its_worker(
    shop: Shop, reports: Running
) -> None:
    user = shop.user(reports)
    async with Held(shop) as held:
        report_id = await user.ask()
        await held.reached()
        assert (await user.call("GET", f"/v1/reports/{report_id}/download"))[0] == 409
        status, _, _ = await user.call("DELETE", f"/v1/reports/{report_id}")
        assert status == 200

        async def let_go() -> bool:
            return await held.waiting() == 0

        await until(let_go)
    assert await user.ends_told(report_id) == ["report.cancelled"]
    assert (await user.call("DELETE", f"/v1/reports/{report_id}"))[0] == 200
    finished = await user.ask(days=1)
    await user.ended(finished)
    assert (await user.call("DELETE", f"/v1/reports/{finished}"))[0] == 409
    assert (await user.see(report_id))["status"] == "cancelled"


async def test_nobody_sees_another_users_report(shop: Shop, reports: Running) -> None:
    report_id = await shop.user(reports).ask(days=1)
    other = shop.user(reports)
    for method, path in [("GET", ""), ("DELETE", ""), ("GET", "/download")]:
        assert (await other.call(method, f"/v1/reports/{report_id}{path}"))[0] == 404
    assert (await other.call("POST", f"/runs/{report_id}/claim"))[0] == 403
    assert (await other.call("GET", "/runs"))[0] == 403


async def test_a_users_reports_are_listed_newest_first_by_page(
    shop: Shop, reports: Running
) -> None:
    user = shop.user(reports)
    asked = [await user.ask(days=1) for _ in range(3)]
    found, cursor = [], ""
    while cursor is not None:
        url = f"{reports.url}/v1/reports?limit=2" + (f"&cursor={cursor}" if cursor else "")
        async with shop.session.get(url, headers=user.headers) as answer:
            page = await answer.json()
        found += [each["report_id"] for each in page["reports"]]
        cursor = page["next"]
    assert found == asked[::-1]


async def test_the_most_urgent_report_is_made_first(shop: Shop, reports: Running) -> None:
    user = shop.user(reports)
    await until(lambda: _idle(shop))
    async with Held(shop) as held:
        busy = [await user.ask(days=1) for _ in range(4)]
        await held.reached(4)
        asked = [await user.ask(days=1, priority=priority) for priority in (0, 9, 4)]
        await until(lambda: _published(shop))
    for report_id in [*busy, *asked]:
        await user.ended(report_id)
    claimed = await shop.rows(
        "reports",
        "SELECT id FROM channel_messages WHERE subject = $1 AND data ->> 'stage' = 'claimed'"
        " ORDER BY seq",
        user.subject,
    )
    assert [row["id"] for row in claimed[4:]] == [asked[1], asked[2], asked[0]]


async def _published(shop: Shop) -> bool:
    return not await shop.rows("reports", "SELECT FROM weft.outbox LIMIT 1")


async def _idle(shop: Shop) -> bool:
    return not await shop.rows("reports", "SELECT FROM reports WHERE finished_at IS NULL LIMIT 1")


async def test_a_report_and_its_artifact_are_forgotten_when_they_are_too_old(
    shop: Shop, reports: Running
) -> None:
    user = shop.user(reports)
    old, young = await user.ask(days=3), await user.ask(days=3)
    for report_id in (old, young):
        await user.ended(report_id)
    await shop.rows(
        "reports",
        "UPDATE reports SET finished_at = now() - interval '31 days' WHERE report_id = $1",
        old,
    )
    [row] = await shop.rows("reports", "SELECT artifact FROM reports WHERE report_id = $1", old)
    assert (shop.artifacts / row["artifact"]).exists()
    database = Database(shop.urls["reports"])
    await database.start()
    kept = 30 * 86400.0
    artifacts = Artifacts(shop.artifacts.as_uri())
    assert await forget(database, artifacts, kept=kept) == 1
    assert await forget(database, artifacts, kept=kept) == 0
    await database.stop()
    assert not (shop.artifacts / old).exists(), "nor its folder"
    assert (await user.call("GET", f"/v1/reports/{old}"))[0] == 404
    assert (await user.call("GET", f"/v1/reports/{young}/download"))[0] == 200


async def test_a_synthetic_report_may_be_empty_is_no_measure_of_runs_and_is_forgotten_sooner(
    shop: Shop, reports: Running, runner: Running
) -> None:
    probe, user = shop.user(reports, SYNTHETIC), shop.user(reports)
    await until(lambda: _idle(shop))
    await until(lambda: _published(shop))
    broker = await aio_pika.connect(shop.urls["broker"])
    world = await (await broker.channel()).declare_queue(exclusive=True)
    await world.bind("weft.events", "report.*")
    other = await user.ask(days=1)
    await user.ended(other)
    await until(lambda: _measured(runner, other))
    runs = len(await shop.rows("report_runner", "SELECT FROM runs"))
    asked = await probe.ask(**{"from": "2000-01-01", "to": "2000-01-02"})
    seen = await probe.ended(asked)
    assert (seen["status"], seen["result"]["rows"]) == ("finished", 0)
    status, body, _ = await probe.call("GET", seen["links"]["download"])
    assert (status, body.startswith(b"day,sku,name")) == (200, True)
    await until(lambda: _measured(runner, asked))
    assert len(await shop.rows("report_runner", "SELECT FROM runs")) == runs
    await until(lambda: _published(shop))
    told = []
    while message := await world.get(no_ack=True, fail=False):
        told.append(message.correlation_id)
    await broker.close()
    assert told == [other]

    await shop.rows(
        "reports",
        "UPDATE reports SET finished_at = now() - interval '2 hours' WHERE report_id = ANY($1)",
        [asked, other],
    )
    database = Database(shop.urls["reports"])
    await database.start()
    artifacts = Artifacts(shop.artifacts.as_uri())
    await artifacts.put(f"{asked}/99.csv", b"of a runner that had lost it")
    assert await forget(database, artifacts, kept=SYNTHETIC_KEPT, synthetic=True) == 1
    await database.stop()
    assert not (shop.artifacts / asked).exists()
    assert (await probe.call("GET", f"/v1/reports/{asked}"))[0] == 404
    assert (await user.call("GET", f"/v1/reports/{other}/download"))[0] == 200


async def _measured(runner: Running, report_id: str) -> bool:
    """Whether what a run took is stored, which comes after its result."""
    lines = runner.output.splitlines()
    return any('"report run"' in line and report_id in line for line in lines)
