"""What the collector received in this run of the tests is what registry/weft.yaml says.

The files with tests of a whole system come before this one by name, so most has been received.
"""

import asyncio
import secrets
from pathlib import Path
from typing import Protocol

import pytest

from registry.check import Finding, Seen, checked
from stack.backends.connect import connect
from stack.system import System as Stack

SCOPES = ("orders:read", "orders:write", "inventory:write")
SERVICES = {"gateway", "orders", "inventory", "payments", "card_provider", "reports", "notifier"}
DEADLINE = 120.0
"""Seconds: all of a run's telemetry is read."""


class Running(Protocol):
    environment: dict[str, str]


async def order(stack: Stack) -> None:
    """One confirmed order, so that there is something where this file is run alone."""
    async with connect(stack) as backends:
        gateway = backends.gateway("received", SCOPES)
        sku = f"RECEIVED-{secrets.token_hex(4)}"
        product = {"name": "test", "price": {"amount": "1.00", "currency": "EUR"}, "stock": 10}
        await gateway.call("PUT", f"/v1/products/{sku}", headers=gateway._headers, json=product)
        placed = await gateway.place(sku, 1, "tok_ok")
        states = [state async for state in gateway.follow(placed.order_id)]
        assert states[-1].status == "confirmed"


async def arrived(folder: Path) -> tuple[list[Finding], Seen]:
    """Wait until every service has sent some of each, and look at all of it."""
    async with asyncio.timeout(DEADLINE):
        while True:
            findings, seen = await asyncio.to_thread(checked, folder)
            if seen.services >= SERVICES and seen.spans > 50 and seen.points and seen.records:
                return findings, seen
            await asyncio.sleep(1)


@pytest.mark.timeout(240)
async def test_every_name_type_unit_and_attribute_received_is_as_the_registry_says(
    system: Running,
) -> None:
    stack = Stack.load(system.environment)
    folder = stack.home.data("otel-collector-record")
    assert folder.exists(), "the system records nothing: start it with WEFT_RECORD_TELEMETRY=true"
    await order(stack)
    findings, _ = await arrived(folder)
    assert "\n".join(map(str, findings)) == ""
