"""From what a handler returned or raised to aiohttp's response."""

from typing import Any

import msgspec
from aiohttp.web import HTTPException, Response, StreamResponse

from weft.errors import Gone, Unavailable, VersionConflict
from weft.http.problem import PROBLEM_TYPE, Problem, busy
from weft.http.reply import JSON_TYPE, Reply
from weft.http.stream import Stream, Streamed

_encode = msgspec.json.Encoder().encode


def render(answer: Any, status: int) -> StreamResponse:
    """Return the response for what a handler returned; `status` is the route's."""
    if isinstance(answer, StreamResponse):
        return answer
    if isinstance(answer, Reply):
        return _render_reply(answer, status)
    if answer is None:
        return Response(status=status)
    return Response(body=_encode(answer), status=status, content_type=JSON_TYPE)


def _render_reply(reply: Reply[Any], status: int) -> StreamResponse:
    body = reply.body
    headers = dict(reply.headers or {})
    if body is not None:
        headers["Content-Type"] = reply.content_type
        if isinstance(body, Stream):
            return Streamed(body, reply.status or status, headers)
        if not isinstance(body, bytes):
            body = _encode(body)
    return Response(body=body, status=reply.status or status, headers=headers)


def render_problem(problem: Problem) -> Response:
    """Return the response for a problem."""
    return Response(
        body=_encode(problem.document()),
        status=problem.status,
        headers={**problem.headers, "Content-Type": PROBLEM_TYPE},
    )


def problem_of(error: Exception) -> Problem | None:
    """Return what the caller is told of `error`; None if it was not foreseen."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, Unavailable):
        return busy(f"{error.dependency} does not answer at the moment.")
    if isinstance(error, Gone):
        return Problem(410, detail=str(error))
    if isinstance(error, VersionConflict):
        return busy("Somebody else changed the same thing at the same time.")
    if isinstance(error, HTTPException):
        return Problem(error.status, detail=error.text or "")
    return None
