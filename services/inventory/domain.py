"""The rules of products, stock and reservations: pure."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

SLOW: Final = "slow-inventory"
"""The fault that makes everything here take longer."""
CURRENCY: Final = "EUR"
MAX_PRICE_MINOR: Final = 999_999_999
"""9,999,999.99"""
MAX_STOCK: Final = 1_000_000_000
MAX_QUANTITY: Final = 1000
MAX_ITEMS: Final = 100
SKU_PATTERN: Final = r"^[A-Za-z0-9-]{1,40}$(?!\n)"
AMOUNT_PATTERN: Final = r"^[0-9]{1,7}\.[0-9]{2}$(?!\n)"


class State(StrEnum):
    """Where a reservation stands. All but `reserved` are final."""

    RESERVED = "reserved"
    REJECTED = "rejected"
    RELEASED = "released"
    COMMITTED = "committed"


class Line(msgspec.Struct, frozen=True, order=True):
    """So many of one SKU."""

    sku: str
    quantity: int


class ProductSet(msgspec.Struct, frozen=True, kw_only=True):
    """What a product is set to; `stock` is what can be sold from now on."""

    sku: str
    name: str
    price_minor: int
    stock: int


class NotReserved(Exception):
    """Stock can be committed only while it is reserved (or was committed before)."""

    def __init__(self, order_id: str, state: State | None) -> None:
        super().__init__(f"order {order_id} has nothing reserved: {state or 'unknown'}")


def lines(items: Iterable[tuple[str, int]]) -> list[Line]:
    """Add up the quantities by SKU, in the order of SKUs: the order in which rows are locked."""
    wanted: dict[str, int] = {}
    for sku, quantity in items:
        wanted[sku] = wanted.get(sku, 0) + quantity
    return [Line(sku, wanted[sku]) for sku in sorted(wanted)]


def minor_units(amount: str) -> int:
    """Return 250 for "2.50"; `amount` matches AMOUNT_PATTERN."""
    units, _, cents = amount.partition(".")
    return int(units) * 100 + int(cents)


def amount(minor: int) -> str:
    """Return "2.50" for 250."""
    return f"{minor // 100}.{minor % 100:02d}"
