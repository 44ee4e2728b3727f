import time
from collections.abc import Mapping

import pytest

from services.gateway.callers import Passport
from services.gateway.ops.visitor import Visitors, cookie, no_cookie
from weft.http import Identity, Problem, unauthenticated


class Tokens:
    """Knows three tokens by their names."""

    async def identify(self, headers: Mapping[str, str]) -> Identity | None:
        scopes = {"Bearer good": ["ops"], "Bearer mere": ["orders:read"], "Bearer other": ["ops"]}
        given = headers.get("authorization", "")
        if given not in scopes:
            raise unauthenticated("The token is not valid.")
        return Identity(given[7:], frozenset(scopes[given]), time.time() + 60)


visitors = Visitors(Tokens(), Passport(None))


async def status(headers: Mapping[str, str]) -> int:
    try:
        await visitors.admit(headers)
    except Problem as problem:
        return problem.status
    return 200


async def test_a_cookie_is_checked_like_a_token() -> None:
    assert await status({"cookie": "other=1; weft_ops=good"}) == 200
    assert await status({"cookie": "weft_ops=mere"}) == 403
    assert await status({"cookie": "weft_ops=forged"}) == 401
    assert await status({"cookie": "other=good"}) == 401
    assert await status({}) == 401


async def test_a_header_wins_over_a_cookie() -> None:
    admitted = await visitors.admit({"authorization": "Bearer other", "cookie": "weft_ops=good"})
    assert admitted.identity.subject == "other"
    assert await status({"authorization": "Bearer forged", "cookie": "weft_ops=good"}) == 401


@pytest.mark.parametrize("value", ["", '""', "a b", "x" * 9000, '"good\\015\\012X: y"', "gööd"])
async def test_a_cookie_that_is_no_token_is_refused(value: str) -> None:
    assert await status({"cookie": f"weft_ops={value}"}) == 401


async def test_who_is_behind_is_shown_to_the_services_as_a_bearer() -> None:
    assert (await visitors.admit({"cookie": "weft_ops=good"})).bearer == "Bearer good"


def test_the_cookie_is_out_of_reach_for_scripts_and_for_other_sites() -> None:
    made = cookie("abc", time.time() + 90, secure=False)
    name, *rest = made.split("; ")
    assert name == "weft_ops=abc"
    assert {"Path=/ops", "HttpOnly", "SameSite=Strict"} <= set(rest)
    age = next(part for part in rest if part.startswith("Max-Age="))
    assert 80 <= int(age.removeprefix("Max-Age=")) <= 90
    assert "Secure" not in rest
    assert cookie("abc", 0, secure=True).endswith("; Secure")
    assert "Max-Age=0" in no_cookie(secure=False)
