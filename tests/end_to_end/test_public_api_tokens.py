"""Who may do what: tokens that hold, tokens that do not, and scopes."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from tests.end_to_end.outside import EVERY_SCOPE, Door, Running, an_order, is_problem

Caller = Callable[..., Door]
Forger = Callable[..., str]
HOUR = 3600


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Mint:
    """Makes tokens with the system's own key, good ones and others."""

    def __init__(self, key: Ed25519PrivateKey, genuine: str) -> None:
        self.key = key
        self.header: dict[str, Any] = jwt.get_unverified_header(genuine)
        self.claims: dict[str, Any] = jwt.decode(genuine, options={"verify_signature": False})

    def signed(self, header: Any, claims: Any, key: Ed25519PrivateKey | None = None) -> str:
        text = f"{part(header)}.{part(claims)}"
        return f"{text}.{part((key or self.key).sign(text.encode()))}"

    def with_claims(self, **claims: Any) -> str:
        whole = {**self.claims, **claims}
        return self.signed(self.header, {k: v for k, v in whole.items() if v is not ...})

    def with_header(self, **header: Any) -> str:
        whole = {**self.header, **header}
        return self.signed({k: v for k, v in whole.items() if v is not ...}, self.claims)

    def unsigned(self, algorithm: str) -> str:
        return f"{part({**self.header, 'alg': algorithm})}.{part(self.claims)}."

    def by_public_key(self) -> str:
        """The public key taken for the secret of an HMAC."""
        public = self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        text = f"{part({**self.header, 'alg': 'HS256'})}.{part(self.claims)}"
        return f"{text}.{part(hmac.new(public, text.encode(), hashlib.sha256).digest())}"


@pytest.fixture
def mint(system: Running, caller: Caller) -> Mint:
    pem = Path(system.variables["WEFT_SIGNING_KEY_FILE"]).read_bytes()
    key = load_pem_private_key(pem, None)
    assert isinstance(key, Ed25519PrivateKey)
    token = caller().token
    assert token is not None
    return Mint(key, token)


