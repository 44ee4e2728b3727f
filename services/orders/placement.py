"""Accepting an order, once for each Idempotency-Key."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from services.orders.catalogue import Catalogue
from services.orders.domain import (
    VOLUME_DISCOUNT,
    Line,
    OrderPlaced,
    Product,
    price,
    total,
)
from services.orders.fulfilment import Fulfilment
from weft.errors import Unavailable
from weft.ids import uuid7
from weft.postgres import Database, IdempotencyKeys, KeyedRequest, StoredAnswer, Transaction
from weft.telemetry import fact

ACCEPTED: Final = 202
AT_ONCE: Final = 5
"""Placements that use a connection at once. The others of the pool are for what brings orders to
their end: however many come in, the outbox is emptied and replies are taken."""
WAIT_FOR_TURN: Final = 8.0
"""Seconds that a placement waits for its turn in a burst: below the gateway's 10."""


class Links(msgspec.Struct, frozen=True):
    self_: str = msgspec.field(name="self")


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a placed order."""

    order_id: str
    status: str = "pending"
    links: Links


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer sent: lines, and the payment token, which is a secret."""

    subject: str
    lines: Sequence[Line]
    token: str
    trace_id: str
    synthetic: bool = False


class Placed(msgspec.Struct, frozen=True):
    """The answer, and whether it is the stored one of the same request before."""

    answer: StoredAnswer
    replayed: bool


class _Missing(Exception):
    def __init__(self, skus: set[str]) -> None:
        super().__init__()
        self.skus = skus


class Placement:
    """Turns wishes into orders. `has` tells whether a user has a feature."""

    def __init__(
        self,
        db: Database,
        keys: IdempotencyKeys,
        catalogue: Catalogue,
        fulfilment: Fulfilment,
        *,
        has: Callable[[str, str], bool],
    ) -> None:
        self._db = db
        self._keys = keys
        self._catalogue = catalogue
        self._fulfilment = fulfilment
        self._has = has
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def place(self, request: KeyedRequest, wish: Wish, headers: Mapping[str, str]) -> Placed:
        """Accept the order, or give the answer that the same request got before.

        `headers` go along to inventory when it has to be asked. Raises NotSellable, Unavailable,
        KeyInProgress, KeyReused.
        """
        try:
            return await self._try(request, wish, None)
        except _Missing as missing:
            asked = await self._catalogue.ask(missing.skus, headers)
        return await self._try(request, wish, asked)

    async def _try(
        self, request: KeyedRequest, wish: Wish, asked: Mapping[str, Product] | None
    ) -> Placed:
        async with self._turn(), self._db.transaction() as tx:
            stored = await self._keys.begin(tx, request)
            if stored is not None:
                return Placed(stored, replayed=True)
            products = await self._products(tx, wish, asked)
            body = await self._accept(tx, wish, products)
            await self._keys.store(tx, request, status=ACCEPTED, body=body)
        return Placed(StoredAnswer(ACCEPTED, body), replayed=False)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(WAIT_FOR_TURN):
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable("orders", "too many orders come in at once") from None
        try:
            yield
        finally:
            self._turns.release()

    async def _products(
        self, tx: Transaction, wish: Wish, asked: Mapping[str, Product] | None
    ) -> Mapping[str, Product]:
        skus = {line.sku for line in wish.lines}
        known = await self._catalogue.find(tx, skus)
        missing = skus - known.keys()
        if missing and asked is None:
            raise _Missing(missing)
        return {**(asked or {}), **known}

    async def _accept(self, tx: Transaction, wish: Wish, products: Mapping[str, Product]) -> bytes:
        discount = self._has(wish.subject, VOLUME_DISCOUNT)
        if discount:
            fact("weft.order.pricing", VOLUME_DISCOUNT)
        items, currency = price(wish.lines, products, volume_discount=discount)
        order_id = uuid7()
        placed = OrderPlaced(
            subject=wish.subject,
            items=items,
            total_minor=total(items),
            currency=currency,
            payment_id=uuid7(),
            trace_id=wish.trace_id,
            synthetic=wish.synthetic,
        )
        await self._fulfilment.place(tx, order_id, placed, wish.token)
        return msgspec.json.encode(
            Accepted(order_id=order_id, links=Links(self_=f"/v1/orders/{order_id}"))
        )
