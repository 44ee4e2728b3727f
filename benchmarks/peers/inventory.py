"""Inventory: reserves stock for an order, gives it back, or sells it."""

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from fastapi import FastAPI
from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column, relationship

from benchmarks.peers import telemetry

telemetry.start()

from benchmarks.peers.broker import ACK, COMMANDS, broker, queue, running, work  # noqa: E402
from benchmarks.peers.database import Base, create_tables, sessions  # noqa: E402
from benchmarks.peers.messages import (  # noqa: E402
    CommitStock,
    Item,
    ReleaseStock,
    ReserveStock,
    StockCommitted,
    StockRejected,
    StockReleased,
    StockReserved,
)
from benchmarks.peers.shop import STOCK, products  # noqa: E402

log = logging.getLogger(__name__)


class Product(Base):
    __tablename__ = "products"
    __table_args__ = (CheckConstraint("stock >= 0"), CheckConstraint("reserved >= 0"))

    sku: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    price_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str]
    stock: Mapped[int] = mapped_column(BigInteger)
    reserved: Mapped[int] = mapped_column(BigInteger, default=0)
    sold: Mapped[int] = mapped_column(BigInteger, default=0)


class Reservation(Base):
    __tablename__ = "reservations"

    order_id: Mapped[UUID] = mapped_column(primary_key=True)
    state: Mapped[str]
    short_sku: Mapped[str | None]
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    lines: Mapped[list["ReservationLine"]] = relationship(lazy="selectin")


class ReservationLine(Base):
    __tablename__ = "reservation_lines"

    order_id: Mapped[UUID] = mapped_column(ForeignKey("reservations.order_id"), primary_key=True)
    sku: Mapped[str] = mapped_column(primary_key=True)
    quantity: Mapped[int] = mapped_column(BigInteger)


@broker.subscriber(queue("inventory", ReserveStock), COMMANDS, ack_policy=ACK)
async def reserve(command: ReserveStock) -> None:
    """Reserve all items or none."""
    order_id = command.order_id
    async with work() as current:
        session = current.session
        reservation = await session.get(Reservation, order_id)
        if reservation is None:
            reservation = await _reserve(session, order_id, _added_up(command.items))
        if reservation.state == "rejected":
            sku = reservation.short_sku or ""
            current.say(StockRejected(order_id=order_id, reason="out_of_stock", sku=sku))
        else:
            current.say(StockReserved(order_id=order_id))
    log.info("stock", extra={"order_id": str(order_id), "state": reservation.state})


@broker.subscriber(queue("inventory", ReleaseStock), COMMANDS, ack_policy=ACK)
async def release(command: ReleaseStock) -> None:
    """Give back what is reserved."""
    async with work() as current:
        reservation = await _locked(current.session, command.order_id)
        if reservation.state == "reserved":
            for product, quantity in await _held(current.session, reservation):
                product.reserved -= quantity
                product.stock += quantity
            reservation.state = "released"
        current.say(StockReleased(order_id=command.order_id))
    log.info("stock", extra={"order_id": str(command.order_id), "state": "released"})


@broker.subscriber(queue("inventory", CommitStock), COMMANDS, ack_policy=ACK)
async def commit(command: CommitStock) -> None:
    """Sell what is reserved."""
    async with work() as current:
        reservation = await _locked(current.session, command.order_id)
        if reservation.state == "reserved":
            for product, quantity in await _held(current.session, reservation):
                product.reserved -= quantity
                product.sold += quantity
            reservation.state = "committed"
        current.say(StockCommitted(order_id=command.order_id))
    log.info("stock", extra={"order_id": str(command.order_id), "state": "committed"})


async def _reserve(session: AsyncSession, order_id: UUID, wanted: dict[str, int]) -> Reservation:
    found = {product.sku: product for product in await _products(session, wanted)}
    short = next((s for s, n in wanted.items() if s not in found or found[s].stock < n), None)
    if short is None:
        for sku, quantity in wanted.items():
            found[sku].stock -= quantity
            found[sku].reserved += quantity
    reservation = Reservation(
        order_id=order_id,
        state="rejected" if short else "reserved",
        short_sku=short,
        lines=[ReservationLine(sku=sku, quantity=quantity) for sku, quantity in wanted.items()],
    )
    session.add(reservation)
    return reservation


async def _products(session: AsyncSession, skus: Iterable[str]) -> Iterable[Product]:
    """Lock products, in one order by all."""
    wanted = select(Product).where(Product.sku.in_(skus)).order_by(Product.sku)
    found: Iterable[Product] = (await session.scalars(wanted.with_for_update())).all()
    return found


async def _locked(session: AsyncSession, order_id: UUID) -> Reservation:
    found: Reservation = await session.get_one(Reservation, order_id, with_for_update=True)
    return found


async def _held(session: AsyncSession, reservation: Reservation) -> list[tuple[Product, int]]:
    quantities = {line.sku: line.quantity for line in reservation.lines}
    found = await _products(session, quantities)
    return [(product, quantities[product.sku]) for product in found]


def _added_up(items: Iterable[Item]) -> dict[str, int]:
    wanted: dict[str, int] = {}
    for item in items:
        wanted[item.sku] = wanted.get(item.sku, 0) + item.quantity
    return dict(sorted(wanted.items()))


async def _seed() -> None:
    async with sessions.begin() as session:
        session.add_all(Product(**product, stock=STOCK) for product in products())


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    await create_tables()
    await _seed()
    async with running():
        yield


app = FastAPI(lifespan=_lifespan)
telemetry.of_server(app)


@app.get("/readyz")
async def ready() -> dict[str, str]:
    """Tell that it serves."""
    return {"status": "ok"}
