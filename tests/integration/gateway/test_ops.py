"""The operators' pages where Jaeger and Loki are away, or answer what they should not."""

import asyncio
from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.integration.gateway.kit import Gateway
from tests.ports import free_url

TRACE = "0af7651916cd43dd8448eb211c80319c"
PAGE = f"/ops/traces/{TRACE}"
HTML = {"Accept": "text/html,application/xhtml+xml"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
async def alone(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """A gateway whose backends are away."""
    folder: Path = tmp_path_factory.mktemp("alone")
    nowhere = free_url()
    settings = {"WEFT_JAEGER_URL": nowhere, "WEFT_LOKI_URL": nowhere}
    async with Gateway.running(folder, **settings) as running:
        yield running


async def sign_in(gateway: Gateway, fields: dict[str, str], **headers: str) -> tuple[int, Any, Any]:
    return await gateway.ask(
        "POST",
        "/ops/sign-in",
        headers=FORM | headers,
        data=urlencode(fields),
        allow_redirects=False,
    )


def token(gateway: Gateway, *scopes: str) -> str:
    return gateway.bearer("eve", *scopes)["Authorization"].removeprefix("Bearer ")


@pytest.mark.parametrize("path", ["/ops", PAGE, f"{PAGE}/logs", f"/ops/traces?id={TRACE}"])
async def test_only_tokens_with_the_scope_are_let_in(alone: Gateway, path: str) -> None:
    assert (await alone.ask("GET", path, headers={}))[0] == 401
    assert (await alone.ask("GET", path, headers={"Authorization": "Bearer x"}))[0] == 401
    status, problem, _ = await alone.ask("GET", path, headers=alone.bearer("eve", "orders:read"))
    assert (status, problem["detail"]) == (403, "The scope ops is needed here.")


async def test_while_jaeger_is_away_a_trace_is_a_problem_that_says_so(alone: Gateway) -> None:
    ops = alone.bearer("eve", "ops")
    status, problem, headers = await alone.ask("GET", PAGE, headers=ops)
    assert status == 503
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["Retry-After"]
    assert "jaeger is away" in problem["detail"]
    status, page, headers = await alone.ask("GET", PAGE, headers=ops | HTML)
    assert status == 503
    assert headers["Content-Type"].startswith("text/html")
    assert b"jaeger is away" in page


async def test_the_gateway_is_ready_without_jaeger_and_loki(alone: Gateway) -> None:
    assert (await alone.ask("GET", "/readyz"))[0] == 200


async def test_the_overview_tells_who_is_away_and_answers_without_orders(alone: Gateway) -> None:
    ops = alone.bearer("eve", "ops")
    status, told, _ = await alone.ask("GET", "/ops", headers=ops)
    states = {each["name"]: each["state"] for each in told["services"]}
    assert status == 200
    assert (states["gateway"], states["jaeger"], states["loki"]) == ("ready", "away", "away")
    assert told["orders"] is None
    status, page, _ = await alone.ask("GET", "/ops", headers=ops | HTML)
    assert status == 200
    assert b"its orders cannot be shown" in page


@pytest.mark.parametrize("wrong", ["x", "g" * 32, TRACE + "0", "..%2f..%2fapi"])
async def test_what_is_no_trace_id_is_not_asked_for(alone: Gateway, wrong: str) -> None:
    status, _, _ = await alone.ask(
        "GET", f"/ops/traces/{wrong}", headers=alone.bearer("eve", "ops")
    )
    assert status == 404


async def test_the_form_gives_a_cookie_that_opens_these_pages_and_nothing_else(
    alone: Gateway,
) -> None:
    status, _, headers = await sign_in(
        alone, {"token": token(alone, "ops", "orders:read"), "after": PAGE}
    )
    assert (status, headers["Location"]) == (303, PAGE)
    kept = headers["Set-Cookie"]
    assert {"Path=/ops", "HttpOnly", "SameSite=Strict"} <= set(kept.split("; "))
    cookie = {"Cookie": kept.partition(";")[0]}
    assert (await alone.ask("GET", "/ops", headers=cookie))[0] == 200
    assert (await alone.ask("GET", "/v1/orders", headers=cookie))[0] == 401


async def test_a_token_that_is_not_good_gets_the_form_again_and_no_cookie(alone: Gateway) -> None:
    for fields, expected in (
        ({"token": "<b>"}, 401),
        ({}, 401),
        ({"token": token(alone, "orders:read")}, 403),
    ):
        status, page, headers = await sign_in(alone, fields)
        assert status == expected
        assert b'name="token"' in page
        assert b"<b>" not in page
        assert "Set-Cookie" not in headers


@pytest.mark.parametrize("after", ["https://evil.example/", "//evil.example", "/ops/../v1"])
async def test_the_form_leads_nowhere_else(alone: Gateway, after: str) -> None:
    _, _, headers = await sign_in(alone, {"token": token(alone, "ops"), "after": after})
    assert headers["Location"] == "/ops"


async def test_the_form_of_another_site_signs_nobody_in(alone: Gateway) -> None:
    fields = {"token": token(alone, "ops")}
    status, _, headers = await sign_in(alone, fields, **{"Sec-Fetch-Site": "cross-site"})
    assert status == 403
    assert "Set-Cookie" not in headers


async def test_who_is_not_signed_in_gets_the_form_that_leads_back(alone: Gateway) -> None:
    status, page, _ = await alone.ask("GET", PAGE, headers=HTML)
    assert status == 401
    assert f'value="{PAGE}"'.encode() in page


async def test_who_follows_another_sites_link_may_be_signed_in_already(alone: Gateway) -> None:
    """Their browser sends no SameSite=Strict cookie then, but does with the page's own link."""
    headers = HTML | {"Sec-Fetch-Site": "cross-site"}
    _, page, _ = await alone.ask("GET", PAGE, headers=headers)
    assert f'Already signed in? <a href="{PAGE}">'.encode() in page


async def test_signing_out_takes_the_cookie_away(alone: Gateway) -> None:
    status, _, headers = await alone.ask("POST", "/ops/sign-out", headers={}, allow_redirects=False)
    assert status == 303
    assert "Max-Age=0" in headers["Set-Cookie"]


async def test_no_page_may_run_scripts_be_framed_or_be_kept(alone: Gateway) -> None:
    for path in ("/ops", PAGE, "/ops/sign-in"):
        _, page, headers = await alone.ask("GET", path, headers=alone.bearer("eve", "ops") | HTML)
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'self';")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert b"<script" not in page
        assert b"style=" not in page


async def test_the_pages_have_no_place_in_the_public_specification(alone: Gateway) -> None:
    _, document, _ = await alone.ask("GET", "/openapi.json")
    assert not [path for path in document["paths"] if path.startswith("/ops")]


async def test_a_trace_is_shown_without_log_lines_while_loki_refuses(tmp_path: Path) -> None:
    async with TestServer(_backends(loki=500)) as server:
        url = str(server.make_url("")).rstrip("/")
        async with Gateway.running(tmp_path, WEFT_JAEGER_URL=url, WEFT_LOKI_URL=url) as gateway:
            ops = gateway.bearer("eve", "ops")
            status, told, _ = await gateway.ask("GET", PAGE, headers=ops)
            assert (status, told["span_count"]) == (200, 1)
            assert told["logs_missing"] == "loki: it answered 500"
            status, page, _ = await gateway.ask("GET", PAGE, headers=ops | HTML)
            assert status == 200
            assert b"Log lines are missing: loki: it answered 500" in page


async def test_more_traces_than_can_be_in_hand_at_once_are_asked_to_come_again(
    tmp_path: Path,
) -> None:
    held = asyncio.Event()
    async with TestServer(_backends(held=held)) as server:
        url = str(server.make_url("")).rstrip("/")
        async with Gateway.running(tmp_path, WEFT_JAEGER_URL=url, WEFT_LOKI_URL=url) as gateway:
            ops = gateway.bearer("eve", "ops")
            asked = [asyncio.create_task(gateway.ask("GET", PAGE, headers=ops)) for _ in range(6)]
            ending = islice(asyncio.as_completed(asked, timeout=60), 2)
            assert [(await ended)[0] for ended in ending] == [503, 503]
            held.set()
            statuses = sorted([status for status, _, _ in await asyncio.gather(*asked)])
            assert statuses == [200, 200, 200, 200, 503, 503]


async def test_a_trace_of_any_depth_is_shown(tmp_path: Path) -> None:
    async with TestServer(_backends(spans=4000)) as server:
        url = str(server.make_url("")).rstrip("/")
        async with Gateway.running(tmp_path, WEFT_JAEGER_URL=url, WEFT_LOKI_URL=url) as gateway:
            ops = gateway.bearer("eve", "ops")
            status, told, _ = await gateway.ask("GET", PAGE, headers=ops)
            assert (status, len(told["spans"])) == (200, 4000)
            assert told["spans"][-1]["parent_id"] == told["spans"][-2]["span_id"]
            status, page, _ = await gateway.ask("GET", PAGE, headers=ops | HTML)
            assert status == 200
            assert b"Only the first 3000 rows are shown." in page


async def test_what_is_no_trace_is_a_problem_of_jaegers(tmp_path: Path) -> None:
    async with TestServer(_backends(jaeger="[1]")) as server:
        url = str(server.make_url("")).rstrip("/")
        async with Gateway.running(tmp_path, WEFT_JAEGER_URL=url, WEFT_LOKI_URL=url) as gateway:
            status, problem, _ = await gateway.ask(
                "GET", PAGE, headers=gateway.bearer("eve", "ops")
            )
            assert status == 503
            assert "jaeger is away: its answer is no trace" in problem["detail"]


def _backends(
    *,
    jaeger: str | None = None,
    loki: int = 200,
    held: asyncio.Event | None = None,
    spans: int = 1,
) -> web.Application:
    chain = [_span(depth) for depth in range(spans)]
    trace = {"traceID": TRACE, "spans": chain, "processes": {"p1": {"serviceName": "shop"}}}

    async def traces(_: web.Request) -> web.Response:
        if held is not None:
            await held.wait()
        if jaeger is not None:
            return web.Response(text=jaeger)
        return web.json_response({"data": [trace]})

    async def lines(_: web.Request) -> web.Response:
        return web.json_response({"data": {"result": []}}, status=loki)

    app = web.Application()
    app.router.add_get("/api/traces/{trace_id}", traces)
    app.router.add_get("/loki/api/v1/query_range", lines)
    return app


def _span(depth: int) -> dict[str, Any]:
    """One of a chain of spans, each the child of the one before."""
    parent = {"refType": "CHILD_OF", "traceID": TRACE, "spanID": f"{depth:016x}"}
    return {
        "traceID": TRACE,
        "spanID": f"{depth + 1:016x}",
        "processID": "p1",
        "operationName": "GET /",
        "startTime": 1795446520382803 + depth,
        "duration": 3000,
        "references": [parent] if depth else [],
    }
