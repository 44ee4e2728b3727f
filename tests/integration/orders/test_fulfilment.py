import asyncio
import signal

import asyncpg

from services.orders import messages
from tests.integration.orders.kit import Orders, Peers, order, until


async def test_an_order_with_stock_and_money_is_confirmed_and_tells_its_story(
    orders: Orders, peers: Peers
) -> None:
    status, answer, headers = await orders.post(order(("SKU-0001", 2), ("SKU-0002", 1)))
    assert status == 202
    order_id = answer["order_id"]
    links = {"self": f"/v1/orders/{order_id}"}
    assert answer == {"order_id": order_id, "status": "pending", "links": links}
    seen = await orders.ended(order_id)
    assert (seen["status"], seen["reason"]) == ("confirmed", None)
    assert seen["total"] == {"amount": "32.49", "currency": "EUR"}
    assert seen["trace_id"] == headers["x-trace-id"]
    assert [event["type"] for event in seen["events"]] == [
        "OrderPlaced",
        "StockReserved",
        "PaymentAuthorized",
        "PaymentCaptured",
        "StockCommitted",
        "OrderConfirmed",
    ]
    assert peers.commands(order_id) == [
        "ReserveStock",
        "AuthorizePayment",
        "CapturePayment",
        "CommitStock",
    ]
    authorize = peers.heard[order_id][1][1]
    assert (authorize["amount_minor"], authorize["currency"]) == (3249, "EUR")
    assert authorize["token"] == "tok_ok"


async def test_every_command_carries_the_orders_trace_and_id(orders: Orders, peers: Peers) -> None:
    order_id = await orders.place()
    seen = await orders.ended(order_id)
    heard = [incoming for _, _, incoming in peers.heard[order_id]]
    assert {incoming.correlation_id for incoming in heard} == {order_id}
    assert seen["trace_id"] in str(heard[0].headers["traceparent"])


async def test_an_order_without_stock_is_rejected(orders: Orders, peers: Peers) -> None:
    peers.answers["ReserveStock"] = messages.StockRejected
    order_id = await orders.place()
    seen = await orders.ended(order_id)
    assert (seen["status"], seen["reason"]) == ("rejected", "out_of_stock")
    assert peers.commands(order_id) == ["ReserveStock"]


async def test_a_declined_order_is_rejected_once_its_stock_is_released(
    orders: Orders, peers: Peers
) -> None:
    peers.answers |= {"AuthorizePayment": messages.PaymentDeclined, "ReleaseStock": None}
    order_id = await orders.place()
    await until(lambda: _heard(peers, order_id, "ReleaseStock"))
    _, seen = await orders.get(f"/v1/orders/{order_id}")
    assert seen["status"] == "pending"
    await peers.say(messages.StockReleased(order_id=order_id))
    seen = await orders.ended(order_id)
    assert (seen["status"], seen["reason"]) == ("rejected", "payment_declined")


async def test_at_the_deadline_what_was_done_is_undone_and_late_answers_are_too(
    orders: Orders, peers: Peers
) -> None:
    peers.answers["AuthorizePayment"] = None
    order_id = await orders.place()
    await until(lambda: _heard(peers, order_id, "AuthorizePayment"))
    await _pass_deadline(orders, order_id)
    seen = await orders.ended(order_id)
    assert (seen["status"], seen["reason"]) == ("rejected", "timed_out")
    await until(lambda: _heard(peers, order_id, "VoidPayment"))
    payment_id = peers.heard[order_id][1][1]["payment_id"]
    await until(lambda: _has_event(orders, order_id, "PaymentVoided"))
    await peers.say(messages.PaymentAuthorized(order_id=order_id, payment_id=payment_id))
    await until(lambda: _heard(peers, order_id, "VoidPayment", times=2))
    await until(lambda: _has_event(orders, order_id, "PaymentVoided", times=2))
    _, seen = await orders.get(f"/v1/orders/{order_id}")
    assert seen["status"] == "rejected"


async def test_after_the_pivot_an_order_outlives_its_deadline_and_repeats_until_answered(
    stopped_orders: Orders, peers: Peers
) -> None:
    orders = stopped_orders
    peers.answers["CapturePayment"] = None
    async with orders.inventory({"SKU-0001": "6.25"}):
        await orders.start(WEFT_ORDER_REPEAT="300ms")
        order_id = await orders.place()
        await until(lambda: _heard(peers, order_id, "CapturePayment"))
        await _pass_deadline(orders, order_id)
        await until(lambda: _heard(peers, order_id, "CapturePayment", times=4))
        _, seen = await orders.get(f"/v1/orders/{order_id}")
        assert seen["status"] == "pending"
        peers.answers["CapturePayment"] = messages.PaymentCaptured
        assert (await orders.ended(order_id))["status"] == "confirmed"


