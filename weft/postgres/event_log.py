"""The event log: streams of events, appended with an expected version."""

from collections.abc import Sequence
from typing import Any, TypeVar

import asyncpg
import msgspec

from weft.errors import VersionConflict
from weft.messaging import schema
from weft.messaging.message import Event, Outgoing
from weft.postgres import outbox
from weft.postgres.database import Database
from weft.postgres.executor import Executor
from weft.telemetry import current_carrier

E = TypeVar("E", bound=Event)
Kind = type[E]

SIGNAL = "events"
"""Emitted in this process after events were committed."""

_COLUMNS = "position, stream, version, type, schema_version, data, meta, at"


class StoredEvent(msgspec.Struct, frozen=True):
    """An event as it lies in the log. `at` is in seconds since the epoch, `data` is JSON.

    `position` is unique and grows within a stream; between streams it says nothing about the order
    of commits. `meta` holds `traceparent` (where there was a trace) and `cause`, the id of the
    message whose handling appended the event.
    """

    position: int
    stream: str
    version: int
    type: str
    schema_version: int
    data: bytes
    meta: dict[str, Any]
    at: float

    def decode(self, kind: Kind[E]) -> E:
        """Return the event as today's class, upcast from its schema version.

        Raises NotYetKnown for a newer version that does not fit it, else Unparsable.
        """
        return schema.decode(kind, self.schema_version, self.data)


class EventLog:
    """Appends and reads streams."""

    def __init__(self, db: Database) -> None:
        self._signals = db.signals

    async def append(
        self,
        where: Executor,
        stream: str,
        *,
        kind: str,
        expected: int | None,
        events: Sequence[Event],
        messages: Sequence[Outgoing] = (),
    ) -> int:
        """Append `events` to `stream`, put `messages` into the outbox; return the new version.

        One statement. `expected` is the version before: 0 for a new stream (of `kind`), None for
        any. The messages' ordering key is the stream. Raises VersionConflict if the stream is at
        another version, and also if `where` is a transaction that wrote something else before a
        newer one appended to the stream: readers of the log would see its events turned round.
        Both may succeed in a new transaction.
        """
        if not events:
            raise ValueError("append needs at least one event")
        sql = _statement(expected, with_messages=bool(messages))
        arguments = (
            stream,
            kind,
            expected or 0,
            len(events),
            [event.message_type for event in events],
            [event.message_version for event in events],
            [msgspec.json.encode(event).decode() for event in events],
            _meta(where.cause),
        )
        version: int | None = await where.fetchval(
            sql, *arguments, *(outbox.columns(messages) if messages else ())
        )
        if version is None:
            raise VersionConflict(stream, expected or 0)
        where.on_commit(self._committed if messages else self._appended)
        return version

    async def read(self, where: Executor, stream: str, *, after: int = 0) -> list[StoredEvent]:
        """Return the events of `stream` with a version above `after`, oldest first."""
        return [stored(row) for row in await where.fetch(READ, stream, after)]

    async def first(self, where: Executor, streams: Sequence[str]) -> dict[str, StoredEvent]:
        """Return the event that each of `streams` begins with, by stream."""
        rows = await where.fetch(_FIRST, streams)
        return {row["stream"]: stored(row) for row in rows}

    def _appended(self) -> None:
        self._signals.emit(SIGNAL)

    def _committed(self) -> None:
        self._signals.emit(SIGNAL)
        self._signals.emit(outbox.SIGNAL)


def stored(row: asyncpg.Record) -> StoredEvent:
    """Return a row of weft.events as StoredEvent."""
    return StoredEvent(
        row["position"],
        row["stream"],
        row["version"],
        row["type"],
        row["schema_version"],
        row["data"].encode(),
        msgspec.json.decode(row["meta"]),
        row["at"].timestamp(),
    )


def _meta(cause: str | None) -> str:
    meta = current_carrier()
    if cause is not None:
        meta["cause"] = cause
    return msgspec.json.encode(meta).decode()


# ruff's S608 does not see that no part of these comes from outside.
READ = (
    f"SELECT {_COLUMNS} FROM weft.events"  # noqa: S608
    " WHERE stream = $1 AND version > $2 ORDER BY version"
)

_FIRST = f"SELECT {_COLUMNS} FROM weft.events WHERE stream = ANY($1) AND version = 1"  # noqa: S608

# Each evaluates $1 to $4 and returns the stream's new version, or no row. The comparison of tx
# refuses an append from a transaction that is older than the stream's newest event.
_NEW = (
    "INSERT INTO weft.streams (id, kind, version, tx)"
    " SELECT $1, $2, $3::bigint + $4, pg_current_xact_id()"
    " ON CONFLICT (id) DO NOTHING RETURNING version"
)
_EXISTING = (
    "UPDATE weft.streams SET version = version + $4, tx = pg_current_xact_id()"
    " WHERE id = $1 AND version = $3 AND tx <= pg_current_xact_id()"
    " AND $2::text IS NOT NULL RETURNING version"
)
_ANY = (
    "INSERT INTO weft.streams AS s (id, kind, version, tx)"
    " SELECT $1, $2, $3::bigint + $4, pg_current_xact_id()"
    " ON CONFLICT (id) DO UPDATE SET version = s.version + $4, tx = pg_current_xact_id()"
    " WHERE s.tx <= pg_current_xact_id() RETURNING version"
)
_EVENTS = (
    "INSERT INTO weft.events (stream, version, type, schema_version, data, meta)"
    " SELECT $1, claimed.version - $4 + e.n, e.type, e.schema_version, e.data, $8::jsonb"
    " FROM claimed, unnest($5::text[], $6::int[], $7::jsonb[])"
    " WITH ORDINALITY AS e(type, schema_version, data, n) ORDER BY e.n"
)
_MESSAGES = (
    f"INSERT INTO weft.outbox (ordering_key, {outbox.COLUMNS})"  # noqa: S608
    f" SELECT $1, {outbox.SELECTED} FROM claimed, {outbox.unnested(9)} ORDER BY o.n"
)


def _statement(expected: int | None, *, with_messages: bool) -> str:
    return _STATEMENTS[(expected is not None) + (expected == 0), with_messages]


def _compose(claim: str, *, with_messages: bool) -> str:
    sent = f", sent AS ({_MESSAGES})" if with_messages else ""
    return f"WITH claimed AS ({claim}), stored AS ({_EVENTS}){sent} SELECT version FROM claimed"  # noqa: S608


_STATEMENTS = {
    (number, with_messages): _compose(claim, with_messages=with_messages)
    for number, claim in enumerate((_ANY, _EXISTING, _NEW))
    for with_messages in (False, True)
}
