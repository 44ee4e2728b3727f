"""What all routes of one server share: the gate, who calls, what is in hand."""

import asyncio
from collections.abc import Mapping

from multidict import CIMultiDict

from weft.errors import Unavailable
from weft.http.identity import ANONYMOUS, Authentication, Identity
from weft.http.problem import Problem, busy
from weft.http.routes import Route
from weft.http.websocket import GOING_AWAY, WebSocket

_TRACE_HEADERS = ("traceparent", "tracestate", "baggage")


class Front:
    """The gate of a server. `port` is what telemetry shows."""

    def __init__(self, *, auth: Authentication | None, edge: bool, port: int) -> None:
        self.edge = edge
        self.port = port
        self.is_open = False
        self.is_draining = False
        self.sockets: set[WebSocket] = set()
        self._auth = auth
        self._in_hand = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def enter(self) -> None:
        """Count a request in."""
        self._in_hand += 1
        self._idle.clear()

    def leave(self) -> None:
        """Count a request out."""
        self._in_hand -= 1
        if not self._in_hand:
            self._idle.set()

    async def drained(self, within: float) -> None:
        """Wait until nothing is in hand, at most `within` seconds."""
        try:
            await asyncio.wait_for(self._idle.wait(), within)
        except TimeoutError:
            return

    async def hang_up(self) -> None:
        """Close all WebSockets: their clients connect again, elsewhere."""
        await asyncio.gather(
            *(socket.close(GOING_AWAY, "The service is stopping.") for socket in list(self.sockets))
        )

    async def identify(
        self, route: Route, headers: Mapping[str, str]
    ) -> tuple[Identity, Problem | Unavailable | None]:
        """Return who calls, and the refusal that their credentials earn on `route`."""
        if self._auth is None or route.probe:
            return ANONYMOUS, None
        try:
            identity = await self._auth.identify(headers)
        except (Problem, Unavailable) as refusal:
            return ANONYMOUS, None if route.public else refusal
        if route.public:
            return identity or ANONYMOUS, None
        if identity is None:
            return ANONYMOUS, unauthenticated("Credentials are needed here.")
        if route.scope and not identity.scopes & {route.scope, route.or_scope}:
            return identity, _forbidden(route.scope)
        return identity, None

    def admit(self, route: Route, headers: Mapping[str, str]) -> None:
        """Raise Problem 503 while the gate is closed, 400 for headers that are not text."""
        if not self.is_open and not route.probe:
            raise busy("The service is starting or stopping.")
        if not all(map(_is_readable, headers.values())):
            raise Problem(400, detail="A header is not UTF-8.")

    def admit_socket(self) -> None:
        """Raise Problem 503 for a WebSocket that would be closed at once."""
        if self.is_draining:
            raise busy("The service is stopping.")

    def carrier(self, headers: Mapping[str, str], identity: Identity) -> Mapping[str, str]:
        """Return the headers for telemetry: at the edge, without a stranger's trace."""
        dropped = _TRACE_HEADERS if self.edge and identity is ANONYMOUS else ()
        if all(map(str.isascii, headers.values())) and not any(map(headers.__contains__, dropped)):
            return headers
        kept = ((name, value) for name, value in headers.items() if _is_readable(value))
        own = CIMultiDict(kept)
        for name in dropped:
            own.popall(name, None)
        return own


def _is_readable(value: str) -> bool:
    """Tell whether a header came as UTF-8; where not, aiohttp has put surrogates in its place."""
    return value.isascii() or not any("\ud800" <= each <= "\udfff" for each in value)


def unauthenticated(detail: str) -> Problem:
    """Return a 401 (RFC 6750)."""
    return Problem(401, detail=detail, headers={"WWW-Authenticate": 'Bearer realm="weft"'})


def _forbidden(scope: str) -> Problem:
    challenge = f'Bearer realm="weft", error="insufficient_scope", scope="{scope}"'
    return Problem(
        403,
        detail=f"The scope {scope} is needed here.",
        headers={"WWW-Authenticate": challenge},
    )
