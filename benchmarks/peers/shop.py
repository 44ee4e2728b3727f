"""The products of a new shop, as inventory and orders both know them."""

from typing import Any, Final

STOCK: Final = 10_000
"""Units of each."""


def products() -> list[dict[str, Any]]:
    """Return SKU-0001 to SKU-0050."""
    return [
        {
            "sku": f"SKU-{number:04d}",
            "name": f"Product {number}",
            "price_minor": 125 * number,
            "currency": "EUR",
        }
        for number in range(1, 51)
    ]
