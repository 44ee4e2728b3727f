"""The web app as it is served, the demo user's token, and the browsers' telemetry."""

import asyncio
import gzip
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from services.gateway.browsers import BURST
from tests.integration.gateway.kit import Gateway
from tests.unit.test_gateway_spans import request, span

PAGE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
async def local(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """A gateway of a local system."""
    folder: Path = tmp_path_factory.mktemp("local")
    async with Gateway.running(folder, WEFT_DEMO_USER="true") as running:
        yield running


async def test_the_page_runs_no_script_but_its_own_and_is_framed_by_nobody(local: Gateway) -> None:
    status, page, headers = await local.ask("GET", "/", headers={})
    policy = headers["Content-Security-Policy"]
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(rb"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", page)


async def test_each_file_of_the_page_has_its_type_and_is_kept_for_ever(local: Gateway) -> None:
    _, page, headers = await local.ask("GET", "/", headers={})
    assert headers["Cache-Control"] == "no-cache"
    found = set(re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.decode()))
    types = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    assert {Path(each).suffix for each in found} == set(types)
    for path in found:
        status, _, headers = await local.ask("GET", path, headers={})
        assert status == 200
        assert headers["Content-Type"].partition(";")[0] == types[Path(path).suffix]
        assert headers["Cache-Control"] == "public, max-age=31536000, immutable"


async def test_who_has_a_file_already_is_not_sent_it_again(local: Gateway) -> None:
    _, _, headers = await local.ask("GET", "/", headers={})
    known = {"If-None-Match": headers["ETag"]}
    status, body, headers = await local.ask("GET", "/", headers=known)
    assert (status, body) == (304, b"")
    assert headers["ETag"] == known["If-None-Match"]
    assert (await local.ask("GET", "/", headers={"If-None-Match": '"other"'}))[0] == 200


async def test_a_file_is_sent_compressed_to_whoever_takes_that_alone(local: Gateway) -> None:
    _, page, _ = await local.ask("GET", "/", headers={})
    [script] = re.findall(r'src="(/assets/[^"]+)"', page.decode())
    plain = {"Accept-Encoding": "identity"}
    _, whole, headers = await local.ask("GET", script, headers=plain)
    assert "Content-Encoding" not in headers
    async with local.session.get(
        f"http://127.0.0.1:{local.port}{script}", headers={"Accept-Encoding": "br, gzip"}
    ) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert int(answer.headers["Content-Length"]) < len(whole) / 2
        assert await answer.read() == whole
    assert len(gzip.compress(whole)) < len(whole)


async def test_what_is_no_file_of_the_app_is_not_found(local: Gateway) -> None:
    for path in ("/assets/x.js", "/assets/..%2findex.html", "/assets/%2e%2e%2f%2e%2e%2fapp.py"):
        assert (await local.ask("GET", path, headers={}))[0] == 404


async def test_the_demo_users_token_opens_the_shop_and_expires_within_the_hour(
    local: Gateway,
) -> None:
    status, told, headers = await local.ask("POST", "/demo-token", headers=PAGE)
    assert (status, headers["Cache-Control"]) == (200, "no-store")
    bearer = {"Authorization": f"Bearer {told['token']}"}
    status, seen, _ = await local.ask("GET", "/v1/orders", headers=bearer)
    assert (status, seen["subject"]) == (202, "demo")
    assert "inventory:write" not in seen["scopes"]
    assert (await local.ask("GET", "/app.json", headers={}))[1]["demo"] is True


@pytest.mark.parametrize(
    "foreign",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "shop.example"},
        {"Host": "127.0.0.1.shop.example:8080"},
        {"Host": "192.168.1.5:8080"},
        {"X-Forwarded-For": "203.0.113.7"},
        {"Forwarded": "for=203.0.113.7"},
    ],
    ids=str,
)
async def test_nobody_elsewhere_gets_the_demo_users_token(
    local: Gateway, foreign: dict[str, str]
) -> None:
    status, told, _ = await local.ask("POST", "/demo-token", headers=PAGE | foreign)
    assert status == 403
    assert "token" not in told


