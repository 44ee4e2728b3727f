"""An error of a service, from its dead letter to the operators' page and back."""

import asyncio
import json
import secrets
from typing import Any

import aiohttp
import pytest

from tests.running import System
from weft.ids import uuid7

DEADLINE = 60.0
KIND = "stock.reserved"


async def spoil(session: aiohttp.ClientSession, management: str) -> str:
    """Put a message into a queue of orders that cannot be read; return its trace's id."""
    trace_id = secrets.token_hex(16)
    message = {
        "routing_key": "orders.events",
        "payload": "no JSON",
        "payload_encoding": "string",
        "properties": {
            "type": f"{KIND}.v1",
            "message_id": uuid7(),
            "content_type": "application/json",
            "headers": {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"},
        },
    }
    url = f"{management}/api/exchanges/weft/orders.direct/publish"
    async with session.post(url, json=message) as answer:
        assert (await answer.json())["routed"], await answer.text()
    return trace_id


async def seen(session: aiohttp.ClientSession, url: str, trace_id: str) -> dict[str, Any]:
    """Wait until the page has the error's group, with its dead letter."""
    async with asyncio.timeout(DEADLINE):
        while True:
            async with session.get(f"{url}/ops/errors") as answer:
                assert answer.status == 200, await answer.text()
                groups = (await answer.json())["errors"]
            for group in groups:
                if group["trace_id"] == trace_id and group["dead"]:
                    found: dict[str, Any] = group
                    return found
            await asyncio.sleep(0.5)


@pytest.mark.alone
async def test_an_error_has_one_fingerprint_on_the_page_in_the_log_and_as_a_dead_letter(
    system: System,
) -> None:
    headers = {"Authorization": f"Bearer {system.token('eve', ['ops'])}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with aiohttp.ClientSession() as admin:
            trace_id = await spoil(admin, system.variables["WEFT_ADMIN_MANAGEMENT_URL"])
        group = await seen(session, system.url("gateway"), trace_id)
        assert "orders" in group["services"], "with others that could not read a message either"
        assert group["error_type"].endswith("Unparsable")
        assert group["first"] <= group["last"]
        async with session.get(
            f"{system.url('gateway')}/ops/errors", headers={"Accept": "text/html"}
        ) as answer:
            assert f"/ops/traces/{trace_id}" in await answer.text()
    listed = system.weft("dead-letters", "list", "--queue", "orders.events", "--json")
    letters = {one["group"]: one for one in json.loads(listed.stdout)}
    assert letters[group["fingerprint"]]["message_type"] == f"{KIND}.v1"
    dropped = system.weft("dead-letters", "drop", group["fingerprint"], "--yes")
    assert dropped.returncode == 0, dropped.stderr
