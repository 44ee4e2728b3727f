from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from stack.backends.prometheus import Exemplar, Line, Prometheus, Sample


async def ask(path: str, data: Any, promql: str) -> list[Sample] | list[Exemplar]:
    async def handle(request: web.Request) -> web.Response:
        assert request.query["query"] == promql
        return web.json_response({"status": "success", "data": data})

    app = web.Application()
    app.router.add_get(path, handle)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        client = Prometheus("prometheus", str(server.make_url("")), session)
        if path.endswith("exemplars"):
            return await client.exemplars(promql)
        return await client.query(promql)


async def test_an_instant_vector_is_labels_and_numbers() -> None:
    data = {"resultType": "vector", "result": [{"metric": {"a": "b"}, "value": [1.5, "42"]}]}
    assert await ask("/api/v1/query", data, "up{a='b'}") == [Sample({"a": "b"}, 42.0)]


async def test_exemplars_are_those_with_a_trace_newest_first() -> None:
    exemplars = [
        {"labels": {"trace_id": "old"}, "value": "0.1", "timestamp": 1.0},
        {"labels": {}, "value": "0.2", "timestamp": 2.0},
        {"labels": {"trace_id": "new"}, "value": "0.3", "timestamp": 3.0},
    ]
    data = [{"seriesLabels": {}, "exemplars": exemplars}]
    found = await ask("/api/v1/query_exemplars", data, "x_bucket")
    assert found == [Exemplar("new", 0.3, 3.0), Exemplar("old", 0.1, 1.0)]


async def test_raw_samples_are_times_and_numbers_of_series_that_have_some() -> None:
    values = [[1.5, "42"], [2.5, "43"]]
    result = [{"metric": {"a": "b"}, "values": values}, {"metric": {"a": "c"}}]

    async def handle(request: web.Request) -> web.Response:
        assert request.query["query"] == "up[60000ms]"
        assert request.query["time"] == "100.000"
        return web.json_response({"data": {"resultType": "matrix", "result": result}})

    app = web.Application()
    app.router.add_get("/api/v1/query", handle)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        client = Prometheus("prometheus", str(server.make_url("")), session)
        assert await client.lines("up", 40.0, 100.0) == [Line({"a": "b"}, [(1.5, 42), (2.5, 43)])]
