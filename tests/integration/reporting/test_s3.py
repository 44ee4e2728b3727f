"""Reports in a bucket of S3, with a key from a file: stored, fetched, refused, away."""

import hashlib
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.integration.reporting.kit import Shop
from tests.integration.reporting.s3 import BUCKET, REGION, S3
from tests.integration.shop.kit import Running, until
from tests.integration.sink import telemetry_sink
from weft.artifacts import Artifacts
from weft.errors import Gone, Unavailable
from weft.settings import Secret

URL = f"s3://{BUCKET}/made/by-weft"
PIECE = bytes(range(256)) * 4096
REASON = "artifact_store_unavailable"


@pytest.fixture(scope="module")
async def s3(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[S3]:
    server = S3(tmp_path_factory.mktemp("s3") / "s3.log")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture(scope="module")
def kept() -> list[bytes]:
    """All telemetry of these processes, as the collector gets it."""
    return []


@pytest.fixture(scope="module")
async def settings(s3: S3, kept: list[bytes], shop: Shop) -> AsyncIterator[dict[str, str]]:
    secret = shop.folder / "s3-key"
    secret.write_text(f"{s3.key}:{s3.secret}\n")
    async with telemetry_sink(kept) as collector:
        yield {
            "WEFT_ARTIFACTS_URL": URL,
            "WEFT_ARTIFACTS_ENDPOINT": s3.url,
            "WEFT_ARTIFACTS_REGION": REGION,
            "WEFT_ARTIFACTS_CREDENTIALS_FILE": str(secret),
            "OTEL_SDK_DISABLED": "false",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
        }


@pytest.fixture(scope="module")
async def reports(shop: Shop, settings: dict[str, str]) -> Running:
    return await shop.reports(**settings)


@asynccontextmanager
async def a_runner(
    shop: Shop, reports: Running, settings: dict[str, str], **other: str
) -> AsyncIterator[Running]:
    runner = await shop.runner(reports, **(settings | other))
    yield runner
    await runner.end(signal.SIGTERM)


def opened(s3: S3, *, secret: str | None = None) -> Artifacts:
    credentials = Secret(f"{s3.key}:{secret or s3.secret}")
    return Artifacts(URL, endpoint=s3.url, region=REGION, credentials=credentials)


async def test_a_file_in_many_parts_comes_back_as_it_was(s3: S3) -> None:
    artifacts, size = opened(s3), 17 * len(PIECE)
    with tempfile.TemporaryFile() as file:
        file.write(PIECE * 17)
        file.seek(0)
        await artifacts.put("a/1.csv", file)
    digest = hashlib.sha256()
    async for piece in artifacts.read("a/1.csv", range(size)):
        digest.update(piece)
    assert digest.digest() == hashlib.sha256(PIECE * 17).digest()
    assert await s3.stored("made/by-weft/a/1.csv") == PIECE * 17
    await artifacts.clear("a")
    await artifacts.clear("a")
    assert await s3.stored("made/by-weft/a/1.csv") is None
    with pytest.raises(Gone):
        await anext(artifacts.read("a/1.csv", range(1)))


async def test_wrong_keys_are_told_as_such_and_without_their_names(s3: S3) -> None:
    artifacts = opened(s3, secret="wrong")
    with pytest.raises(Unavailable) as refused:
        await artifacts.put("a/1.csv", b"x")
    assert (refused.value.dependency, refused.value.why) == (
        "artifact_store",
        "it refuses our credentials",
    )
    assert refused.value.__suppress_context__


async def test_a_report_goes_to_s3_and_comes_from_there_and_no_secret_is_told(
    s3: S3, shop: Shop, reports: Running, settings: dict[str, str], kept: list[bytes]
) -> None:
    user = shop.user(reports)
    async with a_runner(shop, reports, settings) as runner:
        report_id = await user.ask()
        seen = await user.ended(report_id)
        assert (seen["status"], seen["result"]["rows"]) == ("finished", 76)
        status, body, _ = await user.call("GET", f"/v1/reports/{report_id}/download")
        assert status == 200
        assert body == await s3.stored(f"made/by-weft/{report_id}/1.csv")
        assert not shop.artifacts.exists()
        wrong = shop.folder / "wrong-key"
        wrong.write_text(f"{s3.key}:not-{s3.secret}")
        await runner.end(signal.SIGTERM)
    bad = {"WEFT_ARTIFACTS_CREDENTIALS_FILE": str(wrong)}
    async with a_runner(shop, reports, settings, **bad) as refused:
        report_id = await user.ask()
        seen = await user.ended(report_id)
        assert (seen["status"], seen["reason"]) == ("failed", REASON)
        assert await user.ends_told(report_id) == ["report.failed"]

    async def told() -> bool:
        names = b"put artifact", b"read artifact", b"it refuses our credentials"
        return all(any(name in each for each in kept) for name in names)

    await until(told)
    outputs = [each.output.encode() for each in (reports, runner, refused)]
    assert not [each for each in (*kept, *outputs) if s3.secret.encode() in each]
    assert not [each for each in (*kept, *outputs) if s3.key.encode() in each]


async def test_an_s3_that_is_away_is_what_the_user_hears(
    s3: S3, shop: Shop, reports: Running, settings: dict[str, str]
) -> None:
    user = shop.user(reports)
    async with a_runner(shop, reports, settings):
        made = await user.ask(days=3)
        assert (await user.ended(made))["status"] == "finished"
        await s3.stop()
        report_id = await user.ask()
        seen = await user.ended(report_id)
        assert (seen["status"], seen["reason"]) == ("failed", REASON)
        assert await user.ends_told(report_id) == ["report.failed"]
    status, body, _ = await user.call("GET", f"/v1/reports/{made}/download")
    assert status == 503
    assert s3.url.encode() not in body
