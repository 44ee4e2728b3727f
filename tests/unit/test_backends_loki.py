"""What Loki 3.7 answers with categorised labels, shortened."""

from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stack.backends.http import BackendRefused
from stack.backends.loki import Loki
from weft.backends.logql import Query

METADATA = {
    "detected_level": "warn",
    "flags": "1",
    "observed_timestamp": "1795446490207641856",
    "scope_name": "weft",
    "service_instance_id": "payments-0",
    "severity_number": "13",
    "severity_text": "WARN",
    "span_id": "c78c6f5b15bf38da",
    "trace_id": "da2d5a0e9396fbb5c692a9edc35decfe",
    "weft_order_id": "01a208f3-43c9-75ba-a14b-7c8a6e9af70c",
}


def body(*values: list[Any]) -> dict[str, Any]:
    stream = {"stream": {"service_name": "payments"}, "values": list(values)}
    return {"status": "success", "data": {"resultType": "streams", "result": [stream]}}


async def lines(answer: Any, asked: dict[str, str] | None = None, status: int = 200) -> list[Any]:
    async def handle(request: web.Request) -> web.Response:
        if asked is not None:
            asked.update(request.query)
        return web.json_response(answer, status=status)

    app = web.Application()
    app.router.add_get("/loki/api/v1/query_range", handle)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        loki = Loki("loki", str(server.make_url("")), session)
        return await loki.search(Query(text="x"), since=1.5, until=2.5, limit=7)


async def test_a_record_has_its_facts_without_the_plumbing() -> None:
    value = ["1795446490207641856", "payment declined", {"structuredMetadata": METADATA}]
    [line] = await lines(body(value))
    assert line.message == "payment declined"
    assert line.level == "WARNING"
    assert line.service == "payments"
    assert line.instance == "payments-0"
    assert line.trace_id == METADATA["trace_id"]
    assert line.span_id == METADATA["span_id"]
    assert line.facts == {"weft_order_id": METADATA["weft_order_id"]}
    assert line.at == pytest.approx(1795446490.207641)


async def test_records_come_oldest_first() -> None:
    found = await lines(body(["3", "c", {}], ["1", "a", {}], ["2", "b", {}]))
    assert [line.message for line in found] == ["a", "b", "c"]


async def test_a_record_without_metadata_has_no_level_and_no_trace() -> None:
    [line] = await lines(body(["1", "a"]))
    assert (line.level, line.trace_id, line.facts) == ("", "", {})


async def test_a_search_is_bounded_in_time_and_number() -> None:
    asked: dict[str, str] = {}
    await lines(body(), asked)
    assert asked["start"] == "1500000000"
    assert asked["end"] == "2500000000"
    assert asked["limit"] == "7"
    assert asked["direction"] == "backward"


async def test_a_refused_query_says_why_in_one_line() -> None:
    with pytest.raises(BackendRefused, match=r"^loki answered 400: .*parse error"):
        await lines("parse error\nat line 1", status=400)


async def test_a_message_of_several_lines_has_a_headline_of_one() -> None:
    [line] = await lines(body(["1", "SELECT 1,\n       2", {}]))
    assert line.headline == "SELECT 1, 2"
