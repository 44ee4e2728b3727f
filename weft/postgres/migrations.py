"""Numbered schema files, run once each and in order."""

import asyncio
import hashlib
import random
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self, TypeAlias

import asyncpg
import msgspec

from weft.errors import Unavailable
from weft.postgres.errors import MigrationError, translate
from weft.telemetry import get_logger

log = get_logger(__name__)

CHASSIS = Path(__file__).parent / "schema"
_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_LOCK = 0x57454654  # "WEFT"
_LOCK_DEADLINE = 120.0
_STATEMENT_TIMEOUT_MS = 60_000

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Schema: TypeAlias = Path | list[str]
"""A folder of files NNNN_name.sql, or their texts in order: more may be added at the end."""


class Migration(msgspec.Struct, frozen=True):
    """A file NNNN_name.sql of a schema folder."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read one file. Raises MigrationError for a name of another form."""
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path.name}: expected a name such as 0001_orders.sql")
        return cls(int(match[1]), match[2], path.read_text(encoding="utf-8"))


def migrations(source: Schema) -> list[Migration]:
    """Return the migrations in order. Raises MigrationError for a number used twice."""
    return _files(source) if isinstance(source, Path) else _texts(source)


def _texts(texts: Sequence[str]) -> list[Migration]:
    return [Migration(number, "inline", text) for number, text in enumerate(texts, 1)]


def _files(folder: Path) -> list[Migration]:
    found = sorted((Migration.read(path) for path in folder.glob("*.sql")), key=lambda m: m.number)
    numbers = [migration.number for migration in found]
    if len(set(numbers)) != len(numbers):
        raise MigrationError(f"{folder.name}: two files have the same number")
    return found


async def migrate(connection: Connection, schema: Schema | None) -> None:
    """Bring the database to the newest schema: the chassis' first, then the service's.

    Instances that start together wait for each other. A file that was recorded but is not here
    belongs to a newer version of the service that runs beside this one, and is left alone. Raises
    MigrationError when a recorded file's text has changed, Unavailable when another migrates for
    more than two minutes.
    """
    await connection.execute(f"SET statement_timeout = {_STATEMENT_TIMEOUT_MS}")
    await _lock(connection)
    await connection.execute("CREATE SCHEMA IF NOT EXISTS weft")
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS weft.migrations (scope text, number integer,"
        " name text NOT NULL, checksum text NOT NULL,"
        " applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (scope, number))"
    )
    await _apply(connection, "weft", migrations(CHASSIS))
    if schema is not None:
        await _apply(connection, "service", migrations(schema))
    await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)


async def _lock(connection: Connection) -> None:
    deadline = time.monotonic() + _LOCK_DEADLINE
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
        if time.monotonic() > deadline:
            raise Unavailable("postgres", "another instance is migrating")
        await asyncio.sleep(random.uniform(0.05, 0.2))


async def _apply(connection: Connection, scope: str, wanted: list[Migration]) -> None:
    rows = await connection.fetch(
        "SELECT number, checksum FROM weft.migrations WHERE scope = $1", scope
    )
    done = {row["number"]: row["checksum"] for row in rows}
    for migration in wanted:
        if migration.number not in done:
            await _run(connection, scope, migration)
        elif done[migration.number] != migration.checksum:
            raise MigrationError(
                f"{scope} {migration.number:04}_{migration.name}.sql has changed since it was run"
            )


async def _run(connection: Connection, scope: str, migration: Migration) -> None:
    async with connection.transaction():
        try:
            await connection.execute(migration.sql)
        except asyncpg.PostgresError as error:
            if translate(error, "postgres", closed=connection.is_closed()) is not error:
                raise
            raise MigrationError(
                f"{scope} {migration.number:04}_{migration.name}.sql: {error}"
            ) from error
        await connection.execute(
            "INSERT INTO weft.migrations (scope, number, name, checksum) VALUES ($1, $2, $3, $4)",
            scope,
            migration.number,
            migration.name,
            migration.checksum,
        )
    file = f"{migration.number:04}_{migration.name}.sql"
    log.info("schema migrated", **{"weft.migration": f"{scope} {file}"})