async def test_without_the_setting_there_is_no_demo_user(gateway: Gateway) -> None:
    assert (await gateway.ask("POST", "/demo-token", headers=PAGE))[0] == 404
    assert (await gateway.ask("GET", "/app.json", headers={}))[1]["demo"] is False


async def test_a_gateway_that_others_can_reach_does_not_start_with_a_demo_user(
    local: Gateway,
) -> None:
    settings = {**local.environment, "WEFT_DEMO_USER": "true", "WEFT_BIND": "0.0.0.0"}  # noqa: S104
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "services.gateway"],
        env=settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "WEFT_DEMO_USER" in done.stderr


class Collector:
    """Keeps the JSON that it was sent: the gateway's own telemetry is protobuf."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.status = 200

    async def take(self, request: web.Request) -> web.Response:
        if request.content_type != "application/json":
            return web.Response(content_type="application/x-protobuf")
        if self.status == 200:
            self.taken.append(await request.json())
        return web.json_response({}, status=self.status)


@pytest.fixture(scope="module")
async def collector() -> Collector:
    return Collector()


@pytest.fixture(scope="module")
async def observed(
    tmp_path_factory: pytest.TempPathFactory, collector: Collector
) -> AsyncIterator[Gateway]:
    """A gateway whose collector the test can look into."""
    app = web.Application()
    app.router.add_post("/v1/{signal}", collector.take)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        folder: Path = tmp_path_factory.mktemp("observed")
        async with Gateway.running(folder, OTEL_EXPORTER_OTLP_ENDPOINT=url) as running:
            yield running


async def send(gateway: Gateway, subject: str, document: Any = None) -> tuple[int, Any, Any]:
    body = json.dumps(request(span()) if document is None else document)
    headers = gateway.bearer(subject) | {"Content-Type": "application/json"}
    return await gateway.ask("POST", "/v1/traces", headers=headers, data=body)


async def test_a_browsers_spans_reach_the_collector_as_those_of_web(
    observed: Gateway, collector: Collector
) -> None:
    assert (await send(observed, "alice", request(span(), service="payments")))[0] == 200
    [resource] = collector.taken[-1]["resourceSpans"]
    said = {
        each["key"]: each["value"]["stringValue"] for each in resource["resource"]["attributes"]
    }
    assert said["service.name"] == "web"
    [sent] = resource["scopeSpans"][0]["spans"]
    assert sent["name"] == "click Place order"
    assert {"key": "user.id", "value": {"stringValue": "alice"}} in sent["attributes"]


async def test_a_stranger_sends_no_telemetry(observed: Gateway, collector: Collector) -> None:
    before = len(collector.taken)
    json_type = {"Content-Type": "application/json"}
    status, _, _ = await observed.ask("POST", "/v1/traces", headers=json_type, data=b"{}")
    assert (status, len(collector.taken)) == (401, before)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"[]", 422), (b'{"resourceSpans": 1}', 422), (b"[" * 10_000, 400)],
)
async def test_what_is_no_telemetry_is_refused(observed: Gateway, body: bytes, status: int) -> None:
    headers = observed.bearer("mallory") | {"Content-Type": "application/json"}
    answer, _, _ = await observed.ask("POST", "/v1/traces", headers=headers, data=body)
    assert answer == status


async def test_telemetry_that_the_collector_does_not_take_is_asked_for_again(
    observed: Gateway, collector: Collector
) -> None:
    collector.status = 503
    try:
        status, _, headers = await send(observed, "bob")
    finally:
        collector.status = 200
    assert (status, bool(headers["Retry-After"])) == (503, True)
    assert (await send(observed, "bob"))[0] == 200


async def test_a_user_who_floods_is_held_back_and_nobody_else(observed: Gateway) -> None:
    answers = await asyncio.gather(*(send(observed, "eve") for _ in range(BURST * 3)))
    refused = [headers for status, _, headers in answers if status == 429]
    assert len(answers) - len(refused) >= BURST
    assert refused
    assert all(int(headers["Retry-After"]) >= 1 for headers in refused)
    assert (await send(observed, "carol"))[0] == 200
