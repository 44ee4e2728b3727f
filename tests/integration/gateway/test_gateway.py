import asyncio
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import ClientConnectorError

from tests.integration.gateway.kit import API_KEY, Gateway, until

TRACE = "0af7651916cd43dd8448eb211c80319c"
FOREIGN = f"00-{TRACE}-b7ad6b7169203331-00"


async def test_a_request_reaches_the_service_behind_with_its_caller_body_and_key(
    gateway: Gateway,
) -> None:
    status, seen, headers = await gateway.ask(
        "POST",
        "/v1/orders",
        headers=gateway.bearer("alice", "orders:write")
        | {"Idempotency-Key": "k1", "x-request-id": "mine-1"},
        json={"items": []},
    )
    assert status == 202
    assert (seen["service"], seen["subject"]) == ("orders", "alice")
    assert seen["scopes"] == ["orders:write"]
    assert seen["body"] == '{"items": []}'
    assert seen["headers"]["idempotency-key"] == "k1"
    assert seen["headers"]["content-type"] == "application/json"
    assert seen["headers"]["x-request-id"] == headers["x-request-id"] == "mine-1"
    assert headers["x-trace-id"] in seen["headers"]["traceparent"]


@pytest.mark.parametrize(
    ("method", "path", "service"),
    [
        ("GET", "/v1/orders?status=pending&limit=2&cursor=a%2Fb", "orders"),
        ("GET", "/v1/orders/019a0d4b-5f10-7c4e-8a3e-0a8f5a3c9b11", "orders"),
        ("GET", "/v1/products?limit=3", "inventory"),
        ("GET", "/v1/products/SKU-0001", "inventory"),
        ("PUT", "/v1/products/SKU-0001", "inventory"),
    ],
)
async def test_every_route_leads_to_its_service_with_path_and_query_as_they_came(
    gateway: Gateway, method: str, path: str, service: str
) -> None:
    status, seen, _ = await gateway.ask(method, path)
    assert (status, seen["service"], seen["method"]) == (202, service, method)
    assert seen["target"] == path


async def test_only_known_headers_pass_in_either_direction(gateway: Gateway) -> None:
    sent = {"Cookie": "a=b", "X-Forwarded-For": "1.2.3.4", "baggage": "user=eve", "Via": "x"}
    _, seen, headers = await gateway.ask("GET", "/v1/orders", headers=gateway.bearer() | sent)
    assert not {name.lower() for name in sent} & seen["headers"].keys()
    assert "Set-Cookie" not in headers
    assert "X-Inner" not in headers
    assert (headers["Idempotent-Replayed"], headers["Retry-After"]) == ("true", "7")


async def test_an_api_key_becomes_a_token_that_inner_services_accept(gateway: Gateway) -> None:
    status, seen, _ = await gateway.ask("GET", "/v1/orders", headers={"X-API-Key": API_KEY})
    assert (status, seen["subject"], seen["scopes"]) == (202, "bob", ["orders:read"])
    assert "x-api-key" not in seen["headers"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": "wrong"},
        {"Authorization": "Bearer x.y.z"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer x.y.z", "X-API-Key": API_KEY},
    ],
    ids=["none", "wrong key", "wrong token", "basic", "wrong token beside a right key"],
)
async def test_without_good_credentials_nothing_passes(
    gateway: Gateway, headers: dict[str, str]
) -> None:
    before = len(gateway.inner["orders"].seen)
    status, problem, answered = await gateway.ask("GET", "/v1/orders", headers=headers)
    assert (status, problem["status"]) == (401, 401)
    assert answered["Content-Type"] == "application/problem+json"
    assert answered["WWW-Authenticate"].startswith("Bearer")
    assert len(answered["x-trace-id"]) == 32
    assert answered["x-request-id"]
    assert len(gateway.inner["orders"].seen) == before


async def test_the_trace_of_a_caller_with_credentials_is_continued_and_not_their_sampling(
    gateway: Gateway,
) -> None:
    _, seen, headers = await gateway.ask(
        "GET", "/v1/orders", headers=gateway.bearer() | {"traceparent": FOREIGN}
    )
    assert headers["x-trace-id"] == TRACE
    assert seen["headers"]["traceparent"].startswith(f"00-{TRACE}-")
    assert seen["headers"]["traceparent"].endswith("-01")


