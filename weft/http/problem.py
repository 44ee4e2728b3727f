"""Error answers by RFC 9457 (application/problem+json)."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import msgspec

PROBLEM_TYPE = "application/problem+json"


class FieldError(msgspec.Struct, frozen=True):
    """One wrong field: `path` is a JSON Pointer (RFC 6901) into the body or the query."""

    path: str
    message: str


class ProblemDocument(msgspec.Struct, omit_defaults=True):
    """The body of an error answer."""

    type: str
    title: str
    status: int
    detail: str
    errors: Sequence[FieldError] = ()


class Problem(Exception):
    """An error answer; raise it from a handler.

    `status` is the HTTP status, `title` the summary of its kind (default: the status' phrase),
    `detail` what is wrong with this very request (default: the title), `errors` the wrong fields,
    `headers` what the answer carries beside them.
    """

    def __init__(
        self,
        status: int,
        title: str = "",
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        type: str = "about:blank",  # noqa: A002 - the RFC's own word
    ) -> None:
        self.status = status
        self.title = title or HTTPStatus(status).phrase
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.type = type
        super().__init__(f"{status} {self.title}: {detail}" if detail else f"{status} {self.title}")

    def document(self) -> ProblemDocument:
        """Return the body of the answer."""
        detail = self.detail or f"{self.title}."
        return ProblemDocument(self.type, self.title, self.status, detail, self.errors)


def busy(detail: str, *, retry_after: int = 1) -> Problem:
    """Return a 503 that asks the caller to come again in `retry_after` seconds."""
    return Problem(503, detail=detail, headers={"Retry-After": str(retry_after)})