async def test_answers_that_come_several_times_or_for_other_payments_change_nothing(
    orders: Orders, peers: Peers
) -> None:
    peers.times = 3
    peers.answers["AuthorizePayment"] = None
    order_id = await orders.place()
    await until(lambda: _heard(peers, order_id, "AuthorizePayment"))
    foreign = "01890000-0000-7000-8000-000000000000"
    await peers.say(messages.PaymentDeclined(order_id=order_id, payment_id=foreign))
    await peers.say(messages.StockCommitted(order_id=order_id))
    await peers.say(messages.StockReserved(order_id=foreign))
    payment_id = peers.heard[order_id][1][1]["payment_id"]
    await peers.say(messages.PaymentAuthorized(order_id=order_id, payment_id=payment_id), times=3)
    seen = await orders.ended(order_id)
    assert seen["status"] == "confirmed"
    assert len(seen["events"]) == 6
    assert len(peers.commands(order_id)) == 4


async def test_orders_killed_at_any_moment_go_on_after_the_restart_each_to_one_end(
    orders: Orders, peers: Peers
) -> None:
    placed = []
    for _ in range(4):
        placed += await asyncio.gather(*(orders.place() for _ in range(5)))
        await orders.stop(signal.SIGKILL)
        await orders.start()
    ends = [await orders.ended(order_id) for order_id in placed]
    assert {seen["status"] for seen in ends} == {"confirmed"}
    for order_id, seen in zip(placed, ends, strict=True):
        assert len(seen["events"]) == 6
        identities = {(kind, incoming.id) for kind, _, incoming in peers.heard[order_id]}
        assert len(identities) == 4


async def test_a_deadline_that_passes_while_nothing_runs_is_fired_at_the_next_start(
    orders: Orders, peers: Peers
) -> None:
    peers.answers["AuthorizePayment"] = None
    order_id = await orders.place()
    await until(lambda: _heard(peers, order_id, "AuthorizePayment"))
    await orders.stop(signal.SIGKILL)
    await _pass_deadline(orders, order_id)
    await orders.start()
    seen = await orders.ended(order_id)
    assert (seen["status"], seen["reason"]) == ("rejected", "timed_out")
    assert [event["type"] for event in seen["events"]].count("DeadlinePassed") == 1


async def test_a_payment_token_is_nowhere_once_it_was_sent(own_orders: Orders) -> None:
    orders = own_orders
    order_id = await orders.place(order(token="tok_secretword"))
    await orders.ended(order_id)
    assert await orders.stop() == 0
    assert "secretword" not in orders.log.read_text()
    connection = await asyncpg.connect(orders.environment["WEFT_DATABASE_URL"])
    try:
        for table in await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
            " WHERE schemaname IN ('public', 'weft')"
        ):
            rows = await connection.fetch(f"SELECT t::text AS row FROM {table['name']} t")
            assert not [row for row in rows if "secretword" in row["row"]], table["name"]
    finally:
        await connection.close()


async def test_two_hundred_orders_at_once_all_end_confirmed_each_with_its_own_trace(
    orders: Orders,
) -> None:
    await asyncio.gather(*(orders.place() for _ in range(200)))

    async def none_pending() -> bool:
        _, page = await orders.get("/v1/orders?status=pending&limit=1")
        return not page["orders"]

    await until(none_pending, seconds=60)
    _, page = await orders.get("/v1/orders?limit=200")
    assert {each["status"] for each in page["orders"]} == {"confirmed"}
    assert len({each["trace_id"] for each in page["orders"]}) == 200


async def _pass_deadline(orders: Orders, order_id: str) -> None:
    connection = await asyncpg.connect(orders.environment["WEFT_DATABASE_URL"])
    try:
        due = "UPDATE weft.deadlines SET due_at = now() WHERE key = $1"
        assert await connection.execute(due, order_id) == "UPDATE 1"
    finally:
        await connection.close()


async def _heard(peers: Peers, order_id: str, command: str, *, times: int = 1) -> bool:
    return peers.commands(order_id).count(command) >= times


async def _has_event(orders: Orders, order_id: str, kind: str, *, times: int = 1) -> bool:
    _, seen = await orders.get(f"/v1/orders/{order_id}")
    return [event["type"] for event in seen["events"]].count(kind) >= times
