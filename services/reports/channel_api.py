"""The user's channel: a WebSocket, and the tickets that browsers open it with."""

import hashlib
import secrets
from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from services.reports import channel_store
from services.reports.channel_hub import NOT_ALLOWED, ROUTE, Hub
from weft.http import Request, Routes, Upgrade, WebSocket
from weft.postgres import Database

TICKET_SECONDS: Final = 30.0
_TICKET_BYTES: Final = 32


class Ticket(msgspec.Struct, frozen=True):
    """Opens one WebSocket, once. `seq` is the newest number of the channel: ask for what follows
    it, and what happens between the ticket and the socket is not missed."""

    ticket: str
    expires_at: datetime
    seq: int


class Wanted(msgspec.Struct, frozen=True):
    """The query of a WebSocket: the last `seq` that the client has, and a browser's ticket."""

    after: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    ticket: Annotated[str, Meta(max_length=64)] | None = None


def routes(db: Database, hub: Hub) -> Routes:
    """Return the routes of the channel."""
    serve = Routes()

    @serve.post(
        "/v1/updates/tickets", status=201, summary="A ticket that opens one WebSocket, for 30 s"
    )
    async def ticket(request: Request) -> Ticket:
        text = secrets.token_urlsafe(_TICKET_BYTES)
        identity = request.identity
        expires_at = await channel_store.add_ticket(
            db,
            _hash(text),
            subject=identity.subject,
            until=identity.expires_at,
            seconds=TICKET_SECONDS,
        )
        return Ticket(text, expires_at, await channel_store.head(db, identity.subject))

    async def updates(request: Request, query: Wanted) -> Upgrade:
        caller = await _caller(db, request, query.ticket)
        if caller is None:
            return Upgrade.refused(NOT_ALLOWED, "A token or a ticket is needed here.")
        subject, until = caller
        after = await channel_store.head(db, subject) if query.after is None else query.after

        async def hold(socket: WebSocket) -> None:
            await hub.hold(socket, subject, after, until)

        return Upgrade(hold)

    serve.raw(
        "GET",
        ROUTE,
        updates,
        public=True,
        query=Wanted,
        status=101,
        summary="The user's channel, a WebSocket; `after` is the last seq that the client has",
    )
    return serve


async def _caller(db: Database, request: Request, ticket: str | None) -> tuple[str, float] | None:
    """Return who calls and until when he may; None for a stranger."""
    if request.subject:
        return request.subject, request.identity.expires_at
    return None if ticket is None else await channel_store.use_ticket(db, _hash(ticket))


def _hash(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode()).digest()
