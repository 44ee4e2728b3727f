"""The public API of orders: place one, see one's own."""

import re
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from services.orders import store
from services.orders.domain import Line, NotSellable, Status, replay
from services.orders.fulfilment import decoded
from services.orders.paging import cursor_after, order_before
from services.orders.placement import Accepted, Placement, Wish
from services.orders.views import (
    OperatorsOrders,
    OrderList,
    OrderView,
    operators,
    summary,
    view,
)
from weft.http import (
    FieldError,
    Problem,
    ProblemDocument,
    Reply,
    Request,
    Routes,
    idempotency_key,
)
from weft.postgres import Database, EventLog, KeyedRequest, KeyInProgress, KeyReused
from weft.telemetry import SYNTHETIC, mark_synthetic

READ: Final = "orders:read"
WRITE: Final = "orders:write"
OPS: Final = "ops"

Sku = Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,40}$(?!\n)")]
Token = Annotated[str, Meta(pattern=r"^tok_[a-z]+$(?!\n)", max_length=255)]
_ORDER_ID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class OrderLine(msgspec.Struct, frozen=True):
    sku: Sku
    quantity: Annotated[int, Meta(ge=1, le=1000)]


class PaymentMeans(msgspec.Struct, frozen=True):
    token: Token


class NewOrder(msgspec.Struct, frozen=True):
    items: Annotated[list[OrderLine], Meta(min_length=1, max_length=100)]
    payment: PaymentMeans


class OrderQuery(msgspec.Struct, frozen=True):
    status: Status | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: str | None = None


class NewestQuery(msgspec.Struct, frozen=True):
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


def routes(db: Database, events: EventLog, placement: Placement) -> Routes:
    """Return the routes of orders."""
    serve = Routes()

    @serve.post(
        "/v1/orders",
        scope=WRITE,
        status=202,
        summary="Place an order",
        answers={409: ProblemDocument},
        needs=("Idempotency-Key",),
    )
    async def place(request: Request, body: NewOrder) -> Reply[Accepted]:
        keyed = KeyedRequest.of(
            subject=request.subject,
            method=request.method,
            path="/v1/orders",
            key=idempotency_key(request),
            body=request.raw,
        )
        synthetic = SYNTHETIC in request.scopes
        mark_synthetic(synthetic)  # whatever a header says
        wish = Wish(
            subject=request.subject,
            lines=[Line(sku=line.sku, quantity=line.quantity) for line in body.items],
            token=body.payment.token,
            trace_id=request.trace_id,
            synthetic=synthetic,
        )
        try:
            placed = await placement.place(keyed, wish, _credentials(request))
        except NotSellable as error:
            raise _unprocessable(error) from None
        except KeyInProgress:
            detail = "A request with this Idempotency-Key is still in progress."
            raise Problem(409, detail=detail, headers={"Retry-After": "1"}) from None
        except KeyReused:
            detail = "This Idempotency-Key was used with another body."
            raise Problem(422, detail=detail) from None
        accepted = msgspec.json.decode(placed.answer.body, type=Accepted)
        request.set("weft.order.id", accepted.order_id)
        headers = {"Idempotent-Replayed": "true"} if placed.replayed else None
        return Reply(placed.answer.body, placed.answer.status, headers)

    @serve.get(
        "/v1/orders/{order_id}",
        scope=READ,
        or_scope=WRITE,
        summary="See an order and what happened to it",
    )
    async def show(request: Request) -> OrderView:
        order_id = request.path["order_id"].lower()
        stored = await events.read(db, order_id) if _ORDER_ID.fullmatch(order_id) else []
        order = replay(decoded(stored)) if stored else None
        if order is None or order.placed.subject != request.subject:
            raise Problem(404, detail="There is no such order of yours.")
        request.set("weft.order.id", order_id)
        return view(order_id, order, stored)

    @serve.get("/v1/orders", scope=READ, or_scope=WRITE, summary="List your orders, newest first")
    async def browse(request: Request, query: OrderQuery) -> OrderList:
        found = await store.page(
            db,
            request.subject,
            status=query.status,
            before=order_before(query.cursor),
            limit=query.limit + 1,
        )
        shown = found[: query.limit]
        more = len(found) > query.limit
        return OrderList([summary(each) for each in shown], cursor_after(shown) if more else None)

    @serve.get("/ops/orders", scope=OPS, listed=False)
    async def newest(_: Request, query: NewestQuery) -> OperatorsOrders:
        found = await store.newest(db, limit=query.limit)
        return OperatorsOrders([operators(subject, order) for subject, order in found])

    return serve


def _credentials(request: Request) -> dict[str, str]:
    bearer = request.headers.get("Authorization")
    return {"Authorization": bearer} if bearer else {}


def _unprocessable(error: NotSellable) -> Problem:
    wrong = [FieldError(f"/items/{at}/{name}", message) for at, name, message in error.errors]
    return Problem(422, detail="Some items cannot be ordered.", errors=wrong)
