"""The pool, its transactions and the migrations, on a real server."""

# ruff: noqa: PT012 - what must raise is the end of a transaction's block

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from tests.ports import free_port
from weft.errors import Unavailable
from weft.postgres import pool_metrics
from weft.postgres.database import Database
from weft.postgres.errors import MigrationError, TransactionAborted, TransactionConflict
from weft.postgres.transaction import Opening


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, pool_size=4)
    await database.start()
    yield database
    await database.stop()


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    (tmp_path / "0001_shelves.sql").write_text("CREATE TABLE shelves (id int PRIMARY KEY);")
    (tmp_path / "0002_books.sql").write_text(
        "CREATE TABLE books (id int PRIMARY KEY); INSERT INTO books VALUES (1);"
    )
    return tmp_path


async def test_a_pool_tells_how_many_of_its_connections_are_used(database_url: str) -> None:
    database = Database(database_url, pool_size=4, name="counted")
    await database.start()
    used, idle = (
        (("db.client.connection.pool.name", "counted"), ("db.client.connection.state", state))
        for state in ("used", "idle")
    )
    async with database.transaction() as tx:
        await tx.fetchval("SELECT 1")
        assert pool_metrics.connections()[used] == 1
        assert pool_metrics.most()[used[:1]] == 4
    assert pool_metrics.connections()[used] == 0
    assert pool_metrics.connections()[idle] == 1
    await database.stop()
    assert used not in pool_metrics.connections()


async def test_instances_that_start_together_migrate_once(database_url: str, schema: Path) -> None:
    instances = [Database(database_url, schema=schema, pool_size=2) for _ in range(5)]
    await asyncio.gather(*(instance.start() for instance in instances))
    rows = await instances[0].fetch("SELECT scope, number FROM weft.migrations ORDER BY 1, 2")
    assert [tuple(row) for row in rows if row["scope"] == "service"] == [
        ("service", 1),
        ("service", 2),
    ]
    assert await instances[0].fetchval("SELECT count(*) FROM books") == 1
    await asyncio.gather(*(instance.stop() for instance in instances))


async def test_a_later_version_applies_only_what_is_new(database_url: str, schema: Path) -> None:
    for _ in range(2):
        database = Database(database_url, schema=schema)
        await database.start()
        await database.stop()
    (schema / "0003_more.sql").write_text("INSERT INTO books VALUES (2)")
    database = Database(database_url, schema=schema)
    await database.start()
    assert await database.fetchval("SELECT count(*) FROM books") == 2
    await database.stop()


async def test_a_schema_in_the_program_grows_at_its_end(database_url: str) -> None:
    texts = ["CREATE TABLE books (id int)", "INSERT INTO books VALUES (1)"]
    for schema in (texts[:1], texts):
        database = Database(database_url, schema=schema)
        await database.start()
        await database.stop()
    database = Database(database_url, schema=["CREATE TABLE books (id bigint)"])
    with pytest.raises(MigrationError, match=r"service 0001_inline\.sql has changed"):
        await database.start()


async def test_the_older_version_starts_beside_a_newer_schema(
    database_url: str, schema: Path
) -> None:
    newer = Database(database_url, schema=schema)
    await newer.start()
    (schema / "0002_books.sql").unlink()
    older = Database(database_url, schema=schema)
    await older.start()
    await asyncio.gather(newer.stop(), older.stop())


async def test_a_changed_migration_is_refused(database_url: str, schema: Path) -> None:
    database = Database(database_url, schema=schema)
    await database.start()
    await database.stop()
    (schema / "0001_shelves.sql").write_text("CREATE TABLE shelves (id bigint);")
    with pytest.raises(MigrationError, match=r"0001_shelves\.sql has changed"):
        await database.start()


async def test_a_failing_migration_leaves_nothing_of_itself(
    database_url: str, schema: Path
) -> None:
    (schema / "0002_books.sql").write_text("CREATE TABLE books (id int); SELECT 1 / 0;")
    database = Database(database_url, schema=schema)
    with pytest.raises(MigrationError, match=r"0002_books\.sql: division by zero"):
        await database.start()
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT to_regclass('books')") is None
    assert await connection.fetchval("SELECT to_regclass('shelves')") is not None
    await connection.close()


async def test_start_waits_for_a_server_that_comes_later(database_url: str) -> None:
    port = free_port()
    target = Database(database_url).address
    writers: list[asyncio.StreamWriter] = []

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(target.host, target.port)
        writers.extend((writer, there_writer))

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
            sink.close()

        await asyncio.gather(copy(reader, there_writer), copy(there_reader, writer))

    database = Database(database_url.replace(f":{target.port}/", f":{port}/"))
    starting = asyncio.create_task(database.start())
    done, _ = await asyncio.wait([starting], timeout=0.4)
    assert not done
    server = await asyncio.start_server(forward, "127.0.0.1", port)
    await asyncio.wait_for(starting, 60)
    await database.check()
    await database.stop()
    server.close()
    for writer in writers:
        writer.close()


async def test_an_absent_server_is_unavailable_at_once(database_url: str) -> None:
    database = Database(database_url)
    with pytest.raises(Unavailable):
        await database.check()


async def test_a_transaction_commits_or_leaves_nothing(db: Database) -> None:
    await db.execute("CREATE TABLE notes (text text)")
    async with db.transaction() as tx:
        await tx.execute("INSERT INTO notes VALUES ($1)", "kept")
    with pytest.raises(KeyError):
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO notes VALUES ($1)", "lost")
            raise KeyError
    assert [row["text"] for row in await db.fetch("SELECT text FROM notes")] == ["kept"]


