"""Who looks at the operators' pages: a program by its header, a person by a cookie.

The cookie holds the token itself and is checked like one. It is sent to /ops alone, is out of
reach for scripts, and comes with no request that another site caused; the pages only read.
"""

import re
import time
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Final

import msgspec

from services.gateway.callers import Passport
from weft.http import Authentication, Identity, Problem, unauthenticated

SCOPE: Final = "ops"
COOKIE: Final = "weft_ops"
MAX_TOKEN: Final = 8192
"""Characters."""
_TOKEN: Final = re.compile(r"[A-Za-z0-9_.-]+")


class Visitor(msgspec.Struct, frozen=True):
    """Somebody with the scope, and the Authorization header that the services behind are shown."""

    identity: Identity
    bearer: str


class Visitors:
    """Tells operators from others."""

    def __init__(self, callers: Authentication, passport: Passport) -> None:
        self._callers = callers
        self._passport = passport

    async def admit(self, headers: Mapping[str, str]) -> Visitor:
        """Return who calls, by header or else by cookie; raise Problem 401 or 403, Unavailable."""
        if "authorization" in headers or "x-api-key" in headers:
            names = ("authorization", "x-api-key")
            return await self._checked({n: headers[n] for n in names if n in headers})
        token = _cookie(headers.get("cookie", ""))
        if token is None:
            raise unauthenticated("Credentials are needed here.")
        return await self.of_token(token)

    async def of_token(self, token: str) -> Visitor:
        """Return whose token it is; raise Problem 401 or 403, Unavailable."""
        if not _TOKEN.fullmatch(token) or len(token) > MAX_TOKEN:
            raise unauthenticated("The token is not valid.")
        return await self._checked({"authorization": f"Bearer {token}"})

    async def _checked(self, credentials: dict[str, str]) -> Visitor:
        identity = await self._callers.identify(credentials)
        if identity is None:
            raise unauthenticated("Credentials are needed here.")
        if SCOPE not in identity.scopes:
            raise Problem(403, detail=f"The scope {SCOPE} is needed here.")
        return Visitor(identity, self._passport.of(credentials, identity) or "")


def cookie(token: str, expires_at: float, *, secure: bool) -> str:
    """Return the Set-Cookie header that keeps a token until it expires (epoch seconds)."""
    return _set(token, max(0, int(expires_at - time.time())), secure=secure)


def no_cookie(*, secure: bool) -> str:
    """Return the Set-Cookie header that forgets the token."""
    return _set("", 0, secure=secure)


def has_cookie(headers: Mapping[str, str]) -> bool:
    """Return whether a token came by cookie, good or not."""
    return _cookie(headers.get("cookie", "")) is not None


def _set(value: str, seconds: int, *, secure: bool) -> str:
    end = "; Secure" if secure else ""
    return f"{COOKIE}={value}; Path=/ops; Max-Age={seconds}; HttpOnly; SameSite=Strict{end}"


def _cookie(header: str) -> str | None:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return None
    return found.value if found and found.value else None
