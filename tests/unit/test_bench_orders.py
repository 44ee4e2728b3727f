"""What `make bench ONLY=orders` is made of, as far as it needs no servers."""

import asyncio
import inspect
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from benchmarks.bench import packages
from benchmarks.bench.orders import BENCH, mesh
from benchmarks.bench.orders.customers import Ends
from benchmarks.bench.subject import Meter, Place
from services.orders import messages
from weft.messaging import Message

PEERS = Path(__file__).resolve().parents[2] / "benchmarks" / "peers"
SERVER = """
import http.server, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""


def _event(order_id: str, kind: str) -> Any:
    return SimpleNamespace(correlation_id=order_id, routing_key=f"order.{kind}")


def _service(port: int, program: str) -> mesh.Service:
    return mesh.Service(
        name="gateway", port=port, arguments=("-c", program, str(port)), environment={}
    )


async def test_an_outcome_may_be_heard_before_anybody_asks_and_twice() -> None:
    ends = Ends()
    await ends.heard(_event("1", "confirmed"))
    await ends.heard(_event("1", "confirmed"))
    asked = asyncio.create_task(ends.of("2"))
    await asyncio.sleep(0)
    await ends.heard(_event("2", "rejected"))
    assert (await ends.of("1"))[0] == "confirmed"
    assert (await asked)[0] == "rejected"


def test_each_service_has_a_database_and_a_port_of_its_own() -> None:
    place = Place(database="postgresql://bench:secret@127.0.0.1:5432/bench")
    names = [urlsplit(mesh.database(place, service)).path for service in mesh.SERVICES]
    assert names[0] == "/bench_provider"
    assert len(set(names)) == len(set(mesh.free_ports().values())) == len(mesh.SERVICES)


async def test_services_are_ready_before_anything_is_measured_and_their_memory_is_watched() -> None:
    meter = Meter()
    service = _service(mesh.free_ports()["gateway"], SERVER)
    async with mesh.running([service], meter, {"X-User": "customer"}):
        assert mesh.gateways(meter.address) == (
            [f"http://127.0.0.1:{service.port}"],
            {"X-User": "customer"},
        )
        await asyncio.sleep(0)
        assert meter.figures["memory_mib"] > 0


async def test_a_service_that_ends_is_an_error_with_what_it_wrote() -> None:
    service = _service(mesh.free_ports()["gateway"], "raise SystemExit('no such table')")
    with pytest.raises(mesh.ServiceError, match="gateway has ended:\nno such table"):
        async with mesh.running([service], Meter(), {}):
            pass


def test_the_peer_says_what_the_services_say() -> None:
    ours = {
        kind.message_type
        for _, kind in inspect.getmembers(messages, inspect.isclass)
        if issubclass(kind, Message) and hasattr(kind, "message_type")
    }
    text = (PEERS / "messages.py").read_text(encoding="utf-8")
    theirs = set(re.findall(r'^    name = "(.+)"$', text, re.MULTILINE))
    assert {"ReserveStock", "stock.reserved", "AuthorizePayment", "order.confirmed"} <= theirs
    assert theirs <= ours


def test_the_peer_has_packages_of_its_own_and_the_bench_names_their_versions() -> None:
    versions = packages.versions("peers")
    assert {"fastapi", "faststream", "sqlalchemy", "opentelemetry-sdk"} <= versions.keys()
    assert versions["sqlalchemy"].startswith("2.0."), "its instrumentation does nothing with 2.1"
    assert f"faststream {versions['faststream']}" in BENCH.about
    assert {one.packages for one in BENCH.variants} == {"", "peers"}
