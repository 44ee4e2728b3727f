"""Tokens are verified against the keys of a set; what does not hold is a 401."""

import time
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from weft.errors import Unavailable
from weft.http import Authenticator, Problem, TokenSigner, new_private_key

KEY = new_private_key()
SIGNER = TokenSigner(KEY)
CLAIMS = {"iss": "weft", "aud": "weft", "sub": "alice", "scope": "orders:read"}


@pytest.fixture
def jwks(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    publish(path, SIGNER)
    return path


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def forged(**claims: Any) -> dict[str, str]:
    """A token signed with the right key, but with claims of any kind."""
    said = {**CLAIMS, "exp": time.time() + 60, **claims}
    payload = msgspec.json.encode({n: value for n, value in said.items() if value is not ...})
    key: Any = load_pem_private_key(KEY, None)
    kid = SIGNER.jwks()["keys"][0]["kid"]
    return bearer(jwt.api_jws.encode(payload, key, "EdDSA", {"kid": kid}))


def publish(jwks: Path, *signers: TokenSigner) -> None:
    """Write a key set; none of them: what is no key set."""
    keys = [key for signer in signers for key in signer.jwks()["keys"]]
    jwks.write_bytes(msgspec.json.encode({"keys": keys}) if keys else b"{")


async def refusal(jwks: Path, headers: dict[str, str]) -> Problem:
    with pytest.raises(Problem) as caught:
        await Authenticator(str(jwks)).identify(headers)
    assert caught.value.headers["WWW-Authenticate"].startswith("Bearer")
    return caught.value


async def test_a_minted_token_tells_subject_and_scopes(jwks: Path) -> None:
    token = SIGNER.mint("alice", ["orders:read", "orders:write"], 60)
    identity = await Authenticator(str(jwks)).identify(bearer(token.token))
    assert identity is not None
    assert identity.subject == "alice"
    assert identity.scopes == {"orders:read", "orders:write"}
    assert time.time() + 50 < token.expires_at <= identity.expires_at < time.time() + 70


async def test_no_token_is_nobody(jwks: Path) -> None:
    assert await Authenticator(str(jwks)).identify({}) is None


async def test_a_token_that_was_verified_is_remembered(jwks: Path) -> None:
    authenticator = Authenticator(str(jwks))
    headers = bearer(SIGNER.mint("alice", [], 60).token)
    assert await authenticator.identify(headers) is await authenticator.identify(headers)


async def test_no_more_tokens_are_remembered_than_allowed(jwks: Path) -> None:
    authenticator = Authenticator(str(jwks), remembered=3)
    for number in range(10):
        await authenticator.identify(bearer(SIGNER.mint(f"user{number}", [], 60).token))
    assert len(authenticator._identities) == 3


async def test_a_remembered_token_expires(jwks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authenticator = Authenticator(str(jwks))
    headers = bearer(SIGNER.mint("alice", [], 60).token)
    await authenticator.identify(headers)
    later = time.time() + 70
    monkeypatch.setattr("weft.http.auth.time.time", lambda: later)
    monkeypatch.setattr("weft.http.auth._claims", _expired)
    with pytest.raises(Problem):
        await authenticator.identify(headers)


def _expired(*_: Any) -> dict[str, Any]:
    raise jwt.ExpiredSignatureError


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        {"exp": ...},
        {"exp": "soon"},
        {"nbf": 4102444800},
        {"aud": "other"},
        {"aud": ...},
        {"iss": "other"},
        {"iss": ...},
        {"sub": ...},
        {"sub": ""},
        {"sub": 7},
        {"sub": "a" * 256},
        {"sub": "a\nb"},
        {"sub": "a\0"},
        {"scope": ["orders:read"]},
        {"scope": None},
    ],
)
async def test_a_token_with_wrong_claims_is_a_401(jwks: Path, claims: dict[str, Any]) -> None:
    assert (await refusal(jwks, forged(**claims))).status == 401


async def test_right_claims_hold(jwks: Path) -> None:
    identity = await Authenticator(str(jwks)).identify(forged())
    assert identity is not None
    assert identity.subject == "alice"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer a.b.c",
        "Bearer \udcff",
        "Bearer " + "a" * 9000,
    ],
)
async def test_what_is_no_token_is_a_401(jwks: Path, header: str) -> None:
    assert (await refusal(jwks, {"authorization": header})).status == 401


async def test_another_keys_token_is_a_401(jwks: Path) -> None:
    token = TokenSigner(new_private_key()).mint("alice", [], 60).token
    assert (await refusal(jwks, bearer(token))).status == 401


async def test_another_keys_token_under_our_keys_name_is_a_401(jwks: Path) -> None:
    key: Any = load_pem_private_key(new_private_key(), None)
    kid = SIGNER.jwks()["keys"][0]["kid"]
    token = jwt.encode({**CLAIMS, "exp": time.time() + 60}, key, "EdDSA", {"kid": kid})
    assert (await refusal(jwks, bearer(token))).status == 401


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_other_algorithms_are_a_401(jwks: Path, algorithm: str) -> None:
    public = SIGNER.jwks()["keys"][0]
    secret: Any = None if algorithm == "none" else public["x"] * 2
    claims = {**CLAIMS, "exp": time.time() + 60}
    token = jwt.encode(claims, secret, algorithm, {"kid": public["kid"]})
    assert (await refusal(jwks, bearer(token))).status == 401


async def test_a_new_key_in_the_set_is_found(jwks: Path) -> None:
    authenticator = Authenticator(str(jwks), refresh=0.0)
    await authenticator.identify(bearer(SIGNER.mint("alice", [], 60).token))
    newer = TokenSigner(new_private_key())
    publish(jwks, SIGNER, newer)
    identity = await authenticator.identify(bearer(newer.mint("bob", [], 60).token))
    assert identity is not None
    assert identity.subject == "bob"


async def test_keys_stay_in_use_while_the_set_cannot_be_read(jwks: Path) -> None:
    authenticator = Authenticator(str(jwks), refresh=0.0)
    await authenticator.identify(bearer(SIGNER.mint("alice", [], 60).token))
    publish(jwks)
    other = TokenSigner(new_private_key()).mint("mallory", [], 60).token
    with pytest.raises(Problem):
        await authenticator.identify(bearer(other))
    assert await authenticator.identify(bearer(SIGNER.mint("carol", [], 60).token))


@pytest.mark.parametrize(
    "document", [None, "", "{}", '{"keys": []}', "[]", '{"keys": [7]}', "\x00"]
)
async def test_without_any_key_callers_are_told_to_come_again(
    tmp_path: Path, document: str | None
) -> None:
    path = tmp_path / "jwks.json"
    if document is not None:
        path.write_text(document)
    with pytest.raises(Unavailable):
        await Authenticator(str(path)).identify(bearer(SIGNER.mint("alice", [], 60).token))


def test_only_an_ed25519_key_signs() -> None:
    other = generate_private_key(SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    with pytest.raises(TypeError, match="Ed25519"):
        TokenSigner(other)


def test_the_key_set_has_no_private_part() -> None:
    (key,) = SIGNER.jwks()["keys"]
    assert set(key) == {"kty", "crv", "x", "kid", "alg", "use"}
