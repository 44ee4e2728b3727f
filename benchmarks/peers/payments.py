"""Payments: asks the card provider, keeps what it said, answers."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import httpx
from fastapi import FastAPI
from sqlalchemy import BigInteger, func
from sqlalchemy.orm import Mapped, mapped_column

from benchmarks.peers import telemetry

telemetry.start()
telemetry.of_clients()

from benchmarks.peers.broker import ACK, COMMANDS, broker, queue, running, work  # noqa: E402
from benchmarks.peers.database import Base, create_tables  # noqa: E402
from benchmarks.peers.messages import (  # noqa: E402
    AuthorizePayment,
    CapturePayment,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
)

_TIMEOUT: Final = 5.0

log = logging.getLogger(__name__)
provider = httpx.AsyncClient(
    base_url=os.environ["PROVIDER_URL"],
    headers={"Authorization": f"Bearer {os.environ['PROVIDER_KEY']}"},
    timeout=_TIMEOUT,
)


class Payment(Base):
    __tablename__ = "payments"

    payment_id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID]
    status: Mapped[str]
    reason: Mapped[str | None]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    captured_at: Mapped[datetime | None]


async def _ask(path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Call the provider. What fails is tried again with the message, which is given back."""
    answer = await provider.post(path, json=body)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


@broker.subscriber(queue("payments", AuthorizePayment), COMMANDS, ack_policy=ACK)
async def authorize(command: AuthorizePayment) -> None:
    """Have the payment authorised: no transaction is open while the provider is asked."""
    wanted = command.model_dump(mode="json", exclude={"order_id"})
    verdict = await _ask("/v1/authorizations", wanted)
    ids = {"order_id": command.order_id, "payment_id": command.payment_id}
    async with work() as current:
        payment = await current.session.get(Payment, command.payment_id)
        if payment is None:
            payment = Payment(
                **ids,
                status=verdict["status"],
                reason=verdict["reason"],
                amount_minor=command.amount_minor,
                currency=command.currency,
            )
            current.session.add(payment)
        if payment.status == "declined":
            current.say(PaymentDeclined(**ids, reason=payment.reason or "declined"))
        else:
            current.say(PaymentAuthorized(**ids))
    log.info("payment", extra={"order_id": str(command.order_id), "status": payment.status})


@broker.subscriber(queue("payments", CapturePayment), COMMANDS, ack_policy=ACK)
async def capture(command: CapturePayment) -> None:
    """Take the money."""
    await _ask(f"/v1/authorizations/{command.payment_id}/capture")
    async with work() as current:
        payment = await current.session.get_one(Payment, command.payment_id, with_for_update=True)
        if payment.status == "authorized":
            payment.status = "captured"
            payment.captured_at = func.now()
        current.say(PaymentCaptured(order_id=command.order_id, payment_id=command.payment_id))
    log.info("payment", extra={"order_id": str(command.order_id), "status": "captured"})


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    await create_tables()
    async with provider, running():
        yield


app = FastAPI(lifespan=_lifespan)
telemetry.of_server(app)


@app.get("/readyz")
async def ready() -> dict[str, str]:
    """Tell that it serves."""
    return {"status": "ok"}
