import asyncio
import time

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stack.backends.http import BackendAway, BackendRefused, HttpBackend
from tests.ports import free_url


async def test_a_backend_that_is_not_there_is_named_with_its_address() -> None:
    url = free_url()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(BackendAway) as caught:
            await HttpBackend("loki", url, session).call("GET", "/ready")
    assert str(caught.value) == f"loki does not answer at {url}: Connection refused"


async def test_a_backend_that_does_not_answer_is_given_up_at_the_deadline() -> None:
    async def never(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", never)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        backend = HttpBackend("jaeger", str(server.make_url("")), session, deadline=0.2)
        begun = time.monotonic()
        with pytest.raises(BackendAway, match=r"no answer in 0\.2 s"):
            await backend.call("GET", "/")
        assert time.monotonic() - begun < 30


async def test_a_backend_that_hangs_up_is_away() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, aiohttp.ClientSession() as session:
        with pytest.raises(BackendAway, match="gateway does not answer"):
            await HttpBackend("gateway", f"http://127.0.0.1:{port}", session).call("GET", "/")


async def test_an_error_status_is_refused_in_one_line() -> None:
    async def fail(_: web.Request) -> web.Response:
        return web.Response(status=500, text="it\nbroke " + "x" * 1000)

    app = web.Application()
    app.router.add_get("/", fail)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        with pytest.raises(BackendRefused) as caught:
            await HttpBackend("jaeger", str(server.make_url("")), session).get("/", dict)
    assert str(caught.value).startswith("jaeger answered 500: it broke x")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
