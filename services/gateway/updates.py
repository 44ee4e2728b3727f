"""The user's channel, through the one public door: who may open the socket, and from where."""

from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from services.gateway.callers import Passport
from services.gateway.limiter import Limiter
from weft.http import HttpClient, Request, Routes, Upgrade, forward_websocket

PATH: Final = "/v1/updates"
NOT_ALLOWED: Final = 4401
TOO_MANY: Final = 4429
TOKEN_SECONDS: Final = 3600.0
"""How long a socket is open that was opened with an API key; then its client connects again."""


class Updates:
    """Hands WebSockets on to reports. `origins` may open them beside the gateway's own pages."""

    def __init__(
        self,
        passport: Passport,
        limiter: Limiter,
        reports: HttpClient,
        *,
        origins: Collection[str] = (),
    ) -> None:
        self._passport = passport
        self._limiter = limiter
        self._reports = reports
        self._origins = frozenset(origins)

    def routes(self) -> Routes:
        """Return the route; it is public, since browsers come with a ticket in the query."""
        serve = Routes()
        serve.raw("GET", PATH, self.open, public=True)
        return serve

    async def open(self, request: Request) -> Upgrade:
        """Upgrade the caller. Raises Problem 426, Unavailable."""
        if not self.welcome(request):
            return Upgrade.refused(NOT_ALLOWED, "The page's origin may not open this.")
        if await self._limiter.take(request.subject) > 0.0:
            return Upgrade.refused(TOO_MANY, "You ask more often than you may.")
        bearer = self._passport.of(request.headers, request.identity, seconds=TOKEN_SECONDS)
        headers = {"Authorization": bearer} if bearer else {}
        headers["x-request-id"] = request.request_id
        return await forward_websocket(request, self._reports, PATH, headers=headers)

    def welcome(self, request: Request) -> bool:
        """Tell whether the caller is no page of a browser, or one of ours."""
        origin = request.headers.get("Origin")
        if origin is None or origin in self._origins:
            return True
        parts = urlsplit(origin)
        return parts.scheme in ("http", "https") and parts.netloc == request.headers.get("Host")
