"""What a handler returns when the route's own status or type is not enough."""

from collections.abc import Mapping
from typing import Generic, TypeVar

T = TypeVar("T")

JSON_TYPE = "application/json"


class Reply(Generic[T]):
    """An answer with its own status and headers.

    `body` is encoded as JSON, unless it is bytes or a Stream, which are sent as they are; None is
    an empty body. `status` defaults to the route's. Annotate a handler with `Reply[Order]` and the
    specification tells the type.
    """

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self,
        body: T | bytes | None = None,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        content_type: str = JSON_TYPE,
    ) -> None:
        self.body = body
        self.status = status
        self.headers = headers
        self.content_type = content_type
