"""`weft tour` through a running system: what it shows is what is there."""

import json
import re

from tests.end_to_end.outside import Running

ORDER = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
QUERY = "sum by (outcome) (weft_orders_total)"


def test_the_tour_takes_a_new_user_through_an_order_its_trace_its_logs_and_its_metrics(
    system: Running,
) -> None:
    done = system.weft("tour", seconds=110)
    assert done.returncode == 0, done.stdout + done.stderr
    chapters = re.split(r"^\d/5  ", done.stdout, flags=re.MULTILINE)
    assert len(chapters) == 6
    _, order, trace, logs, metrics, end = chapters

    placed = re.search(rf"order ({ORDER}) placed: 1 x SKU-0001", order)
    assert placed is not None, order
    told = re.findall(r"[+-][\d.]+ s  (\w+)", order)
    assert (told[0], told[-1]) == ("OrderPlaced", "OrderConfirmed")
    named = re.search(r"^trace ([0-9a-f]{32})", trace, re.MULTILINE)
    assert named is not None, trace
    for service in ("gateway", "orders", "inventory", "payments", "card_provider"):
        assert re.search(rf"\b{service}\b", trace), service
    assert re.search(rf"INFO +orders +order finished .*weft_order_id={placed[1]}", logs)
    assert f"trace={named[1]}" in logs
    counted = re.search(r"confirmed: (\d+)", metrics)
    assert counted is not None, metrics
    assert float(counted[1]) >= 1
    assert re.search(r"\d\.\d{3} s from acceptance to end", metrics)
    assert "Enter" not in done.stdout
    assert "again: " in end

    asked = system.weft("trace", placed[1], "--json")
    assert json.loads(asked.stdout)["trace_id"] == named[1]
