"""The commands that inventory takes, the events that it sends, and what one makes of the other."""

from typing import Annotated

from msgspec import Meta, Struct

from services.inventory import domain, store
from services.inventory.domain import NotReserved, State
from weft.cache import Cache
from weft.flags import delay
from weft.messaging import Command, Event, Incoming, outgoing
from weft.postgres import Handlers, Outbox, Transaction
from weft.telemetry import counter, fact, get_logger, is_synthetic

OrderId = Annotated[str, Meta(pattern="^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
Sku = Annotated[str, Meta(pattern=domain.SKU_PATTERN)]

log = get_logger(__name__)
reservations = counter(
    "weft.stock.reservations", "{reservation}", "Reservations by the state that they came to."
)


class Item(Struct, frozen=True, kw_only=True):
    sku: Sku
    quantity: Annotated[int, Meta(ge=1, le=domain.MAX_QUANTITY)]


class ReserveStock(Command, frozen=True, kw_only=True):
    """Answered by `stock.reserved` or `stock.rejected`; all items are reserved or none."""

    message_type = "ReserveStock"
    order_id: OrderId
    items: Annotated[list[Item], Meta(min_length=1, max_length=domain.MAX_ITEMS)]


class ReleaseStock(Command, frozen=True, kw_only=True):
    """Answered by `stock.released`, also for an unknown order: a later ReserveStock is void."""

    message_type = "ReleaseStock"
    order_id: OrderId


class CommitStock(Command, frozen=True, kw_only=True):
    """Answered by `stock.committed`: what was reserved is sold."""

    message_type = "CommitStock"
    order_id: OrderId


class StockReserved(Event, frozen=True, kw_only=True):
    message_type = "stock.reserved"
    order_id: str


class StockRejected(Event, frozen=True, kw_only=True):
    """`sku` is the first of those that are short; an unknown one is short of everything."""

    message_type = "stock.rejected"
    order_id: str
    reason: str
    sku: str


class StockReleased(Event, frozen=True, kw_only=True):
    message_type = "stock.released"
    order_id: str


class StockCommitted(Event, frozen=True, kw_only=True):
    message_type = "stock.committed"
    order_id: str


class ProductSet(Event, frozen=True, kw_only=True):
    """A product's name or price as it is now. `revision` counts up: a lower one came late."""

    message_type = "product.set"
    sku: str
    name: str
    price_minor: int
    currency: str
    revision: int


def product_set(product: store.Product) -> ProductSet:
    """Return the event that tells of `product`."""
    return ProductSet(
        sku=product.sku,
        name=product.name,
        price_minor=product.price_minor,
        currency=domain.CURRENCY,
        revision=product.revision,
    )


def standing(order_id: str, reservation: store.Reservation) -> Event:
    """Return the event that says where the reservation stands: the answer to any command on it."""
    match reservation.state:
        case State.RESERVED:
            return StockReserved(order_id=order_id)
        case State.REJECTED:
            sku = reservation.short_sku or ""
            return StockRejected(order_id=order_id, reason="out_of_stock", sku=sku)
        case State.RELEASED:
            return StockReleased(order_id=order_id)
        case State.COMMITTED:
            return StockCommitted(order_id=order_id)


def handlers(outbox: Outbox, cache: Cache) -> Handlers:
    """Return what inventory does with each command; answers leave by `outbox`.

    `cache` holds products by SKU.
    """
    take = Handlers()

    async def answer(tx: Transaction, order_id: str, reservation: store.Reservation) -> None:
        event = standing(order_id, reservation)
        await outbox.add(tx, outgoing(event, correlation_id=order_id))
        if reservation.changed and not is_synthetic():
            state = reservation.state.value
            tx.on_commit(lambda: reservations.add(1, {"weft.stock.state": state}))
        if reservation.skus:
            tx.on_commit(lambda: cache.forget_soon(*reservation.skus))

    @take.on(ReserveStock)
    async def reserve(tx: Transaction, message: ReserveStock, _: Incoming) -> None:
        fact("weft.order.id", message.order_id)
        await delay(domain.SLOW)
        wanted = domain.lines((item.sku, item.quantity) for item in message.items)
        await answer(tx, message.order_id, await store.reserve(tx, message.order_id, wanted))

    @take.on(ReleaseStock, endless=True)
    async def release(tx: Transaction, message: ReleaseStock, _: Incoming) -> None:
        fact("weft.order.id", message.order_id)
        await delay(domain.SLOW)
        reservation = await store.release(tx, message.order_id)
        if reservation.state is State.COMMITTED:
            log.warning("release of sold stock", **{"weft.order.id": message.order_id})
        await answer(tx, message.order_id, reservation)

    @take.on(CommitStock, endless=True)
    async def commit(tx: Transaction, message: CommitStock, _: Incoming) -> None:
        fact("weft.order.id", message.order_id)
        await delay(domain.SLOW)
        reservation = await store.commit(tx, message.order_id)
        if reservation is None or reservation.state is not State.COMMITTED:
            raise NotReserved(message.order_id, reservation.state if reservation else None)
        await answer(tx, message.order_id, reservation)

    return take
