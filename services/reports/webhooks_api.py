"""Customers' own webhooks: they register where to be told of their orders and reports."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from weft.http import FieldError, Problem, Request, Routes
from weft.postgres import Database
from weft.settings import Secret
from weft.webhooks import Endpoint, UnsafeAddress, check_url, endpoints

SCOPE: Final = "webhooks:write"
MOST: Final = 20
"""Endpoints of one customer."""

EventName = Annotated[str, Meta(pattern=r"^(order|report)\.(\*|[a-z_]{1,40})$")]
Secrets = Callable[[str], Sequence[Secret]]


class Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to send what: `order.*`, `report.*`, or single types such as `report.finished`."""

    url: Annotated[str, Meta(max_length=2048)]
    events: Annotated[tuple[EventName, ...], Meta(min_length=1, max_length=20)]


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's endpoint. The `secret` is shown when it is registered, and never again."""

    webhook_id: str
    url: str
    events: tuple[str, ...]
    status: str
    reason: str | None
    created_at: datetime
    secret: str | UnsetType = UNSET


class List(msgspec.Struct, frozen=True):
    webhooks: list[Registered]


def secrets_of(key: Secret) -> Secrets:
    """Return a function from an endpoint's name to its secrets.

    A secret is derived from `key` and the name, so that none is stored: HMAC-SHA256, 32 bytes.
    """
    master = key.reveal().encode()

    def secrets(endpoint: str) -> Sequence[Secret]:
        derived = hmac.new(master, f"webhook endpoint {endpoint}".encode(), hashlib.sha256)
        return (Secret("whsec_" + base64.b64encode(derived.digest()).decode()),)

    return secrets


def routes(db: Database, secrets: Secrets, *, private: bool) -> Routes:
    """Return the routes; `private` allows http and private addresses, for tests."""
    serve = Routes()

    @serve.post("/v1/webhooks", scope=SCOPE, status=201, summary="Register where to be told")
    async def register(request: Request, body: Registration) -> Registered:
        try:
            check_url(body.url, private=private)
        except UnsafeAddress as error:
            wrong = FieldError("/url", f"It may not be called: {error}.")
            raise Problem(422, detail="The URL may not be called.", errors=[wrong]) from None
        async with db.transaction() as tx:
            endpoint = await endpoints.register(
                tx, request.subject, body.url, body.events, limit=MOST
            )
        if endpoint is None:
            raise Problem(409, detail=f"There are {MOST} webhooks already.")
        (secret,) = secrets(endpoint.name)
        return _shown(endpoint, secret.reveal())

    @serve.get("/v1/webhooks", scope=SCOPE, summary="One's own, newest first")
    async def owned(request: Request) -> List:
        return List([_shown(one) for one in await endpoints.owned(db, request.subject)])

    @serve.delete("/v1/webhooks/{webhook_id}", scope=SCOPE, status=204, summary="Be told no more")
    async def delete(request: Request) -> None:
        identity = request.path["webhook_id"]
        if not _is_id(identity) or not await endpoints.delete(db, request.subject, identity):
            raise Problem(404, detail="There is no such webhook.")

    return serve


def _shown(endpoint: Endpoint, secret: str | UnsetType = UNSET) -> Registered:
    return Registered(
        webhook_id=endpoint.name,
        url=endpoint.url,
        events=endpoint.events,
        status="active" if endpoint.disabled_why is None else "disabled",
        reason=endpoint.disabled_why,
        created_at=endpoint.created_at,
        secret=secret,
    )


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
