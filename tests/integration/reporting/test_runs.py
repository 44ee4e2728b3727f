"""When runners die, stop, or lack what they need: one end for each report, one word to its user."""

import signal
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest

from services.report_runner.requestor import Lost
from tests.integration.reporting.kit import SECRET, Held, Shop
from tests.integration.shop.kit import Running, until
from weft.ids import uuid7
from weft.settings import Secret
from weft.telemetry import SYNTHETIC
from weft.webhooks import sign


@pytest.fixture
async def one_worker(shop: Shop, reports: Running) -> AsyncIterator[Running]:
    runner = await shop.runner(reports)
    await shop.rows("report_runner", "UPDATE workers SET desired = 1")
    yield runner
    await runner.end(signal.SIGKILL)


async def test_a_killed_runners_report_is_finished_by_another_with_one_result(
    shop: Shop, reports: Running, one_worker: Running
) -> None:
    user = shop.user(reports)
    async with shop.session.ws_connect(f"{reports.url}/v1/updates", headers=user.headers) as socket:
        async with Held(shop) as held:
            report_id = await user.ask()
            await held.reached()
            other = await shop.runner(reports)
            await one_worker.end(signal.SIGKILL)
            await _claimed_again(shop, report_id)
        seen = await user.ended(report_id)
        assert (seen["status"], seen["result"]["rows"]) == ("finished", 76)
        assert [path.name for path in (shop.artifacts / report_id).iterdir()] == ["2.csv"]
        # The word of the dead one comes late, signed; and another report ends after it.
        assert await _send_result(shop, reports, report_id, fence=1) == 204
        last = await user.ask(days=1)
        heard = await _heard_until_the_end_of(socket, last)
    assert [one["seq"] for one in heard] == list(range(1, len(heard) + 1))
    told = [one["type"] for one in heard if one["id"] == report_id]
    assert [kind for kind in told if kind != "report.progress"] == [
        "report.queued",
        "report.finished",
    ]
    assert told[-1] == "report.finished"
    await other.end(signal.SIGKILL)


async def test_a_stopped_runner_gives_its_report_back_and_no_attempt_is_spent(
    shop: Shop, reports: Running, one_worker: Running
) -> None:
    user = shop.user(reports)
    async with Held(shop) as held:
        report_id = await user.ask()
        await held.reached()
        assert await one_worker.end(signal.SIGTERM) == 0
        await user.in_state(report_id, "queued")
        (row,) = await shop.rows(
            "reports", "SELECT attempts FROM reports WHERE report_id = $1", report_id
        )
        assert row["attempts"] == 0
    other = await shop.runner(reports)
    assert (await user.ended(report_id))["status"] == "finished"
    await other.end(signal.SIGKILL)


async def test_a_store_that_stays_away_is_the_reason_that_the_user_hears(
    shop: Shop, reports: Running
) -> None:
    (shop.folder / "a-file").touch()
    away = (shop.folder / "a-file" / "artifacts").as_uri()
    runner = await shop.runner(reports, WEFT_ARTIFACTS_URL=away)
    user = shop.user(reports)
    report_id = await user.ask()
    seen = await user.ended(report_id)
    assert (seen["status"], seen["reason"]) == ("failed", "artifact_store_unavailable")
    assert await user.ends_told(report_id) == ["report.failed"]
    claimed = [data for _, data in await user.told(report_id) if data.get("stage") == "claimed"]
    assert len(claimed) == 3
    await runner.end(signal.SIGKILL)


async def test_a_report_that_nobody_makes_in_time_has_expired(shop: Shop, reports: Running) -> None:
    user = shop.user(reports)
    report_id = await user.ask()
    await shop.rows(
        "reports",
        "UPDATE weft.deadlines SET due_at = now() WHERE kind = 'report_expiry' AND key = $1",
        report_id,
    )
    seen = await user.ended(report_id)
    assert (seen["status"], seen["reason"]) == ("expired", "expired")
    assert await user.ends_told(report_id) == ["report.expired"]


