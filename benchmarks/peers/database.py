"""The engine and the sessions of a service, and the table of its outbox."""

import os
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, DateTime, Identity, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from benchmarks.peers import telemetry

POOL: Final = 10
"""Connections, as many as a service on Weft has."""

engine = create_async_engine(
    os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://", 1),
    pool_size=POOL,
    max_overflow=0,
)
sessions = async_sessionmaker(engine, expire_on_commit=False)
telemetry.of_database(engine)


class Base(DeclarativeBase):
    """Base of the models of all services."""

    type_annotation_map = {datetime: DateTime(timezone=True), dict[str, Any]: JSONB}  # noqa: RUF012 - SQLAlchemy's form


class OutboxRow(Base):
    """A message that is still to be published, written in the transaction of its cause."""

    __tablename__ = "outbox"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    exchange: Mapped[str]
    routing_key: Mapped[str]
    body: Mapped[dict[str, Any]]
    headers: Mapped[dict[str, Any]]
    correlation_id: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


async def create_tables() -> None:
    """Make the tables that are missing."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