WRONG: dict[str, Callable[[Mint], str]] = {
    "no algorithm": lambda m: m.unsigned("none"),
    "no algorithm, otherwise spelt": lambda m: m.unsigned("nOnE"),
    "public key as a secret": lambda m: m.by_public_key(),
    "another key": lambda m: m.signed(m.header, m.claims, Ed25519PrivateKey.generate()),
    "unknown kid": lambda m: m.with_header(kid="x"),
    "no kid": lambda m: m.with_header(kid=...),
    "kid no text": lambda m: m.with_header(kid=["x"]),
    "algorithm no text": lambda m: m.with_header(alg=["EdDSA"]),
    "critical extension": lambda m: m.with_header(crit=["x"], x=1),
    "header no object": lambda m: m.signed([], m.claims),
    "claims no object": lambda m: m.signed(m.header, []),
    "claims no JSON": lambda m: m.signed(m.header, b"{"),
    "claims no UTF-8": lambda m: m.signed(m.header, b"\xff"),
    "claims nested deep": lambda m: m.signed(m.header, b"[" * 2000 + b"]" * 2000),
    "expired": lambda m: m.with_claims(exp=int(time.time()) - 60),
    "no end": lambda m: m.with_claims(exp=...),
    "end no number": lambda m: m.with_claims(exp=[]),
    "end infinite": lambda m: m.with_claims(exp=float("inf")),
    "end beyond all numbers": lambda m: m.with_claims(exp=10**400),
    "not yet": lambda m: m.with_claims(nbf=int(time.time()) + HOUR),
    "issued later": lambda m: m.with_claims(iat=int(time.time()) + HOUR),
    "no subject": lambda m: m.with_claims(sub=...),
    "subject no text": lambda m: m.with_claims(sub=1),
    "subject empty": lambda m: m.with_claims(sub=""),
    "subject with NUL": lambda m: m.with_claims(sub="a\0"),
    "subject half a character": lambda m: m.with_claims(sub="\ud800"),
    "subject too long": lambda m: m.with_claims(sub="a" * 256),
    "other audience": lambda m: m.with_claims(aud="x"),
    "other issuer": lambda m: m.with_claims(iss="x"),
    "scopes no text": lambda m: m.with_claims(scope=["orders:read"]),
    "signature cut": lambda m: m.with_claims()[:-4],
    "no signature": lambda m: m.with_claims().rpartition(".")[0] + ".",
    "two parts": lambda m: m.with_claims().rpartition(".")[0],
    "four parts": lambda m: m.with_claims() + ".x",
    "dots": lambda _: "..",
    "huge": lambda _: "a" * 8000,
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_token_that_does_not_hold_is_unauthorized(
    stranger: Door, mint: Mint, name: str
) -> None:
    stranger.token = WRONG[name](mint)
    for answer in (
        await stranger.get("/v1/orders"),
        await stranger.get("/v1/products"),
        await stranger.place(an_order("SKU-0001")),
    ):
        is_problem(answer, 401)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert stranger.token not in answer.body.decode()


@pytest.mark.parametrize("header", ["Basic abc", "Bearer", "Bearer ", "Token x", "x"])
async def test_other_credentials_are_unauthorized(stranger: Door, header: str) -> None:
    is_problem(await stranger.get("/v1/orders", {"Authorization": header}), 401)


async def test_without_credentials_only_the_public_paths_are_open(stranger: Door) -> None:
    for path in ("/v1/orders", "/v1/orders/x", "/v1/products", "/v1/products/SKU-0001"):
        is_problem(await stranger.get(path), 401)
    is_problem(await stranger.place(an_order("SKU-0001")), 401)
    is_problem(await stranger.put("X", stock=1), 401)
    is_problem(await stranger.get("/v1/orders", {"X-API-Key": "x"}), 401)
    for path in ("/", "/healthz", "/readyz", "/openapi.json", "/.well-known/jwks.json"):
        assert (await stranger.get(path)).status == 200


async def test_each_call_needs_its_scope(caller: Caller) -> None:
    reader, writer, keeper, nobody = (
        caller(scopes=scopes)
        for scopes in (("orders:read",), ("orders:write",), ("inventory:write",), ())
    )
    for door in (keeper, nobody):
        is_problem(await door.get("/v1/orders"), 403)
        is_problem(await door.get("/v1/orders/x"), 403)
    for door in (reader, keeper, nobody):
        is_problem(await door.place(an_order("SKU-0001")), 403)
    for door in (reader, writer, nobody):
        is_problem(await door.put("SKU-0001", stock=1), 403)
    assert (await reader.get("/v1/orders")).status == 200
    sku = await keeper.product(stock=1)
    assert (await writer.place(an_order(sku))).status == 202
    for door in (reader, writer, keeper, nobody):
        assert (await door.get(f"/v1/products/{sku}")).status == 200


@pytest.mark.parametrize("subject", ["älice", "😀" * 255, "a b", "../x", "{}", "*", "a:b"])
async def test_any_printable_subject_is_a_user(caller: Caller, subject: str) -> None:
    door = caller(subject)
    answer = await door.place(an_order(await door.product(stock=1)))
    assert answer.status == 202
    assert (await door.finished(answer.json["order_id"]))["status"] == "confirmed"


async def test_the_published_keys_verify_what_weft_token_prints(
    system: Running, stranger: Door
) -> None:
    options = [option for scope in EVERY_SCOPE for option in ("--scope", scope)]
    done = system.weft("token", "--subject", "alice", *options, "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed.keys() == {"token", "subject", "scopes", "expires_at"}
    assert printed["subject"] == "alice"
    assert printed["scopes"] == list(EVERY_SCOPE)
    keys = (await stranger.get("/.well-known/jwks.json")).json["keys"]
    assert all("d" not in key for key in keys), "a private key is shown"
    kid = jwt.get_unverified_header(printed["token"])["kid"]
    (key,) = [jwt.PyJWK(key) for key in keys if key["kid"] == kid]
    claims = jwt.decode(printed["token"], key, algorithms=["EdDSA"], audience="weft")
    assert claims["sub"] == "alice"
    plain = system.weft("token", "--subject", "alice", "--scope", "orders:read")
    stranger.token = plain.stdout.strip()
    assert plain.stdout.count("\n") == 1
    assert (await stranger.get("/v1/orders")).status == 200


@pytest.mark.parametrize(
    "wrong",
    [["--subject", ""], ["--subject", "a" * 256], ["--subject", "a\n"], [],
     ["--subject", "a", "--scope", "x"], ["--subject", "a", "--ttl", "x"], ["--nope"]],
)  # fmt: skip
def test_a_token_that_would_not_hold_is_not_printed(system: Running, wrong: list[str]) -> None:
    done = system.weft("token", *wrong)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


async def test_a_user_beyond_the_rate_limit_is_told_when_to_come_again(
    system: Running, caller: Caller
) -> None:
    from redis.asyncio import Redis  # noqa: PLC0415 - this test alone looks behind the door

    door = caller()
    redis = Redis.from_url(system.variables["WEFT_REDIS_URL"])
    try:
        ahead = int((time.time() + 60) * 1000)
        await redis.hset(f"weft:rate:{door.subject}", mapping={"tokens": 0, "at": ahead})
        end = time.monotonic() + 30
        # The gateway goes on by itself for two seconds after Redis did not answer in time.
        while (answer := await door.get("/v1/products?limit=1")).status == 200:
            assert time.monotonic() < end, "nobody was told"
    finally:
        await redis.aclose()
    is_problem(answer, 429)
    assert int(answer.headers["Retry-After"]) >= 1
    assert (await caller().get("/v1/products?limit=1")).status == 200


async def test_services_behind_the_gateway_ask_for_the_token_too(
    system: Running, caller: Caller
) -> None:
    door = caller()
    async with aiohttp.ClientSession() as session:
        for name, path in (("orders", "/v1/orders"), ("inventory", "/v1/products")):
            inner = Door(session, system.url(name), None)
            is_problem(await inner.get(path), 401)
            inner.token = door.token
            assert (await inner.get(path)).status == 200
