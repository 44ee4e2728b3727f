"""The demo user: a token for whoever asks, on a system that only its own machine can reach.

Three things must hold before one is given. The setting, which only the native run turns on; that
the gateway listens on loopback, without which it does not start with the setting; and that the
request is the page's own: another site's page, one that calls this machine by another name (DNS
rebinding), and a proxy that speaks for somebody elsewhere are refused.
"""

import ipaddress
from typing import Any, Final

from services.gateway.proxy import Proxy
from weft.http import Problem, Reply, Request, Routes, TokenSigner
from weft.settings import SettingsError

SUBJECT: Final = "demo"
SCOPES: Final = ("orders:read", "orders:write", "reports:read", "reports:write", "ops")
SECONDS: Final = 3600.0
_STRANGERS: Final = ""
"""Whose rate limit those share who have no token yet: no subject is empty."""


class Demo:
    """Mints the demo user's tokens. Raises SettingsError where anybody else could reach it."""

    def __init__(self, signer: TokenSigner | None, proxy: Proxy, *, bind: str) -> None:
        if signer is None:
            raise SettingsError("WEFT_DEMO_USER is set: expected WEFT_SIGNING_KEY, too")
        if not _is_loopback(bind):
            raise SettingsError("WEFT_DEMO_USER is set: expected a WEFT_BIND on loopback")
        self._signer = signer
        self._proxy = proxy

    def routes(self) -> Routes:
        """Return the one route."""
        serve = Routes()
        serve.raw("POST", "/demo-token", self._give, public=True, listed=False)
        return serve

    async def _give(self, request: Request) -> Reply[dict[str, Any]]:
        if not is_own(request):
            raise Problem(403, detail="The demo user is for this machine's own browser.")
        await self._proxy.admit(_STRANGERS)
        token = self._signer.mint(SUBJECT, SCOPES, SECONDS)
        return Reply({"token": token.token}, headers={"Cache-Control": "no-store"})


def is_own(request: Request) -> bool:
    """Whether a request came from a page of this machine's own, and through no proxy."""
    headers = request.headers
    if "forwarded" in headers or "x-forwarded-for" in headers:
        return False
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    name = headers.get("host", "").rpartition(":")[0] or headers.get("host", "")
    return _is_loopback(name.strip("[]"))


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
