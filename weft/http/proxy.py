"""A reverse proxy's one step: the same request at another service, its answer to our caller."""

from collections.abc import Mapping

from weft.http.client import HttpClient
from weft.http.problem import Problem
from weft.http.reply import Reply
from weft.http.request import Request
from weft.http.stream import Stream

PASSED_ON = (
    "Accept",
    "Accept-Language",
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "If-Range",
    "Range",
)
"""Headers of a request that reach the service behind."""

_ONCE = frozenset(("Authorization", "Content-Type", "Idempotency-Key"))

PASSED_BACK = (
    "Accept-Ranges",
    "Allow",
    "Cache-Control",
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Idempotent-Replayed",
    "Last-Modified",
    "Link",
    "Location",
    "Retry-After",
    "Vary",
    "WWW-Authenticate",
)
"""Headers of an answer that reach the caller, beside its Content-Type."""


async def forward(
    request: Request,
    client: HttpClient,
    template: str,
    *,
    headers: Mapping[str, str] | None = None,
) -> Reply[bytes]:
    """Return what the service behind answers; raise Problem for a bad request, Unavailable.

    Method, path values, query and body go as they came (of a raw route the body is read here);
    `headers` are set on top of those in PASSED_ON.
    """
    body = await request.read()
    answer = await client.request(
        request.method,
        template,
        path=request.path,
        query=request.query_string,
        body=body or None,
        headers={**_passed_on(request), **(headers or {})},
    )
    kept, media = _passed_back(answer.headers)
    if request.method == "HEAD":
        kept["Content-Type"] = media
    return Reply(answer.body or None, answer.status, kept, content_type=media)


async def forward_stream(
    request: Request,
    client: HttpClient,
    template: str,
    *,
    headers: Mapping[str, str] | None = None,
) -> Reply[Stream]:
    """Return what the service behind answers to a GET, its body as it comes.

    Else as `forward`. The body is read no faster than our caller takes it.
    """
    answer = await client.stream(
        template,
        path=request.path,
        query=request.query_string,
        headers={**_passed_on(request), **(headers or {})},
    )
    kept, media = _passed_back(answer.headers)
    return Reply(answer.body, answer.status, kept, content_type=media)


def _passed_back(headers: Mapping[str, str]) -> tuple[dict[str, str], str]:
    kept = {name: headers[name] for name in PASSED_BACK if name in headers}
    return kept, headers.get("Content-Type", "application/octet-stream")


def _passed_on(request: Request) -> dict[str, str]:
    passed = {"x-request-id": request.request_id}
    for name in PASSED_ON:
        value = request.header(name) if name in _ONCE else request.headers.get(name)
        if value is None:
            continue
        if not value.isascii():
            raise Problem(400, detail=f"The header {name} is not ASCII.")
        passed[name] = value
    return passed
