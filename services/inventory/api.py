"""Products over HTTP."""

import re
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from services.inventory import domain, store
from services.inventory.domain import ProductSet
from services.inventory.messages import product_set
from services.inventory.store import Product
from weft.cache import Cache
from weft.flags import delay
from weft.http import Cursors, FieldError, Problem, Reply, Request, Routes
from weft.messaging import outgoing
from weft.postgres import Database, Outbox

_SKU: Final = re.compile(domain.SKU_PATTERN)
_CURSORS: Final = Cursors("products")


class Money(Struct, frozen=True, kw_only=True):
    """An amount in euros, with two digits for the cents."""

    amount: Annotated[str, Meta(pattern=domain.AMOUNT_PATTERN)]
    currency: Literal["EUR"]


class ProductBody(Struct, frozen=True, kw_only=True):
    """`stock` is what can be sold from now on, beside what is reserved."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    price: Money
    stock: Annotated[int, Meta(ge=0, le=domain.MAX_STOCK)]


class ProductView(Struct, frozen=True, kw_only=True):
    """What was put in = `stock` (can be sold) + `reserved` (held for orders in progress) + sold."""

    sku: str
    name: str
    price: Money
    stock: int
    reserved: int


class ProductList(Struct, frozen=True, kw_only=True):
    """Newest first; `next` is the cursor of the following page, null on the last."""

    products: list[ProductView]
    next: str | None


class Page(Struct, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, Meta(max_length=100)] | None = None


def routes(db: Database, outbox: Outbox, cache: Cache) -> Routes:
    """Return the routes of inventory."""
    api = Routes()

    @api.get("/v1/products", summary="List the products")
    async def products(_: Request, query: Page) -> ProductList:
        before = None if query.cursor is None else _after(query.cursor)
        await delay(domain.SLOW)
        found = await store.page(db, before=before, limit=query.limit + 1)
        shown = found[: query.limit]
        more = len(found) > query.limit
        return ProductList(
            products=[_view(product) for product in shown],
            next=_cursor(shown[-1].number) if more else None,
        )

    @api.get("/v1/products/{sku}", summary="Show a product")
    async def product(request: Request) -> Reply[ProductView]:
        sku = request.path["sku"]
        await delay(domain.SLOW)

        async def read() -> bytes | None:
            found = await store.find(db, sku)
            return None if found is None else msgspec.json.encode(_view(found))

        shown = await cache.get(sku, read) if _SKU.search(sku) else None
        if shown is None:
            raise Problem(404, detail="There is no such product.")
        return Reply(shown)

    @api.put(
        "/v1/products/{sku}",
        scope="inventory:write",
        summary="Create or set a product",
        answers={201: ProductView},
    )
    async def put(request: Request, body: ProductBody) -> Reply[ProductView]:
        wanted = _wanted(request.path["sku"], body)
        async with db.transaction() as tx:
            made, new = await store.put(tx, wanted, request.subject)
            message = outgoing(product_set(made), correlation_id=made.sku)
            await outbox.add(tx, message, key=f"product-{made.sku}")
        await cache.forget(made.sku)
        return Reply(_view(made), 201 if new else 200)

    return api


def _wanted(sku: str, body: ProductBody) -> ProductSet:
    price = domain.minor_units(body.price.amount)
    if not _SKU.search(sku):
        raise Problem(422, detail="A SKU is 1 to 40 letters, digits and hyphens.")
    if price == 0:
        error = FieldError("/price/amount", "Expected an amount of at least 0.01")
        raise Problem(422, detail="The product has no price.", errors=[error])
    return ProductSet(sku=sku, name=body.name, price_minor=price, stock=body.stock)


def _view(product: Product) -> ProductView:
    return ProductView(
        sku=product.sku,
        name=product.name,
        price=Money(amount=domain.amount(product.price_minor), currency="EUR"),
        stock=product.stock,
        reserved=product.reserved,
    )


def _cursor(number: int) -> str:
    return _CURSORS.after(number.to_bytes(8))


def _after(cursor: str) -> int:
    return int.from_bytes(_CURSORS.place(cursor))
