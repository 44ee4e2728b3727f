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
        .on(MessageClass, *, endless: bool = False)    decorator of
            async fn(tx: Transaction, message, incoming: Incoming) -> None
        .types: frozenset[str]; .endless: frozenset[str]
    exactly_once(db, consumer: str, handlers: Handlers) -> async (Incoming) -> "processed" | "duplicate"
        VersionConflict (and deadlocks) inside are tried again in a new transaction. A body that is
        wrong, or an identity that is too old for the inbox: Unparsable. A type without a handler:
        "processed" without effect where only events are handled, Unparsable where commands are.

    Deadlines(db)
        async set(where: Executor, kind: str, key: str, *, due_in: float) -> None    (moves it if set)
        async cancel(where: Executor, kind: str, key: str) -> None    (one that fires now may still fire)
    DeadlineScanner(db, handlers: Mapping[str, async fn(tx: Transaction, key: str) -> None],
                    *, name: str = "deadlines")    Component

    KeyedRequest.of(*, subject, method, path, key, body: bytes) -> KeyedRequest
    IdempotencyKeys(db)
        async begin(tx: Transaction, request: KeyedRequest) -> StoredAnswer | None
            None: go on, and store the answer in the same transaction.
            Raises KeyInProgress (409), KeyReused (422: another body).
        async store(tx, request: KeyedRequest, *, status: int, body: bytes) -> None
    StoredAnswer(status: int, body: bytes)

    Lease(db, name: str, *, ttl: float = 1.5)
        async acquire() -> bool; async renew() -> bool; async release(); .held: bool; .epoch: int

    Projection(db, name: str, apply: async fn(tx, events: Sequence[StoredEvent]) -> None,
               *, batch: int = 500)    Component: reads the log from its start, each event once
"""
