"""What the services say to each other. The names and the fields are those of Weft's services."""

from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel


class Message(BaseModel):
    """Base of commands and events; `name` is the routing key."""

    name: ClassVar[str]
    order_id: UUID


class Command(Message):
    """A wish, addressed to the one service that handles it."""


class Event(Message):
    """A fact, for whoever listens."""


class Item(BaseModel):
    sku: str
    quantity: int


class ReserveStock(Command):
    name = "ReserveStock"
    items: list[Item]


class ReleaseStock(Command):
    name = "ReleaseStock"


class CommitStock(Command):
    name = "CommitStock"


class AuthorizePayment(Command):
    name = "AuthorizePayment"
    payment_id: UUID
    amount_minor: int
    currency: str
    token: str


class CapturePayment(Command):
    name = "CapturePayment"
    payment_id: UUID


class StockReserved(Event):
    name = "stock.reserved"


class StockRejected(Event):
    name = "stock.rejected"
    reason: str
    sku: str


class StockReleased(Event):
    name = "stock.released"


class StockCommitted(Event):
    name = "stock.committed"


class PaymentAuthorized(Event):
    name = "payment.authorized"
    payment_id: UUID


class PaymentDeclined(Event):
    name = "payment.declined"
    payment_id: UUID
    reason: str


class PaymentCaptured(Event):
    name = "payment.captured"
    payment_id: UUID


class OrderPlaced(Event):
    name = "order.placed"
    subject: str
    total_minor: int
    currency: str


class OrderConfirmed(Event):
    name = "order.confirmed"
    subject: str
    total_minor: int
    currency: str


class OrderRejected(Event):
    name = "order.rejected"
    subject: str
    reason: str
