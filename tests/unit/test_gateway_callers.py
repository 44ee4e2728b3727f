import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from services.gateway.callers import Callers, Passport
from services.gateway.keys import ApiKeys
from weft.http import ANONYMOUS, Authenticator, Identity, Problem, TokenSigner
from weft.http.tokens import new_private_key
from weft.settings import Secret, SettingsError

KEY = "weft-key-of-bob"


@pytest.fixture
def keys() -> ApiKeys:
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    listed = [{"sha256": digest, "subject": "bob", "scopes": ["orders:read"]}]
    return ApiKeys.parse(Secret(json.dumps(listed)))


@pytest.fixture
def signer() -> TokenSigner:
    return TokenSigner(new_private_key())


@pytest.fixture
def authenticator(signer: TokenSigner, tmp_path: Path) -> Authenticator:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(signer.jwks()))
    return Authenticator(str(path))


async def test_an_api_key_stands_for_its_subject_and_scopes(
    keys: ApiKeys, authenticator: Authenticator
) -> None:
    callers = Callers(authenticator, keys)
    identity = await callers.identify({"x-api-key": KEY})
    assert identity is not None
    assert (identity.subject, identity.scopes) == ("bob", frozenset({"orders:read"}))


@pytest.mark.parametrize("key", ["", "wrong", KEY + "x", "x" * 10_000, "\udcff"])
async def test_an_api_key_that_is_not_known_is_refused(
    keys: ApiKeys, authenticator: Authenticator, key: str
) -> None:
    callers = Callers(authenticator, keys)
    with pytest.raises(Problem) as caught:
        await callers.identify({"x-api-key": key})
    assert caught.value.status == 401


async def test_a_caller_without_credentials_is_nobody(authenticator: Authenticator) -> None:
    assert await Callers(authenticator, ApiKeys([])).identify({}) is None


async def test_the_token_that_stands_for_an_api_key_is_good_for_inner_services(
    keys: ApiKeys, authenticator: Authenticator, signer: TokenSigner
) -> None:
    callers, passport = Callers(authenticator, keys), Passport(signer)
    identity = await callers.identify({"x-api-key": KEY})
    assert identity is not None
    bearer = passport.of({"x-api-key": KEY}, identity)
    assert bearer is not None
    inner = await authenticator.identify({"authorization": bearer})
    assert inner is not None
    assert (inner.subject, inner.scopes) == ("bob", frozenset({"orders:read"}))
    assert inner.expires_at < time.time() + 200
    assert passport.of({}, identity) == bearer


@pytest.mark.parametrize("headers", [{"authorization": "Bearer theirs"}, {}])
def test_a_callers_own_token_goes_along_unchanged_and_a_stranger_gets_none(
    signer: TokenSigner, headers: Mapping[str, str]
) -> None:
    assert Passport(signer).of(headers, ANONYMOUS) == headers.get("authorization")
    alice = Identity("alice", frozenset(), time.time() + 60)
    own = {"authorization": "Bearer theirs"}
    assert Passport(signer).of(own, alice) == "Bearer theirs"


@pytest.mark.parametrize(
    "content", ["{}", "[{}]", "not json", '[{"sha256": "AB", "subject": "x"}]']
)
def test_a_list_of_keys_that_is_wrong_stops_the_start_with_its_settings_name(content: str) -> None:
    with pytest.raises(SettingsError, match="WEFT_API_KEYS"):
        ApiKeys.parse(Secret(content))
