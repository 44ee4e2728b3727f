"""The simulated card provider: a declined card is told by its token."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, Field
from sqlalchemy import BigInteger, func
from sqlalchemy.orm import Mapped, mapped_column

from benchmarks.peers import telemetry

telemetry.start()

from benchmarks.peers.database import Base, create_tables, sessions  # noqa: E402 - instrumented

log = logging.getLogger(__name__)


class Authorization(Base):
    __tablename__ = "authorizations"

    payment_id: Mapped[UUID] = mapped_column(primary_key=True)
    status: Mapped[str]
    reason: Mapped[str | None]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str]
    authorized_at: Mapped[datetime] = mapped_column(server_default=func.now())
    captured_at: Mapped[datetime | None]


class NewAuthorization(BaseModel):
    payment_id: UUID
    amount_minor: Annotated[int, Field(ge=1)]
    currency: str
    token: Annotated[str, Field(pattern=r"^tok_[a-z]+$", max_length=255)]


class View(BaseModel):
    payment_id: UUID
    status: str
    reason: str | None = None


def _customer(authorization: Annotated[str, Header()]) -> None:
    if authorization != f"Bearer {os.environ['PROVIDER_KEY']}":
        raise HTTPException(401)


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    await create_tables()
    yield


app = FastAPI(lifespan=_lifespan)
telemetry.of_server(app)


@app.get("/readyz")
async def ready() -> dict[str, str]:
    """Tell that it serves."""
    return {"status": "ok"}


@app.post("/v1/authorizations", dependencies=[Depends(_customer)])
async def authorize(body: NewAuthorization) -> View:
    """Authorise a payment; once, however often it is asked."""
    async with sessions.begin() as session:
        found = await session.get(Authorization, body.payment_id)
        if found is None:
            declined = body.token == "tok_declined"  # noqa: S105 - a name, no secret
            found = Authorization(
                payment_id=body.payment_id,
                status="declined" if declined else "authorized",
                reason="card_declined" if declined else None,
                amount_minor=body.amount_minor,
                currency=body.currency,
            )
            session.add(found)
    log.info("authorization", extra={"payment_id": str(body.payment_id), "status": found.status})
    return View(payment_id=found.payment_id, status=found.status, reason=found.reason)


@app.post("/v1/authorizations/{payment_id}/capture", dependencies=[Depends(_customer)])
async def capture(payment_id: UUID) -> View:
    """Take the money."""
    async with sessions.begin() as session:
        found = await session.get(Authorization, payment_id, with_for_update=True)
        if found is None or found.status not in ("authorized", "captured"):
            raise HTTPException(409, "The payment is not authorised.")
        if found.status == "authorized":
            found.status = "captured"
            found.captured_at = func.now()
    log.info("capture", extra={"payment_id": str(payment_id)})
    return View(payment_id=payment_id, status="captured")