async def test_the_trace_of_a_stranger_is_not_continued(gateway: Gateway) -> None:
    _, _, headers = await gateway.ask("GET", "/v1/orders", headers={"traceparent": FOREIGN})
    assert headers["x-trace-id"] != TRACE


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/orders/", 404),
        ("DELETE", "/v1/orders", 405),
        ("POST", "/v1/orders/019a0d4b-5f10-7c4e-8a3e-0a8f5a3c9b11", 405),
        ("PATCH", "/v1/products/SKU-0001", 405),
        ("GET", "/v1/orders/%ff", 400),
        ("GET", "/v1/orders/a%2Fb", 404),
        ("GET", "/%2e%2e/etc/passwd", 404),
    ],
)
async def test_what_does_not_exist_or_may_not_be_done_is_said_as_a_problem(
    gateway: Gateway, method: str, path: str, status: int
) -> None:
    code, problem, headers = await gateway.ask(method, path)
    assert (code, problem["status"]) == (status, status)
    assert headers["Content-Type"] == "application/problem+json"
    if status == 405:
        assert headers["Allow"]


async def test_a_body_above_one_mebibyte_is_refused_here(gateway: Gateway) -> None:
    before = len(gateway.inner["orders"].seen)
    status, problem, _ = await gateway.ask("POST", "/v1/orders", data=b"x" * (1 << 20 | 1))
    assert (status, problem["status"]) == (413, 413)
    assert len(gateway.inner["orders"].seen) == before


async def test_a_service_that_is_away_is_a_503_with_retry_after_until_it_is_back(
    gateway: Gateway,
) -> None:
    inventory = gateway.inner["inventory"]
    await inventory.server.stop()
    status, problem, headers = await gateway.ask("GET", "/v1/products")
    assert (status, problem["status"]) == (503, 503)
    assert int(headers["Retry-After"]) >= 1
    assert (await gateway.ask("GET", "/v1/orders"))[0] == 202
    await inventory.start()

    async def back() -> bool:
        return (await gateway.ask("GET", "/v1/products"))[0] == 202

    await until(back)


async def test_the_keys_that_tokens_are_checked_with_are_public(gateway: Gateway) -> None:
    status, keys, _ = await gateway.ask("GET", "/.well-known/jwks.json", headers={})
    assert (status, keys) == (200, gateway.signer.jwks())


async def test_the_specification_joins_those_of_all_services(gateway: Gateway) -> None:
    status, document, _ = await gateway.ask("GET", "/openapi.json", headers={})
    assert status == 200
    assert set(document["paths"]) == {"/v1/inventory", "/v1/orders", "/v1/reports"}
    named = {"orders.Money", "inventory.Money", "reports.Money"}
    assert set(document["components"]["schemas"]) == named


async def test_health_and_readiness_need_no_credentials(gateway: Gateway) -> None:
    assert (await gateway.ask("GET", "/healthz", headers={}))[0] == 200
    status, report, _ = await gateway.ask("GET", "/readyz", headers={})
    assert status == 200
    assert {"orders", "inventory"} <= {each["name"] for each in report["dependencies"]}


async def test_a_caller_who_asks_too_often_is_told_when_to_come_again(
    tmp_path: Path, redis_url: str
) -> None:
    limits = {"WEFT_RATE_LIMIT": "1", "WEFT_RATE_BURST": "10", "WEFT_REDIS_URL": redis_url}
    async with Gateway.running(tmp_path, processes=2, **limits) as gateway:
        subject = tmp_path.name
        asked = [
            gateway.ask("GET", "/v1/orders", headers=gateway.bearer(subject)) for _ in range(40)
        ]
        began = time.monotonic()
        answers = await asyncio.gather(*asked)
        took = time.monotonic() - began
        passed = [status for status, _, _ in answers if status == 202]
        refused = [answer for answer in answers if answer[0] == 429]
        # The bucket of both, and one of each that had no answer of Redis in time.
        assert 10 <= len(passed) <= 3 * (10 + took)
        assert len(passed) + len(refused) == 40
        for _, problem, headers in refused:
            assert problem["status"] == 429
            assert int(headers["Retry-After"]) >= 1
        status, _, _ = await gateway.ask("GET", "/v1/orders", headers=gateway.bearer("another"))
        assert status == 202


async def test_gateways_share_their_port_and_one_that_leaves_takes_no_request_with_it(
    tmp_path: Path,
) -> None:
    async with Gateway.running(tmp_path, processes=2) as gateway:

        async def keep_asking() -> list[int]:
            codes: list[int] = []
            while len(codes) < 100 or gateway.processes[0].poll() is None:
                # The kernel may refuse a handshake at the very moment a listener closes: no
                # request was sent then, and whoever connects again loses nothing.
                with suppress(ClientConnectorError):
                    status, _, _ = await gateway.ask("GET", "/v1/orders")
                    codes.append(status)
            return codes

        asking = asyncio.gather(*(keep_asking() for _ in range(4)))
        gateway.processes[0].terminate()
        codes = {code for result in await asking for code in result}
        assert codes == {202}


async def test_half_a_request_does_not_keep_others_waiting(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port)) as half:
        half.sendall(b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        assert (await gateway.ask("GET", "/v1/orders"))[0] == 202
