"""What orders does with each message that it hears."""

from typing import Final

from services.orders import messages, store
from services.orders.domain import Product
from services.orders.fulfilment import Fulfilment
from services.orders.saga import Signal
from weft.messaging import Incoming
from weft.postgres import Handlers, Transaction
from weft.telemetry import fact

_STOCK: Final = {
    messages.StockReserved: Signal.STOCK_RESERVED,
    messages.StockRejected: Signal.STOCK_REJECTED,
    messages.StockReleased: Signal.STOCK_RELEASED,
    messages.StockCommitted: Signal.STOCK_COMMITTED,
}
_PAYMENT: Final = {
    messages.PaymentAuthorized: Signal.PAYMENT_AUTHORIZED,
    messages.PaymentDeclined: Signal.PAYMENT_DECLINED,
    messages.PaymentCaptured: Signal.PAYMENT_CAPTURED,
    messages.PaymentVoided: Signal.PAYMENT_VOIDED,
}


def handlers(fulfilment: Fulfilment) -> Handlers:
    """Return the handlers: replies move an order's saga, `product.set` the catalogue."""
    take = Handlers()

    async def stock(tx: Transaction, message: messages.StockReply, _: Incoming) -> None:
        fact("weft.order.id", message.order_id)
        await fulfilment.signal(tx, message.order_id, _STOCK[type(message)])

    async def payment(tx: Transaction, message: messages.PaymentReply, _: Incoming) -> None:
        fact("weft.order.id", message.order_id)
        await fulfilment.signal(
            tx, message.order_id, _PAYMENT[type(message)], payment_id=message.payment_id
        )

    for stock_kind in _STOCK:
        take.on(stock_kind)(stock)
    for payment_kind in _PAYMENT:
        take.on(payment_kind)(payment)

    @take.on(messages.ProductSet)
    async def product(tx: Transaction, message: messages.ProductSet, _: Incoming) -> None:
        known = Product(
            sku=message.sku,
            name=message.name,
            price_minor=message.price_minor,
            currency=message.currency,
        )
        await store.set_product(tx, known, revision=message.revision)

    return take
