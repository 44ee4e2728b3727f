"""The inbox: a message's effect and its identity are committed together, so it has one effect."""

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Literal
from uuid import UUID

import asyncpg

from weft.messaging.errors import NotYetKnown
from weft.messaging.message import Incoming
from weft.messaging.schema import decode
from weft.postgres import inbox_days
from weft.postgres.conflicts import retry_on_conflict
from weft.postgres.database import Database
from weft.postgres.errors import IdentityOutOfRange, TransactionConflict
from weft.postgres.gathering import Delivery, Gathering
from weft.postgres.handlers import Handlers
from weft.postgres.transaction import Opening, Transaction

Outcome = Literal["processed", "duplicate"]

_RECORD = (
    "INSERT INTO weft.inbox (message_id, consumer) SELECT id, $2 FROM unnest($1::uuid[]) AS m(id)"
    " ON CONFLICT DO NOTHING RETURNING message_id"
)
_RECORD_ONE = (
    "INSERT INTO weft.inbox (message_id, consumer) VALUES ({identity}, {consumer})"
    " ON CONFLICT DO NOTHING"
)
_RECORD_ONE_TOLD = _RECORD_ONE.format(identity="$1", consumer="$2")
_RECORDED = "INSERT 0 1"


def exactly_once(
    db: Database, consumer: str, handlers: Handlers
) -> Callable[[Incoming], Awaitable[Outcome]]:
    """Return a handler for a messaging.Consumer: decodes, and handles in one transaction.

    `consumer` tells the consumers of one database apart, usually by their queue. A message that
    was handled before is a "duplicate", without effect. A VersionConflict or deadlock is tried
    again in new transactions first. A message without a handler is NotYetKnown: a newer version of
    the service, which shares the queue, may have one; but `handlers.gone` is "processed" without
    effect. A wrong body is Unparsable, and so is an identity that the inbox cannot remember
    (IdentityOutOfRange). Messages whose handler allows it and that are in hand at the
    same time share a transaction.
    """
    inbox = _Inbox(db, consumer)
    gathering = Gathering(inbox.handle)

    async def handle(incoming: Incoming) -> Outcome:
        handler = handlers.find(incoming.type)
        if handler is None:
            return _unknown(incoming, handlers)
        identity = _identity(incoming)
        message = decode(handler.kind, incoming.version, incoming.body)
        delivery = Delivery(incoming, identity, message, handler)
        if handler.together:
            fresh = await gathering.add(delivery)
        else:
            fresh = identity in await inbox.handle([delivery])
        return "processed" if fresh else "duplicate"

    return handle


class _Inbox:
    def __init__(self, db: Database, consumer: str) -> None:
        self._db = db
        self._consumer = consumer
        self._literal = "'" + consumer.replace("'", "''") + "'"

    async def handle(self, deliveries: Sequence[Delivery]) -> set[UUID]:
        """Handle all in one transaction; return the identities that were new."""
        return await retry_on_conflict(lambda: self._once(deliveries))

    async def _once(self, deliveries: Sequence[Delivery]) -> set[UUID]:
        try:
            if len(deliveries) == 1:
                return await self._single(deliveries[0])
            async with self._db.transaction() as tx:
                rows = await tx.fetch(_RECORD, [one.identity for one in deliveries], self._consumer)
                fresh = {row["message_id"] for row in rows}
                await _run(tx, [one for one in _first_of_each(deliveries) if one.identity in fresh])
                return fresh
        except asyncpg.CheckViolationError as error:
            if error.table_name != "inbox" or error.constraint_name is not None:
                raise
            await inbox_days.make_and_drop(self._db, time.time())
            raise TransactionConflict("the inbox had no partition for the day") from error

    async def _single(self, delivery: Delivery) -> set[UUID]:
        """The same for one message, with BEGIN and the inbox in one round trip."""
        sql = _RECORD_ONE.format(identity=f"'{delivery.identity}'", consumer=self._literal)
        opening = Opening(sql, _RECORD_ONE_TOLD)
        async with self._db.transaction(opening=opening) as tx:
            if tx.opened != _RECORDED:
                return set()
            await delivery.run(tx)
            return {delivery.identity}


def _first_of_each(deliveries: Sequence[Delivery]) -> Iterable[Delivery]:
    first: dict[UUID, Delivery] = {}
    for delivery in deliveries:
        first.setdefault(delivery.identity, delivery)
    return first.values()


async def _run(tx: Transaction, deliveries: Iterable[Delivery]) -> None:
    """Handle each: one by one, or all of a kind at once where the handler takes many."""
    groups: dict[str, list[Delivery]] = {}
    for delivery in deliveries:
        if delivery.handler.many:
            groups.setdefault(delivery.incoming.type, []).append(delivery)
        else:
            await delivery.run(tx)
    for group in groups.values():
        await group[0].run_for(tx, group)


def _unknown(incoming: Incoming, handlers: Handlers) -> Outcome:
    if incoming.type in handlers.forgotten:
        return "processed"
    raise NotYetKnown(f"no handler for {incoming.type}")


def _identity(incoming: Incoming) -> UUID:
    try:
        identity = UUID(incoming.id)
    except ValueError as error:
        raise IdentityOutOfRange("the message's identity is no UUID") from error
    if not inbox_days.remembered(identity, time.time()):
        raise IdentityOutOfRange(f"{identity} is not of the last {inbox_days.DAYS} days")
    return identity
