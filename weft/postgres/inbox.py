"""The inbox: a message's effect and its identity are committed together, so it has one effect."""

import time
from collections.abc import Awaitable, Callable
from typing import Literal
from uuid import UUID

import asyncpg

from weft.messaging.errors import Unparsable
from weft.messaging.message import Incoming
from weft.messaging.schema import decode
from weft.postgres import inbox_days
from weft.postgres.conflicts import retry_on_conflict
from weft.postgres.database import Database
from weft.postgres.errors import IdentityOutOfRange, TransactionConflict
from weft.postgres.handlers import Handlers

Outcome = Literal["processed", "duplicate"]

_RECORD = (
    "INSERT INTO weft.inbox (message_id, consumer) VALUES ($1, $2)"
    " ON CONFLICT DO NOTHING RETURNING true"
)


def exactly_once(
    db: Database, consumer: str, handlers: Handlers
) -> Callable[[Incoming], Awaitable[Outcome]]:
    """Return a handler for a messaging.Consumer: decodes, and handles in one transaction.

    `consumer` tells the consumers of one database apart, usually by their queue. A message that
    was handled before is a "duplicate", without effect. A VersionConflict or deadlock is tried
    again in new transactions first. An event without a handler is "processed" without effect; a
    command without one is Unparsable, and so is a wrong body and an identity that the inbox cannot
    remember (IdentityOutOfRange).
    """

    async def handle(incoming: Incoming) -> Outcome:
        handler = handlers.find(incoming.type)
        if handler is None:
            return _unknown(incoming, handlers)
        identity = _identity(incoming)
        message = decode(handler.kind, incoming.version, incoming.body)

        async def once() -> Outcome:
            async with db.transaction(cause=incoming.id) as tx:
                if not await tx.fetchval(_RECORD, identity, consumer):
                    return "duplicate"
                await handler.function(tx, message, incoming)
            return "processed"

        return await retry_on_conflict(lambda: _with_partition(db, once))

    return handle


def _unknown(incoming: Incoming, handlers: Handlers) -> Outcome:
    if handlers.commands:
        raise Unparsable(f"no handler for {incoming.type}")
    return "processed"


def _identity(incoming: Incoming) -> UUID:
    try:
        identity = UUID(incoming.id)
    except ValueError as error:
        raise IdentityOutOfRange("the message's identity is no UUID") from error
    if not inbox_days.remembered(identity, time.time()):
        raise IdentityOutOfRange(f"{identity} is not of the last {inbox_days.DAYS} days")
    return identity


async def _with_partition(db: Database, once: Callable[[], Awaitable[Outcome]]) -> Outcome:
    try:
        return await once()
    except asyncpg.CheckViolationError as error:
        if error.table_name != "inbox" or error.constraint_name is not None:
            raise
        await inbox_days.make_and_drop(db, time.time())
        raise TransactionConflict("the inbox had no partition for the day") from error
