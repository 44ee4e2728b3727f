"""What a handler gets to see of a request."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

import msgspec
from aiohttp.web import BaseRequest

from weft.http.identity import Identity
from weft.http.incoming import read_body
from weft.http.problem import Problem
from weft.http.query import decode_query

T = TypeVar("T", bound=msgspec.Struct)


class Facts(Protocol):
    """The record of the request that is being handled."""

    @property
    def trace_id(self) -> str:
        """32 hex digits."""

    def set(self, key: str, value: Any) -> None:
        """Add a fact to the span and the canonical log line."""


class Request:
    """One request.

    `path` has the values of the route's {names}, `headers` ignores case, `raw` is the body as it
    came (empty until it was read: before the handler if that takes a body), `http` is aiohttp's
    own request for those who stream.
    """

    __slots__ = ("_facts", "http", "identity", "path", "raw", "request_id", "target")

    def __init__(
        self,
        http: BaseRequest,
        *,
        path: Mapping[str, str],
        target: str,
        identity: Identity,
        request_id: str,
        facts: Facts,
    ) -> None:
        self.http = http
        self.path = path
        self.target = target
        self.identity = identity
        self.request_id = request_id
        self.raw = b""
        self._facts = facts

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self.http.method

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names ignore case."""
        return self.http.headers

    def header(self, name: str) -> str | None:
        """Return a header that may come once, None without it; raise Problem 400 for two."""
        values = self.http.headers.getall(name, ())
        if len(values) > 1:
            raise Problem(400, detail=f"The header {name} came more than once.")
        return values[0] if values else None

    @property
    def subject(self) -> str:
        """The user; "" where nobody was authenticated."""
        return self.identity.subject

    @property
    def scopes(self) -> frozenset[str]:
        """What the user may do."""
        return self.identity.scopes

    @property
    def trace_id(self) -> str:
        """The trace of this request, 32 hex digits."""
        return self._facts.trace_id

    @property
    def query_string(self) -> str:
        """The query as it came, without the question mark."""
        return self.target.partition("?")[2]

    def query(self, into: type[T]) -> T:
        """Return the query as a struct; raise Problem 400 if it does not fit."""
        return decode_query(self.query_string, into)

    def set(self, key: str, value: Any) -> None:
        """Add a fact to the span and the canonical log line of this request."""
        self._facts.set(key, value)

    async def read(self) -> bytes:
        """Return the body, at most 1 MiB; raise Problem 400, 408 or 413."""
        if not self.raw:
            self.raw = await read_body(self.http)
        return self.raw
