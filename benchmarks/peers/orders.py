"""Orders: takes an order in, and leads it to its end by commands and their answers."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel, Field
from sqlalchemy import BigInteger, ForeignKey, Identity, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from benchmarks.peers import telemetry

telemetry.start()

from benchmarks.peers.broker import ACK, EVENTS, Work, broker, queue, running, work  # noqa: E402
from benchmarks.peers.database import Base, create_tables, sessions  # noqa: E402
from benchmarks.peers.messages import (  # noqa: E402
    AuthorizePayment,
    CapturePayment,
    CommitStock,
    Event,
    Item,
    OrderConfirmed,
    OrderPlaced,
    OrderRejected,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    ReleaseStock,
    ReserveStock,
    StockCommitted,
    StockRejected,
    StockReleased,
    StockReserved,
)
from benchmarks.peers.shop import products  # noqa: E402

log = logging.getLogger(__name__)


class Product(Base):
    __tablename__ = "catalogue"

    sku: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    price_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str]


class Order(Base):
    """An order. `step` is the last answer that it was led on by."""

    __tablename__ = "orders"

    order_id: Mapped[UUID] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(index=True)
    status: Mapped[str] = mapped_column(default="pending")
    step: Mapped[str] = mapped_column(default=OrderPlaced.name)
    reason: Mapped[str | None]
    items: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    total_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str]
    payment_id: Mapped[UUID]
    token: Mapped[str | None]
    placed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]


class OrderEvent(Base):
    """What happened to an order, for whoever looks at it."""

    __tablename__ = "order_events"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.order_id"), index=True)
    type: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.now())


class IdempotencyKey(Base):
    __tablename__ = "idempotency_keys"

    subject: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str]
    order_id: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class OrderLine(BaseModel):
    sku: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,40}$")]
    quantity: Annotated[int, Field(ge=1, le=1000)]


class PaymentMeans(BaseModel):
    token: Annotated[str, Field(pattern=r"^tok_[a-z]+$", max_length=255)]


class NewOrder(BaseModel):
    items: Annotated[list[OrderLine], Field(min_length=1, max_length=100)]
    payment: PaymentMeans


class Accepted(BaseModel):
    order_id: UUID
    status: str = "pending"


class Happened(BaseModel):
    type: str
    at: datetime


class OrderView(BaseModel):
    order_id: UUID
    status: str
    reason: str | None
    total_minor: int
    currency: str
    placed_at: datetime
    finished_at: datetime | None
    events: list[Happened]


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    await create_tables()
    async with sessions.begin() as session:
        session.add_all(Product(**product) for product in products())
    async with running():
        yield


app = FastAPI(lifespan=_lifespan)
telemetry.of_server(app)


@app.get("/readyz")
async def ready() -> dict[str, str]:
    """Tell that it serves."""
    return {"status": "ok"}


@app.post("/v1/orders", status_code=202)
async def place(
    body: NewOrder,
    idempotency_key: Annotated[str, Header(max_length=255)],
    x_user: Annotated[str, Header(max_length=255)],
) -> Accepted:
    """Place an order, once for each Idempotency-Key."""
    digest = sha256(body.model_dump_json().encode()).hexdigest()
    async with work() as current:
        session = current.session
        before = await session.get(IdempotencyKey, (x_user, idempotency_key))
        if before is not None:
            if before.digest != digest:
                raise HTTPException(422, "This Idempotency-Key was used with another body.")
            return Accepted(order_id=before.order_id)
        order = await _order(session, body, x_user)
        session.add(order)
        session.add(
            IdempotencyKey(
                subject=x_user, key=idempotency_key, digest=digest, order_id=order.order_id
            )
        )
        await session.flush()  # the order's row before those that refer to it
        order_id, items = order.order_id, [Item(**item) for item in order.items]
        _happened(session, order, OrderPlaced.name)
        current.say(
            OrderPlaced(
                order_id=order_id,
                subject=x_user,
                total_minor=order.total_minor,
                currency=order.currency,
            )
        )
        current.say(ReserveStock(order_id=order_id, items=items))
    log.info("order placed", extra={"order_id": str(order_id)})
    return Accepted(order_id=order_id)


@app.get("/v1/orders/{order_id}")
async def show(order_id: UUID, x_user: Annotated[str, Header(max_length=255)]) -> OrderView:
    """Show an order and what happened to it."""
    async with sessions() as session:
        order = await session.get(Order, order_id)
        if order is None or order.subject != x_user:
            raise HTTPException(404, "There is no such order of yours.")
        wanted = select(OrderEvent).where(OrderEvent.order_id == order_id).order_by(OrderEvent.id)
        events = (await session.scalars(wanted)).all()
    return OrderView.model_validate(
        {**vars(order), "events": [vars(event) for event in events]}, extra="ignore"
    )


async def _order(session: AsyncSession, body: NewOrder, subject: str) -> Order:
    skus = {line.sku for line in body.items}
    found = (await session.scalars(select(Product).where(Product.sku.in_(skus)))).all()
    known = {product.sku: product for product in found}
    if missing := skus - known.keys():
        raise HTTPException(422, f"There is no {min(missing)}.")
    return Order(
        order_id=uuid4(),
        subject=subject,
        items=[line.model_dump() for line in body.items],
        total_minor=sum(known[line.sku].price_minor * line.quantity for line in body.items),
        currency="EUR",
        payment_id=uuid4(),
        token=body.payment.token,
    )


@asynccontextmanager
async def _led_on(event: Event, *, after: str) -> AsyncIterator[tuple[Work, Order] | None]:
    """Give the order if it waits for `event`; None for an answer that comes twice."""
    async with work() as current:
        order = await current.session.get_one(Order, event.order_id, with_for_update=True)
        if order.step != after:
            yield None
            return
        order.step = event.name
        _happened(current.session, order, event.name)
        yield current, order
    log.info("order led on", extra={"order_id": str(order.order_id), "event": event.name})


@broker.subscriber(queue("orders", StockReserved), EVENTS, ack_policy=ACK)
async def stock_reserved(event: StockReserved) -> None:
    """Have the payment authorised."""
    async with _led_on(event, after=OrderPlaced.name) as step:
        if step is not None:
            current, order = step
            token, order.token = order.token, None
            current.say(
                AuthorizePayment(
                    order_id=order.order_id,
                    payment_id=order.payment_id,
                    amount_minor=order.total_minor,
                    currency=order.currency,
                    token=token,
                )
            )


@broker.subscriber(queue("orders", StockRejected), EVENTS, ack_policy=ACK)
async def stock_rejected(event: StockRejected) -> None:
    """Reject the order: nothing has to be undone."""
    async with _led_on(event, after=OrderPlaced.name) as step:
        if step is not None:
            _reject(*step, reason=event.reason)


@broker.subscriber(queue("orders", PaymentAuthorized), EVENTS, ack_policy=ACK)
async def payment_authorized(event: PaymentAuthorized) -> None:
    """Have the money taken."""
    async with _led_on(event, after=StockReserved.name) as step:
        if step is not None:
            current, order = step
            current.say(CapturePayment(order_id=order.order_id, payment_id=order.payment_id))


@broker.subscriber(queue("orders", PaymentDeclined), EVENTS, ack_policy=ACK)
async def payment_declined(event: PaymentDeclined) -> None:
    """Give the stock back."""
    async with _led_on(event, after=StockReserved.name) as step:
        if step is not None:
            step[0].say(ReleaseStock(order_id=event.order_id))


@broker.subscriber(queue("orders", PaymentCaptured), EVENTS, ack_policy=ACK)
async def payment_captured(event: PaymentCaptured) -> None:
    """Sell the stock."""
    async with _led_on(event, after=PaymentAuthorized.name) as step:
        if step is not None:
            step[0].say(CommitStock(order_id=event.order_id))


@broker.subscriber(queue("orders", StockReleased), EVENTS, ack_policy=ACK)
async def stock_released(event: StockReleased) -> None:
    """Reject the order: its payment was declined, and its stock is given back."""
    async with _led_on(event, after=PaymentDeclined.name) as step:
        if step is not None:
            _reject(*step, reason="payment_declined")


@broker.subscriber(queue("orders", StockCommitted), EVENTS, ack_policy=ACK)
async def stock_committed(event: StockCommitted) -> None:
    """Confirm the order."""
    async with _led_on(event, after=PaymentCaptured.name) as step:
        if step is not None:
            current, order = step
            order.status, order.finished_at = "confirmed", func.now()
            _happened(current.session, order, OrderConfirmed.name)
            current.say(
                OrderConfirmed(
                    order_id=order.order_id,
                    subject=order.subject,
                    total_minor=order.total_minor,
                    currency=order.currency,
                )
            )


def _reject(current: Work, order: Order, *, reason: str) -> None:
    order.status, order.reason, order.finished_at = "rejected", reason, func.now()
    _happened(current.session, order, OrderRejected.name)
    current.say(OrderRejected(order_id=order.order_id, subject=order.subject, reason=reason))


def _happened(session: AsyncSession, order: Order, kind: str) -> None:
    session.add(OrderEvent(order_id=order.order_id, type=kind))
