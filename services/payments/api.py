"""The webhook by which the card provider tells how a pending authorisation ended."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from services.payments.messages import Book, Id
from services.payments.provider import answer
from weft.http import Problem, Reply, Request, Routes
from weft.postgres import Database, retry_on_conflict
from weft.settings import Secret
from weft.webhooks import InvalidWebhook, verify


class AuthorizationNotice(msgspec.Struct, frozen=True, kw_only=True):
    payment_id: Id
    status: Annotated[str, msgspec.Meta(max_length=40)]
    reason: Annotated[str, msgspec.Meta(max_length=200)] | None = None


class WebhookBody(msgspec.Struct, frozen=True, kw_only=True):
    """By Standard Webhooks: what happened, when (RFC 3339), to what."""

    type: Literal["authorization.updated"]
    timestamp: Annotated[str, msgspec.Meta(max_length=40)]
    data: AuthorizationNotice


def routes(db: Database, book: Book, secrets: Sequence[Secret]) -> Routes:
    """Return the routes of payments; one of `secrets` signs the webhook."""
    api = Routes()

    @api.post(
        "/v1/webhooks/card-provider",
        public=True,
        status=204,
        summary="Hear from the card provider (Standard Webhooks)",
    )
    async def hear(request: Request, body: WebhookBody) -> Reply[None]:
        try:
            identity = verify(secrets, request.headers, request.raw)
        except InvalidWebhook as error:
            raise Problem(401, detail=f"{error}.") from None
        request.set("weft.webhook.id", identity)
        told = answer(body.data.status, body.data.reason)

        async def conclude() -> None:
            async with db.transaction() as tx:
                await book.conclude(tx, body.data.payment_id, told.outcome, reason=told.reason)

        await retry_on_conflict(conclude)
        return Reply()

    return api
