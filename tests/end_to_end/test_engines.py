"""The mesh on the SDK's engine tells the same of an order as on Weft's own."""

import secrets
from collections import Counter

import pytest

from stack.backends.connect import connect
from stack.system import System as Stack
from tests.end_to_end.test_order_trace import SCOPES, Running, ordered, whole_trace
from tests.running import System, own_system
from weft.backends.trace import Trace

Shape = Counter[tuple[str, ...]]


def shape(trace: Trace) -> Shape:
    """Each span as its way from the root: service, kind and name of all above it and of itself."""
    spans = {span.span_id: span for span in trace.spans}

    def way(span_id: str) -> tuple[str, ...]:
        span = spans[span_id]
        above = way(span.parent_id) if span.parent_id in spans else ()
        return (*above, f"{span.service} {span.kind} {span.name}")

    return Counter(way(span_id) for span_id in spans)


async def an_order(system: System | Running) -> tuple[Shape, list[str]]:
    """Place one; return its trace's shape, and the lines of the tree that `weft trace` prints."""
    sku = f"E2E-{secrets.token_hex(6)}"
    product = {"name": "test", "price": {"amount": "2.50", "currency": "EUR"}, "stock": 10}
    async with connect(Stack.load(system.environment), connections=20) as backends:
        gateway = backends.gateway("e2e", SCOPES)
        answer = await gateway.call(
            "PUT", f"/v1/products/{sku}", headers=gateway._headers, json=product
        )
        assert answer.status == 201, answer.body
        await ordered(backends, sku)  # after it, orders knows the product
        order, trace_id = await ordered(backends, sku)
        assert order.status == "confirmed"
        trace = await whole_trace(backends, trace_id, seconds=60)
    printed = system.weft("trace", trace_id)
    assert printed.returncode == 0, printed.stderr
    return shape(trace), [line for line in printed.stdout.splitlines() if "weft.commands" in line]


@pytest.mark.timeout(240)
async def test_an_order_has_the_same_trace_on_both_engines(system: Running) -> None:
    ours, our_tree = await an_order(system)
    with own_system({"WEFT_TELEMETRY": "sdk"}, whole=False) as other:
        theirs, their_tree = await an_order(other)
    assert ours == theirs
    assert len(our_tree) == len(their_tree) >= 4
