"""A report of more than 64 MiB, made by a runner and fetched through the gateway."""

import asyncio
import hashlib
import re
import uuid
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from services.gateway.proxy import DOWNLOADS_PER_USER
from tests.integration.reporting.kit import COLUMNS, Shop, User
from tests.integration.shop.kit import Running, until

PRODUCTS = 2_000
NAME = "A product whose name is as long as names in a large shop are, with its colour and size"
SOLD = datetime(2025, 6, 1, 12, tzinfo=UTC)
YEAR = {"from": "2025-01-01", "to": "2025-12-31"}
LARGE = 64 << 20
MOST = 24 << 20
"""Bytes by which a process may grow meanwhile: far less than the report has."""


@pytest.fixture(scope="module")
async def gateway(shop: Shop, reports: Running, runner: Running) -> Running:
    assert runner.pid
    return await shop.gateway(reports)


@pytest.fixture(scope="module")
async def large(shop: Shop, gateway: Running) -> tuple[User, str, Path]:
    """A user of the gateway, the path of his download, and the file in the store."""
    connection = await asyncpg.connect(shop.urls["orders"])
    rows = [
        (1, uuid.uuid4(), 1, SOLD, f"SKU-{n}", f"{NAME} {n}", 1, 250, "EUR")
        for n in range(PRODUCTS)
    ]
    await connection.copy_records_to_table("sales", records=rows, columns=COLUMNS)
    await connection.close()
    user = shop.user(gateway)
    report_id = await user.ask(**YEAR)
    seen = await user.ended(report_id)
    assert seen["status"] == "finished", seen
    assert seen["result"]["rows"] == PRODUCTS * (364 + 7)
    (file,) = (shop.artifacts / report_id).iterdir()
    assert file.stat().st_size == seen["result"]["bytes"] > LARGE
    return user, f"/v1/reports/{report_id}/download", file


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _memory(process: Running, what: str) -> int:
    """VmRSS or VmHWM, the highest since `_forget_peak`, in bytes."""
    found = re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    assert found
    return int(found[1]) << 10


def _forget_peak(process: Running) -> None:
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")


async def test_a_large_report_comes_whole_and_no_process_grows_with_it(
    shop: Shop, reports: Running, gateway: Running, large: tuple[User, str, Path]
) -> None:
    user, path, file = large
    await user.call("GET", path.removesuffix("/download"))
    before = {each: _memory(each, "VmRSS") for each in (reports, gateway)}
    for each in before:
        _forget_peak(each)
    digest, came = hashlib.sha256(), 0
    async with shop.session.get(gateway.url + path, headers=user.headers) as answer:
        assert answer.status == 200
        assert answer.content_length == file.stat().st_size
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert answer.headers["Content-Disposition"].startswith("attachment")
        async for piece in answer.content.iter_any():
            digest.update(piece)
            came += len(piece)
    assert (came, digest.hexdigest()) == (file.stat().st_size, _digest(file))
    grown = {each.name: _memory(each, "VmHWM") - was for each, was in before.items()}
    assert max(grown.values()) < MOST, grown


async def test_who_was_cut_off_goes_on_where_he_stopped(
    shop: Shop, gateway: Running, large: tuple[User, str, Path]
) -> None:
    user, path, file = large
    url = gateway.url + path
    async with shop.session.get(url, headers=user.headers) as answer:
        tag = answer.headers["ETag"]
        start = len(await answer.content.readexactly(3_000_000))
        answer.close()
    rest = user.headers | {"Range": f"bytes={start}-", "If-Range": tag}
    async with shop.session.get(url, headers=rest) as answer:
        size = file.stat().st_size
        assert (answer.status, answer.content_length) == (206, size - start)
        assert answer.headers["Content-Range"] == f"bytes {start}-{size - 1}/{size}"
        body = await answer.read()
    assert body == await asyncio.to_thread(lambda: file.read_bytes()[start:])
    for header, status in (
        ({"If-None-Match": tag}, 304),
        ({"Range": f"bytes={size}-"}, 416),
        ({"Range": "bytes=-1", "If-Range": '"another"'}, 200),
    ):
        async with shop.session.get(url, headers=user.headers | header) as answer:
            assert answer.status == status
            answer.close()


async def test_one_user_has_a_few_downloads_at_once_and_another_is_not_held_up(
    shop: Shop, gateway: Running, large: tuple[User, str, Path]
) -> None:
    user, path, _ = large
    url = gateway.url + path

    async def status(headers: dict[str, str]) -> int:
        async with shop.session.get(url, headers=headers) as answer:
            answer.close()
            return answer.status

    held = [await shop.session.get(url, headers=user.headers) for _ in range(DOWNLOADS_PER_USER)]
    assert {each.status for each in held} == {200}
    assert await status(user.headers) == 429
    assert await status(shop.user(gateway).headers) == 404
    for each in held:
        each.close()

    async def free() -> bool:
        return await status(user.headers) == 200

    await until(free)


async def test_an_artifact_that_is_gone_is_a_410_and_nothing_is_said_of_where_it_was(
    shop: Shop, gateway: Running
) -> None:
    user = shop.user(gateway)
    report_id = await user.ask(days=3)
    await user.ended(report_id)
    for file in (shop.artifacts / report_id).iterdir():
        file.unlink()
    status, body, _ = await user.call("GET", f"/v1/reports/{report_id}/download")
    assert status == 410
    assert str(shop.folder).encode() not in body
