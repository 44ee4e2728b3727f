"""PostgreSQL: pool and migrations, event log, outbox and relay, inbox, deadlines, projections.

The public names, each in the module of its noun (import them from there or from here):

    Database(url: str | Secret, *, schema: Path | None = None, pool_size: int = 10,
             name: str = "postgres", statement_timeout: float = 5.0, acquire_timeout: float = 2.0)
        Component. start() connects, migrates (the chassis' schema `weft` first, then the files
        NNNN_name.sql of the folder `schema` into `public`) and makes the inbox' partitions.
        async execute(sql, *args) -> str; fetch -> list[Record]; fetchrow -> Record | None;
        fetchval -> Any (each one statement in a transaction of its own)
        transaction() -> async context manager of Transaction
    Transaction
        async execute, fetch, fetchrow, fetchval as above
        on_commit(callback: Callable[[], None]) -> None    (called after the commit, in order)
        cause: str | None    (id of the message that is being handled, kept in each event's meta)
    Executor = Database | Transaction

    EventLog(db: Database)
        async append(where: Executor, stream: str, *, kind: str, expected: int | None,
                     events: Sequence[Event], messages: Sequence[Outgoing] = ()) -> int
            the stream's new version. `expected` is its version before (0: it is new; None: any).
            One statement; pass the Database itself where nothing else belongs to the transaction.
            The messages' ordering key is the stream. Raises VersionConflict.
        async read(where: Executor, stream: str, *, after: int = 0) -> list[StoredEvent]
    StoredEvent(position, stream, version, type, schema_version, data: bytes (JSON),
                meta: dict[str, Any], at: float (s since the epoch))
        .decode(EventClass) -> EventClass, upcast by the class' upcasters; raises Unparsable

    Outbox(db)
        async add(where: Executor, *messages: Outgoing, key: str | None = None) -> None
            messages of the same `key` (a stream) are published in order
    Relay(db, publisher: Publisher, *, name: str = "relay")    Component

    Handlers()
        .on(MessageClass, *, endless: bool = False, together: bool = False)    decorator of
            async fn(tx: Transaction, message, incoming: Incoming) -> None
        .types: frozenset[str]; .endless: frozenset[str]
    exactly_once(db, consumer: str, handlers: Handlers)
        -> async (Incoming) -> "processed" | "duplicate"
        VersionConflict (and deadlocks) inside are tried again in a new transaction. A body that is
        wrong, or an identity that is too old for the inbox: Unparsable. A type without a handler:
        "processed" without effect where only events are handled, Unparsable where commands are.

    Deadlines(db)
        async set(where: Executor, kind: str, key: str, *, due_in: float) -> None
            set again, it is moved
        async cancel(where: Executor, kind: str, key: str) -> None
            one whose handler runs at this moment still fires
    DeadlineScanner(db, handlers: Mapping[str, async fn(tx: Transaction, key: str) -> None],
                    *, name: str = "deadlines")    Component

    KeyedRequest.of(*, subject, method, path, key, body: bytes) -> KeyedRequest
    IdempotencyKeys(db)
        async begin(tx: Transaction, request: KeyedRequest) -> StoredAnswer | None
            None: go on, and store the answer in the same transaction.
            Raises KeyInProgress (409), KeyReused (422: another body).
        async store(tx, request: KeyedRequest, *, status: int, body: bytes) -> None
        async answer(request, work: async fn(tx) -> StoredAnswer) -> StoredAnswer
            all of it: transaction, begin, work, store; again when it lost against another
    StoredAnswer(status: int, body: bytes, replayed: bool = False)
    async retry_on_conflict(work: async fn() -> T) -> T    (VersionConflict, deadlocks: again)

    Lease(db, name: str, *, ttl: float = 1.5)
        async acquire() -> bool; async renew() -> bool; async release(); .held: bool; .epoch: int

    Projection(db, name: str, apply: async fn(tx, events: Sequence[StoredEvent]) -> None,
               *, batch: int = 500)    Component: reads the log from its start, each event once
"""

from weft.postgres.conflicts import retry_on_conflict
from weft.postgres.database import Database
from weft.postgres.deadline_scanner import DeadlineScanner
from weft.postgres.deadlines import Deadlines
from weft.postgres.errors import (
    IdentityOutOfRange,
    KeyInProgress,
    KeyReused,
    MigrationError,
    TransactionConflict,
)
from weft.postgres.event_log import EventLog, StoredEvent
from weft.postgres.executor import Executor
from weft.postgres.handlers import Handlers
from weft.postgres.idempotency import IdempotencyKeys, KeyedRequest, StoredAnswer
from weft.postgres.inbox import exactly_once
from weft.postgres.leases import Lease
from weft.postgres.outbox import Outbox
from weft.postgres.projections import Projection
from weft.postgres.relay import Relay
from weft.postgres.transaction import Transaction

__all__ = [
    "Database",
    "DeadlineScanner",
    "Deadlines",
    "EventLog",
    "Executor",
    "Handlers",
    "IdempotencyKeys",
    "IdentityOutOfRange",
    "KeyInProgress",
    "KeyReused",
    "KeyedRequest",
    "Lease",
    "MigrationError",
    "Outbox",
    "Projection",
    "Relay",
    "StoredAnswer",
    "StoredEvent",
    "Transaction",
    "TransactionConflict",
    "exactly_once",
    "retry_on_conflict",
]
