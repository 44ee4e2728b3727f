"""The outbox: messages that are stored with their cause and published by the relay."""

from collections.abc import Sequence
from typing import Any

import msgspec

from weft.messaging.message import Outgoing
from weft.postgres.database import Database
from weft.postgres.executor import Executor

SIGNAL = "outbox"
"""Emitted in this process after messages were committed."""

COLUMNS = (
    "message_id, exchange, routing_key, type, version, body, headers,"
    " correlation_id, reply_to, priority, mandatory, at"
)


def unnested(first: int) -> str:
    """Return the FROM item of `columns(...)` as parameters from number `first` on, named `o`."""
    types = (
        "uuid[]", "text[]", "text[]", "text[]", "int[]", "bytea[]", "jsonb[]",
        "text[]", "text[]", "smallint[]", "boolean[]", "float8[]",
    )  # fmt: skip
    arrays = ", ".join(f"${first + n}::{kind}" for n, kind in enumerate(types))
    return f"unnest({arrays}) WITH ORDINALITY AS o({COLUMNS}, n)"


SELECTED = (
    "o.message_id, o.exchange, o.routing_key, o.type, o.version, o.body, o.headers,"
    " o.correlation_id, o.reply_to, o.priority, o.mandatory, to_timestamp(o.at)"
)

# ruff's S608 does not see that no part of this comes from outside.
_INSERT = (
    f"INSERT INTO weft.outbox (ordering_key, {COLUMNS})"  # noqa: S608
    f" SELECT $1, {SELECTED} FROM {unnested(2)} ORDER BY o.n"
)


def columns(messages: Sequence[Outgoing]) -> tuple[list[Any], ...]:
    """Return the messages as the arrays that `unnested` expects."""
    return (
        [message.id for message in messages],
        [message.exchange for message in messages],
        [message.routing_key for message in messages],
        [message.type for message in messages],
        [message.version for message in messages],
        [message.body for message in messages],
        [msgspec.json.encode(message.headers).decode() for message in messages],
        [message.correlation_id for message in messages],
        [message.reply_to for message in messages],
        [message.priority for message in messages],
        [message.mandatory for message in messages],
        [message.at for message in messages],
    )


class Outbox:
    """Stores messages of a transaction; the relay publishes them once it is committed."""

    def __init__(self, db: Database) -> None:
        self._signals = db.signals

    async def add(self, where: Executor, *messages: Outgoing, key: str | None = None) -> None:
        """Store `messages`. Those of the same `key` (a stream) are published in order."""
        if not messages:
            return
        await where.execute(_INSERT, key, *columns(messages))
        where.on_commit(self._wake)

    def _wake(self) -> None:
        self._signals.emit(SIGNAL)