async def test_callbacks_run_after_the_commit_and_never_after_a_rollback(db: Database) -> None:
    await db.execute("CREATE TABLE notes (text text)")
    seen: list[str] = []
    async with db.transaction() as tx:
        tx.on_commit(lambda: seen.append("committed"))
        await tx.execute("INSERT INTO notes VALUES ('a')")
        assert seen == []
    with pytest.raises(KeyError):
        async with db.transaction() as tx:
            tx.on_commit(lambda: seen.append("rolled back"))
            raise KeyError
    assert seen == ["committed"]


async def test_a_swallowed_statement_error_cannot_pass_as_a_commit(db: Database) -> None:
    called: list[int] = []
    with pytest.raises(TransactionAborted):
        async with db.transaction() as tx:
            tx.on_commit(lambda: called.append(1))
            with pytest.raises(asyncpg.DivisionByZeroError):
                await tx.fetchval("SELECT 1 / 0")
    assert not called


async def test_a_transaction_tells_what_its_opening_statement_did(db: Database) -> None:
    await db.execute("CREATE TABLE notes (text text UNIQUE)")
    opening = Opening("INSERT INTO notes VALUES ('a') ON CONFLICT DO NOTHING", "INSERT INTO notes")
    for tag in ("INSERT 0 1", "INSERT 0 0"):
        async with db.transaction(opening=opening) as tx:
            assert tx.opened == tag
    with pytest.raises(KeyError):
        async with db.transaction(opening=Opening("DELETE FROM notes", "DELETE FROM notes")):
            raise KeyError
    assert await db.fetchval("SELECT text FROM notes") == "a"


async def test_a_transaction_that_fails_to_open_leaves_its_connection_as_it_was(
    database_url: str,
) -> None:
    database = Database(database_url, pool_size=1)
    await database.start()
    before = await database.fetchval("SELECT pg_backend_pid()")
    with pytest.raises(asyncpg.UndefinedTableError):
        async with database.transaction(opening=Opening("DELETE FROM nothing", "DELETE")):
            pass
    assert await database.fetchval("SELECT pg_backend_pid()") == before
    await database.stop()


async def test_a_cancelled_transaction_is_rolled_back_and_its_connection_serves_on(
    database_url: str,
) -> None:
    database = Database(database_url, pool_size=1)
    await database.start()
    await database.execute("CREATE TABLE notes (text text)")
    written = asyncio.Event()

    async def work() -> None:
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO notes VALUES ('lost')")
            written.set()
            await tx.execute("SELECT pg_sleep(30)")

    task = asyncio.create_task(work())
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await database.fetchval("SELECT count(*) FROM notes") == 0
    await database.stop()


async def test_a_statement_over_its_deadline_is_unavailable(database_url: str) -> None:
    database = Database(database_url, statement_timeout=0.2)
    await database.start()
    begun = time.monotonic()
    with pytest.raises(Unavailable, match="statement timeout"):
        await database.execute("SELECT pg_sleep(10)")
    assert time.monotonic() - begun < 9
    await database.stop()


async def test_a_wait_for_a_connection_over_its_deadline_is_unavailable(database_url: str) -> None:
    database = Database(database_url, pool_size=1, acquire_timeout=1.5)
    await database.start()
    async with database.transaction():
        with pytest.raises(Unavailable):
            await database.fetchval("SELECT 1")
    assert await database.fetchval("SELECT 1") == 1
    await database.stop()


async def test_a_lost_connection_is_unavailable_and_the_next_one_works(db: Database) -> None:
    with pytest.raises(Unavailable):
        async with db.transaction() as tx:
            pid = await tx.fetchval("SELECT pg_backend_pid()")
            await db.execute("SELECT pg_terminate_backend($1)", pid)
            await tx.execute("SELECT 1")
    assert await db.fetchval("SELECT 1") == 1


async def test_a_deadlock_is_a_conflict(db: Database) -> None:
    await db.execute("CREATE TABLE pair (id int PRIMARY KEY, n int)")
    await db.execute("INSERT INTO pair VALUES (1, 0), (2, 0)")
    both = asyncio.Barrier(2)

    async def update(first: int, second: int) -> None:
        async with db.transaction() as tx:
            await tx.execute("UPDATE pair SET n = n + 1 WHERE id = $1", first)
            await both.wait()
            await tx.execute("UPDATE pair SET n = n + 1 WHERE id = $1", second)

    results = await asyncio.gather(update(1, 2), update(2, 1), return_exceptions=True)
    assert [type(result) for result in results if result is not None] == [TransactionConflict]
    assert await db.fetchval("SELECT sum(n) FROM pair") == 2


async def test_a_migration_under_a_prepared_statement_is_a_conflict(db: Database) -> None:
    await db.execute("CREATE TABLE notes (text text)")
    async with asyncio.timeout(10):
        async with db.transaction() as tx:
            await tx.fetch("SELECT * FROM notes")
        await db.execute("ALTER TABLE notes ADD COLUMN more int")
        with pytest.raises(TransactionConflict):
            async with db.transaction() as tx:
                await tx.fetch("SELECT * FROM notes")
        async with db.transaction() as tx:
            assert await tx.fetch("SELECT * FROM notes") == []


async def test_a_transaction_that_waits_for_its_client_is_ended_by_the_server(
    db: Database,
) -> None:
    async with db.transaction() as tx:
        setting = await tx.fetchval("SHOW idle_in_transaction_session_timeout")
    assert setting == "5s"


async def test_the_role_needs_no_more_than_its_own_database(db: Database) -> None:
    assert not await db.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
