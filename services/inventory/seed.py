"""The products that a new shop starts with."""

from typing import Final

from services.inventory.domain import ProductSet

STOCK: Final = 10_000
"""Units of each."""

_NAMES: Final = (
    "Loom bench",
    "Warping board",
    "Boat shuttle",
    "Stick shuttle",
    "Rag shuttle",
    "Bobbin winder",
    "Reed hook",
    "Heddle hook",
    "Rigid heddle",
    "Texsolv heddles",
    "Steel reed",
    "Lease sticks",
    "Temple",
    "Tapestry bobbin",
    "Tapestry comb",
    "Inkle loom",
    "Table loom",
    "Floor loom",
    "Backstrap loom",
    "Tablet cards",
    "Drop spindle",
    "Supported spindle",
    "Spinning wheel",
    "Niddy noddy",
    "Skein winder",
    "Ball winder",
    "Umbrella swift",
    "Lazy kate",
    "Hand carders",
    "Drum carder",
    "Wool combs",
    "Merino top",
    "Shetland fleece",
    "Alpaca roving",
    "Mulberry silk",
    "Flax strick",
    "Ramie top",
    "Cotton sliver",
    "Linen warp",
    "Cotton warp",
    "Tencel weft",
    "Mohair weft",
    "Hemp cord",
    "Indigo dye",
    "Madder root",
    "Weld extract",
    "Alum mordant",
    "Fringe twister",
    "Weaving needle",
    "Pattern draft book",
)


def products() -> list[ProductSet]:
    """Return SKU-0001 to SKU-0050, at prices from 1.25 to 98.25 EUR."""
    return [
        ProductSet(
            sku=f"SKU-{number:04d}",
            name=name,
            price_minor=125 + (number - 1) * 37 % 50 * 200 - (number - 1) % 4 * 25 % 100,
            stock=STOCK,
        )
        for number, name in enumerate(_NAMES, start=1)
    ]
