"""The statements that run all the time use an index, also where there is much to do."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from weft.postgres import deadline_scanner, event_log, idempotency, outbox_rows, projections
from weft.postgres.database import Database

ROWS = 30_000
FILL = (
    (
        "INSERT INTO weft.outbox (message_id, ordering_key, exchange, routing_key, type, version,"
        " body, headers, correlation_id, mandatory, at, next_attempt_at)"
        " SELECT gen_random_uuid(), 'k' || i % 5000, 'e', 'k', 't', 1, '', '{}', 'c', false, now(),"
        " CASE WHEN i <= 2000 THEN now() + interval '1 hour'"
        " WHEN i % 5000 < 2000 THEN 'infinity'::timestamptz END FROM generate_series(1, $1) AS i"
    ),
    "INSERT INTO weft.streams SELECT 's' || i, 'k', 10, '1' FROM generate_series(1, $1) AS i",
    (
        "INSERT INTO weft.events (stream, version, type, schema_version, data, meta)"
        " SELECT 's' || i / 10, i % 10, 't', 1, '{}', '{}' FROM generate_series(1, $1) AS i"
    ),
    (
        "INSERT INTO weft.deadlines (kind, key, due_at, carrier)"
        " SELECT 'o', 'k' || i, now() + interval '30 s', '{}' FROM generate_series(1, $1) AS i"
    ),
    (
        "INSERT INTO weft.idempotency_keys SELECT 'u' || i, 'POST', '/v1/orders', 'k', '', 202, ''"
        " FROM generate_series(1, $1) AS i"
    ),
)


@pytest.fixture(scope="module")
def statements() -> dict[str, tuple[str, tuple[Any, ...]]]:
    return {
        "ready and due messages": (outbox_rows._FETCH, (500,)),
        "a stream": (event_log.READ, ("s7", 0)),
        "what a projection could read": (projections._PEEK, ("p",)),
        "a projection's batch": (projections._READ, ("3", 0, 500)),
        "the next deadline": (deadline_scanner._PEEK, (["o"],)),
        "a due deadline": (deadline_scanner._CLAIM, (["o"],)),
        "an idempotency key": (idempotency._FIND, ("u5", "POST", "/v1/orders", "k")),
    }


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, statement_timeout=60)
    await database.start()
    for sql in FILL:
        await database.execute(sql, ROWS)
    await database.execute(
        "INSERT INTO weft.projections (name, generation, live, tx, position)"
        " SELECT 'p', 1, true, max(tx), $1 FROM weft.events",
        ROWS - 100,
    )
    await database.execute("ANALYZE")
    yield database
    await database.stop()


async def test_no_statement_of_the_hot_path_reads_a_whole_table(
    db: Database, statements: dict[str, tuple[str, tuple[Any, ...]]]
) -> None:
    for what, (sql, args) in statements.items():
        plan = "\n".join(row[0] for row in await db.fetch(f"EXPLAIN {sql}", *args))
        for table in ("outbox", "events", "deadlines", "idempotency_keys"):
            assert f"Seq Scan on {table}" not in plan, f"{what}:\n{plan}"
        assert "Sort" not in plan or what == "a stream", f"{what}:\n{plan}"
