"""Users' channels: what a user is told, stored and numbered in the transaction that causes it."""

import time
from typing import Any, Final

import msgspec

from services.reports import channel_store
from weft.ids import uuid7
from weft.messaging import Outgoing
from weft.postgres import Outbox, Transaction
from weft.telemetry import current_carrier
from weft.webhooks import Webhooks

UPDATES: Final = "reports.updates"
"""The exchange by which every instance hears of a new message."""


MAX_DATA: Final = 48 * 1024
"""Bytes of a message's data as JSON."""


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """What instances tell each other: a user's message, as his browsers get it."""

    subject: str
    seq: int
    type: str
    message: msgspec.Raw
    """The JSON object without its `traceparent`."""


class Channel:
    """Publishes to users' channels and to the endpoints that they registered."""

    def __init__(self, outbox: Outbox, webhooks: Webhooks) -> None:
        self._outbox = outbox
        self._webhooks = webhooks

    async def publish(
        self,
        tx: Transaction,
        *,
        user: str,
        type: str,  # noqa: A002 - the message's own words
        id: str,  # noqa: A002
        data: Any,
        webhooks: bool = True,
    ) -> int:
        """Tell `user`, once `tx` has committed; return the message's number in his channel.

        `type` is such as `report.finished`, `id` that of the order or report, `data` any JSON. The
        trace that is current now goes on to the browser. `webhooks`: the user's endpoints for
        `type` are told too. What else publishes to the same user waits for the end of `tx`, so
        this should be its last statement but few. Raises ValueError for data beyond 48 KiB.
        """
        carrier = current_carrier()
        traceparent = carrier.get("traceparent", "")
        told = msgspec.json.encode(data)
        if len(told) > MAX_DATA:
            raise ValueError(f"the data of a message may have {MAX_DATA} bytes")
        if webhooks:
            facts = {"id": id, "data": msgspec.Raw(told)}
            await self._webhooks.tell(tx, user, id=uuid7(), type=type, data=facts)
        seq, at = await channel_store.add(
            tx,
            subject=user,
            kind=type,
            identity=id,
            data=told.decode(),
            traceparent=traceparent,
        )
        stored = channel_store.Stored(
            seq=seq, type=type, id=id, at=at, data=msgspec.Raw(told), traceparent=traceparent
        )
        await self._outbox.add(tx, _update(user, stored, carrier), key=f"channel:{user}")
        return seq


def shown(stored: channel_store.Stored) -> bytes:
    """Return a message as JSON, without its `traceparent`, which each socket has its own of."""
    return msgspec.json.encode(
        {
            "seq": stored.seq,
            "type": stored.type,
            "id": stored.id,
            "at": stored.at,
            "data": stored.data,
        }
    )


def _update(user: str, stored: channel_store.Stored, carrier: dict[str, str]) -> Outgoing:
    body = Update(
        subject=user,
        seq=stored.seq,
        type=stored.type,
        message=msgspec.Raw(shown(stored)),
    )
    return Outgoing(
        id=uuid7(),
        exchange=UPDATES,
        routing_key="update",
        type="channel.update",
        version=1,
        body=msgspec.json.encode(body),
        correlation_id=stored.id,
        headers=dict(carrier),
        at=time.time(),
    )
