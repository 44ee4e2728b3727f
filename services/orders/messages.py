"""What orders says and hears: commands to inventory and payments, their replies, its own events."""

from typing import ClassVar

import msgspec

from weft.messaging import Command, Event


class StockItem(msgspec.Struct, frozen=True, kw_only=True):
    sku: str
    quantity: int


class ReserveStock(Command, frozen=True, kw_only=True):
    """Answered by stock.reserved or stock.rejected. Sent once."""

    message_type: ClassVar[str] = "ReserveStock"
    order_id: str
    items: list[StockItem]


class ReleaseStock(Command, frozen=True, kw_only=True):
    """Answered by stock.released, always: also when nothing is, or will ever be, reserved.

    Repeated until answered. It may overtake ReserveStock, which then has no effect any more.
    """

    message_type: ClassVar[str] = "ReleaseStock"
    order_id: str


class CommitStock(Command, frozen=True, kw_only=True):
    """Answered by stock.committed. Repeated until answered."""

    message_type: ClassVar[str] = "CommitStock"
    order_id: str


class AuthorizePayment(Command, frozen=True, kw_only=True):
    """Answered by payment.authorized or payment.declined. Sent once. Amount in minor units."""

    message_type: ClassVar[str] = "AuthorizePayment"
    order_id: str
    payment_id: str
    amount_minor: int
    currency: str
    token: str


class CapturePayment(Command, frozen=True, kw_only=True):
    """Answered by payment.captured. Repeated until answered."""

    message_type: ClassVar[str] = "CapturePayment"
    order_id: str
    payment_id: str


class VoidPayment(Command, frozen=True, kw_only=True):
    """Answered by payment.voided, always: also when nothing is, or will ever be, authorised.

    Repeated until answered. It may overtake AuthorizePayment, which then has no effect any more.
    """

    message_type: ClassVar[str] = "VoidPayment"
    order_id: str
    payment_id: str


class StockReply(Event, frozen=True, kw_only=True):
    """Base of inventory's replies."""

    order_id: str


class StockReserved(StockReply, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "stock.reserved"


class StockRejected(StockReply, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "stock.rejected"


class StockReleased(StockReply, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "stock.released"


class StockCommitted(StockReply, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "stock.committed"


class PaymentReply(Event, frozen=True, kw_only=True):
    """Base of payments' replies."""

    order_id: str
    payment_id: str


class PaymentAuthorized(PaymentReply, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "payment.authorized"


class PaymentDeclined(PaymentReply, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "payment.declined"


class PaymentCaptured(PaymentReply, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "payment.captured"


class PaymentVoided(PaymentReply, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "payment.voided"


class ProductSet(Event, frozen=True, kw_only=True):
    """A product's name or price as it is now. Price in minor units; `revision` counts up."""

    message_type: ClassVar[str] = "product.set"
    sku: str
    name: str
    price_minor: int
    currency: str
    revision: int


class OrderPlaced(Event, frozen=True, kw_only=True):
    """An order was accepted. Total in minor units."""

    message_type: ClassVar[str] = "order.placed"
    order_id: str
    subject: str
    total_minor: int
    currency: str


class OrderConfirmed(Event, frozen=True, kw_only=True):
    """An order was paid, and its stock is sold."""

    message_type: ClassVar[str] = "order.confirmed"
    order_id: str
    subject: str
    total_minor: int
    currency: str


class OrderRejected(Event, frozen=True, kw_only=True):
    """An order came to nothing, and what was done for it is undone."""

    message_type: ClassVar[str] = "order.rejected"
    order_id: str
    subject: str
    reason: str