async def test_a_runner_is_told_how_much_there_is_to_do(shop: Shop, reports: Running) -> None:
    async with shop.requestor(reports) as requestor:
        before = await requestor.facts(within=10)
        user = shop.user(reports)
        asked = [await user.ask(), await user.ask()]
        facts = await requestor.facts(within=10)
        assert facts.waiting == before.waiting + 2
        assert facts.requested == before.requested + 2
        assert facts.oldest > 0
        claim = await requestor.claim(asked[0], uuid7())
        assert claim is not None
        assert await requestor.claim(asked[0], uuid7()) is None
        facts = await requestor.facts(within=10)
        assert (facts.waiting, facts.running) == (before.waiting + 1, before.running + 1)
        await requestor.release(claim, why="stopped", again_in=60, spent=False)
        with pytest.raises(Lost):
            await requestor.progress(claim, stage="extract", percent=1)
        for report_id in asked:
            await user.call("DELETE", f"/v1/reports/{report_id}")


async def test_a_synthetic_report_is_no_demand_until_it_has_waited(
    shop: Shop, reports: Running
) -> None:
    async with shop.requestor(reports) as requestor:
        before = await requestor.facts(within=10)
        report_id = await shop.user(reports, SYNTHETIC).ask()
        facts = await requestor.facts(within=10)
        assert (facts.waiting, facts.requested) == (before.waiting, before.requested)
        await shop.rows(
            "reports",
            "UPDATE reports SET created_at = created_at - interval '5 s' WHERE report_id = $1",
            report_id,
        )
        facts = await requestor.facts(within=10)
        assert (facts.waiting, facts.requested) == (before.waiting + 1, before.requested)
        claim = await requestor.claim(report_id, uuid7())
        assert claim is not None
        assert claim.synthetic
        facts = await requestor.facts(within=10)
        assert (facts.waiting, facts.running) == (before.waiting, before.running)
        await requestor.release(claim, why="stopped", again_in=60, spent=False)
        await shop.rows("reports", "DELETE FROM reports WHERE report_id = $1", report_id)


async def test_the_same_claim_again_is_the_same_claim(shop: Shop, reports: Running) -> None:
    async with shop.requestor(reports) as requestor:
        user = shop.user(reports)
        report_id = await user.ask()
        claim_id = uuid7()
        first, again = [await requestor.claim(report_id, claim_id) for _ in range(2)]
        assert first is not None
        assert again is not None
        assert (first.fence, again.fence) == (1, 1)
        await user.call("DELETE", f"/v1/reports/{report_id}")
        assert await requestor.claim(report_id, claim_id) is None


@pytest.mark.usefixtures("one_worker")
async def test_a_result_with_a_wrong_signature_or_an_old_fence_changes_nothing(
    shop: Shop, reports: Running
) -> None:
    user = shop.user(reports)
    async with Held(shop) as held:
        report_id = await user.ask()
        await held.reached()
        for fence, secret, status in ((1, SECRET[:-2] + "AA", 401), (7, SECRET, 204)):
            sent = await _send_result(shop, reports, report_id, fence=fence, secret=secret)
            assert sent == status
        assert (await user.see(report_id))["status"] == "running"
    assert (await user.ended(report_id))["status"] == "finished"


async def _send_result(
    shop: Shop, reports: Running, report_id: str, *, fence: int, secret: str = SECRET
) -> int:
    """Say as a runner that the report has failed; return the status."""
    data = {"report_id": report_id, "fence": fence, "reason": "forged"}
    body = msgspec.json.encode(
        {"type": "report.result", "timestamp": "2026-01-01T00:00:00Z", "data": data}
    )
    headers = sign(Secret(secret), id=f"{report_id}.{fence}", body=body)
    headers["Content-Type"] = "application/json"
    url = f"{reports.url}/webhooks/report-runner"
    async with shop.session.post(url, data=body, headers=headers) as answer:
        return answer.status


async def _heard_until_the_end_of(
    socket: aiohttp.ClientWebSocketResponse, report_id: str
) -> list[dict[str, Any]]:
    heard: list[dict[str, Any]] = []
    while not heard or (heard[-1]["id"], heard[-1]["type"]) != (report_id, "report.finished"):
        heard.append(await socket.receive_json(timeout=60))
    return heard


async def _claimed_again(shop: Shop, report_id: str) -> None:
    async def probe() -> bool:
        (row,) = await shop.rows(
            "reports", "SELECT fence, status FROM reports WHERE report_id = $1", report_id
        )
        return row["fence"] == 2 and row["status"] == "running"

    await until(probe)
