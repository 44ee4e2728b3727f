"""The operators' routes: HTML for people, JSON for programs, by the Accept header."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

import msgspec

from services.gateway.ops.errors import WINDOW, errors_page, grouped
from services.gateway.ops.inbox import inbox_page
from services.gateway.ops.logs_page import logs_page, logs_plain
from services.gateway.ops.overview import overview
from services.gateway.ops.page import HEADERS, STYLE, notice, page, sign_in
from services.gateway.ops.state import Order, States
from services.gateway.ops.stored import MOST_LINES, Stored
from services.gateway.ops.trace_page import trace_page
from services.gateway.ops.visitor import Visitor, Visitors, cookie, has_cookie, no_cookie
from services.gateway.proxy import Proxy
from weft.backends.loki import LogLine
from weft.backends.nodes import forest, to_json
from weft.backends.trace import Trace
from weft.errors import Unavailable
from weft.http import Problem, Reply, Request, Routes, busy

_HTML: Final = "text/html; charset=utf-8"
_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
_OURS: Final = re.compile(r"/ops(/errors|/inbox|/traces/[0-9a-fA-F]{32}(/logs)?)?")
_FORM: Final = "application/x-www-form-urlencoded"
_FORM_FIELDS: Final = 4
_UNAUTHENTICATED: Final = 401
MOST_AT_ONCE: Final = 4
"""Traces in hand: each may take some hundred MiB for a moment."""
_STRANGERS: Final = ""
"""Whose rate limit those share who sign in: no subject is empty."""

Answer = Reply[bytes]
Handler = Callable[[Request, Visitor], Awaitable[Answer]]


class TraceQuery(msgspec.Struct, frozen=True):
    id: str


class Pages:
    """The pages, for whoever has the scope."""

    def __init__(self, visitors: Visitors, states: States, stored: Stored, proxy: Proxy) -> None:
        self._visitors = visitors
        self._states = states
        self._stored = stored
        self._proxy = proxy
        self._traces_in_hand = 0

    def routes(self) -> Routes:
        """Return the routes. Who calls is asked here, since a cookie may tell it too."""
        serve = Routes()
        for path, handler in (
            ("/ops", self._overview),
            ("/ops/errors", self._errors),
            ("/ops/inbox", self._inbox),
            ("/ops/traces", self._look_up),
            ("/ops/traces/{trace_id}", partial(self._trace, _WATERFALL)),
            ("/ops/traces/{trace_id}/logs", partial(self._trace, _LOGS)),
        ):
            serve.raw("GET", path, self._for_operators(handler), public=True, listed=False)
        serve.raw("GET", "/ops/style.css", _style, public=True, listed=False)
        serve.raw("GET", "/ops/sign-in", _form, public=True, listed=False)
        serve.raw("POST", "/ops/sign-in", self._sign_in, public=True, listed=False)
        serve.raw("POST", "/ops/sign-out", _sign_out, public=True, listed=False)
        return serve

    def _for_operators(self, handler: Handler) -> Callable[[Request], Awaitable[Answer]]:
        async def answer(request: Request) -> Answer:
            visitor: Visitor | None = None
            try:
                visitor = await self._visitors.admit(request.headers)
                request.set("user.id", visitor.identity.subject)
                await self._proxy.admit(visitor.identity.subject)
                return await handler(request, visitor)
            except (Problem, Unavailable) as error:
                problem = _problem(error)
                if _wants_html(request):
                    return _explained(request, problem, visitor)
                problem.headers.update(HEADERS)
                raise problem from None

        return answer

    async def _overview(self, request: Request, visitor: Visitor) -> Answer:
        orders, states = await asyncio.gather(self._orders(visitor), self._states.all())
        if _wants_html(request):
            return _html(overview(states, orders, subject=visitor.identity.subject))
        return _json({"services": states, "orders": orders})

    async def _orders(self, visitor: Visitor) -> list[Order] | None:
        """The page is worth showing, and most of all, when orders is away."""
        try:
            return await self._states.orders(visitor.bearer)
        except Unavailable:
            return None

    async def _errors(self, request: Request, visitor: Visitor) -> Answer:
        lines = await self._stored.errors(WINDOW)
        found, cut = grouped(lines), len(lines) >= MOST_LINES
        if _wants_html(request):
            return _html(errors_page(found, cut=cut, subject=visitor.identity.subject))
        return _json({"errors": found, "cut": cut})

    async def _inbox(self, request: Request, visitor: Visitor) -> Answer:
        if not _wants_html(request):
            return _json({"notices": await self._states.inbox(visitor.bearer)})
        try:
            told = await self._states.inbox(visitor.bearer)
        except Unavailable:
            told = None
        return _html(inbox_page(told, subject=visitor.identity.subject))

    async def _look_up(self, request: Request, _: Visitor) -> Answer:
        wanted = request.query(TraceQuery).id.strip().lower()
        return _to(f"/ops/traces/{_trace_id(wanted)}")

    async def _trace(self, view: "_View", request: Request, visitor: Visitor) -> Answer:
        wanted = _trace_id(request.path["trace_id"].lower())
        if self._traces_in_hand >= MOST_AT_ONCE:
            raise busy("Other traces are being shown at the moment.")
        self._traces_in_hand += 1
        try:
            return await self._shown(view, request, visitor, wanted)
        finally:
            self._traces_in_hand -= 1

    async def _shown(
        self, view: "_View", request: Request, visitor: Visitor, trace_id: str
    ) -> Answer:
        trace = await self._stored.trace(trace_id)
        if trace is None:
            detail = "Jaeger has no such trace. Spans are stored about 2 s after their end."
            raise Problem(404, detail=detail)
        lines, missing = await self._lines(trace)
        subject = visitor.identity.subject
        if _wants_html(request):
            return _html(await asyncio.to_thread(view.drawn, trace, lines, missing, subject))
        return _json(await asyncio.to_thread(view.plain, trace, lines, missing))

    async def _lines(self, trace: Trace) -> tuple[list[LogLine], str]:
        """A trace is worth showing when only Loki is away."""
        try:
            return await self._stored.lines(trace), ""
        except Unavailable as away:
            return [], f"{away.dependency}: {away.why}"

    async def _sign_in(self, request: Request) -> Answer:
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise Problem(403, detail="Another site's form cannot sign you in.", headers=HEADERS)
        if request.headers.get("content-type", "").partition(";")[0].strip() != _FORM:
            raise Problem(415, detail=f"Expected {_FORM}.", headers=HEADERS)
        await self._proxy.admit(_STRANGERS)
        fields = _fields(await request.read())
        token, after = fields.get("token", "").strip(), _after(fields.get("after", ""))
        try:
            visitor = await self._visitors.of_token(token)
        except (Problem, Unavailable) as error:
            problem = _problem(error)
            return _html(sign_in(after, wrong=problem.detail), problem.status)
        request.set("user.id", visitor.identity.subject)
        kept = cookie(token, visitor.identity.expires_at, secure=_is_secure(request))
        return _to(after, kept)


def _drawn(trace: Trace, lines: list[LogLine], missing: str, subject: str) -> bytes:
    return trace_page(trace, forest(trace, lines), missing=missing, subject=subject)


def _plain(trace: Trace, lines: list[LogLine], missing: str) -> dict[str, Any]:
    """Return the trace with its spans in a list, parents first: a tree may be too deep for JSON."""
    told = to_json(trace, forest(trace, lines))
    waiting, spans = told["spans"][::-1], []
    while waiting:
        span = waiting.pop()
        waiting += span.pop("children")[::-1]
        spans.append(span)
    return {**told, "spans": spans, "logs_missing": missing or None}


class _View(NamedTuple):
    """One way to show a trace: for people, and for programs."""

    drawn: Callable[[Trace, list[LogLine], str, str], bytes]
    plain: Callable[[Trace, list[LogLine], str], dict[str, Any]]


_WATERFALL: Final = _View(_drawn, _plain)
_LOGS: Final = _View(logs_page, logs_plain)


async def _style(_: Request) -> Answer:
    kept = {**HEADERS, "Cache-Control": "public, max-age=300"}
    return Reply(STYLE, headers=kept, content_type="text/css; charset=utf-8")


async def _form(_: Request) -> Answer:
    return _html(sign_in("/ops"))


async def _sign_out(request: Request) -> Answer:
    return _to("/ops/sign-in", no_cookie(secure=_is_secure(request)))


def _explained(request: Request, problem: Problem, visitor: Visitor | None) -> Answer:
    """Return the problem as a page; who is not signed in may do it there."""
    if problem.status == _UNAUTHENTICATED:
        form = sign_in(
            _after(request.target.partition("?")[0]),
            wrong="Your token does not hold any more." if has_cookie(request.headers) else "",
            elsewhere=request.headers.get("sec-fetch-site") == "cross-site",
        )
        return _html(form, problem.status, problem.headers)
    subject = visitor.identity.subject if visitor else ""
    text = page(problem.title, notice(problem.detail or problem.title), subject=subject)
    return _html(text, problem.status, problem.headers)


def _problem(error: Problem | Unavailable) -> Problem:
    if isinstance(error, Problem):
        return error
    return busy(f"{error.dependency} is away: {error.why}.")


def _wants_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _trace_id(wanted: str) -> str:
    if not _TRACE_ID.fullmatch(wanted):
        raise Problem(404, detail="A trace id has 32 hexadecimal digits.")
    return wanted


def _after(path: str) -> str:
    """Return `path` if it is one of the pages, so that nobody is led elsewhere."""
    return path if _OURS.fullmatch(path) else "/ops"


def _fields(body: bytes) -> dict[str, str]:
    try:
        fields = parse_qs(body.decode(), max_num_fields=_FORM_FIELDS)
    except ValueError:
        raise Problem(400, detail="The form cannot be read.", headers=HEADERS) from None
    return {name: values[0] for name, values in fields.items()}


def _is_secure(request: Request) -> bool:
    """Whether the browser's side is encrypted, as whoever does that says."""
    return request.headers.get("x-forwarded-proto") == "https"


def _html(
    text: bytes, status: int = 200, headers: Mapping[str, str] = MappingProxyType({})
) -> Answer:
    return Reply(text, status, {**headers, **HEADERS}, content_type=_HTML)


def _json(told: Any) -> Answer:
    return Reply(msgspec.json.encode(told), headers=HEADERS)


def _to(path: str, set_cookie: str | None = None) -> Answer:
    headers = {**HEADERS, "Location": path}
    if set_cookie is not None:
        headers["Set-Cookie"] = set_cookie
    return Reply(None, 303, headers)
