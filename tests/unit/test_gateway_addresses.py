"""The file of addresses, followed."""

import asyncio
import json
from pathlib import Path

import pytest

from services.gateway.addresses import MAX_BYTES, Addresses
from weft.background import Background
from weft.http import HttpClient

LONG = '{"orders": "http://b:2"}' + " " * MAX_BYTES


def of(client: HttpClient) -> list[str]:
    return [peer.base_url for peer in client._peers]


@pytest.fixture
def orders() -> HttpClient:
    return HttpClient("http://a:1", name="orders")


def test_the_file_is_followed_and_its_absence_changes_nothing(
    tmp_path: Path, orders: HttpClient
) -> None:
    path = tmp_path / "addresses.json"
    reports, sockets = (HttpClient("http://r:1", name=name) for name in ("reports", "sockets"))
    addresses = Addresses(path, {"orders": [orders], "reports": [reports, sockets]})
    addresses.look()
    assert of(orders) == ["http://a:1"]
    path.write_text(json.dumps({"orders": "http://a:1 http://b:2", "others": "http://c:3"}))
    addresses.look()
    assert of(orders) == ["http://a:1", "http://b:2"]
    assert of(reports) == ["http://r:1"]
    path.write_text(json.dumps({"reports": "http://r:2"}))
    addresses.look()
    assert of(reports) == of(sockets) == ["http://r:2"]
    path.unlink()
    addresses.look()
    assert of(orders) == ["http://a:1", "http://b:2"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", '{"orders": 1}', '{"orders": ""}', '{"orders": "b:2"}', '{"orders"', LONG),
        *('{"orders": "http://b:x"}', '{"orders": "http://b:99999"}'),
    ],
)
def test_a_wrong_file_leaves_the_last_addresses(
    tmp_path: Path, orders: HttpClient, text: str
) -> None:
    path = tmp_path / "addresses.json"
    path.write_text(text)
    addresses = Addresses(path, {"orders": [orders]})
    addresses.look()
    assert of(orders) == ["http://a:1"]


async def test_what_is_written_while_it_runs_is_taken_up(
    tmp_path: Path, orders: HttpClient
) -> None:
    path = tmp_path / "addresses.json"
    addresses = Background("addresses", Addresses(path, {"orders": [orders]}).run)
    await addresses.start()
    path.write_text(json.dumps({"orders": "http://b:2"}))
    async with asyncio.timeout(30):
        while of(orders) != ["http://b:2"]:  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.01)
    await addresses.check()
    await addresses.stop()
