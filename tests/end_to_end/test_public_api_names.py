"""Names that people script against, as they are in Prometheus after a few orders."""

import asyncio
import time
import uuid
from collections.abc import Callable

import pytest

from stack.backends.connect import Backends, connect
from stack.backends.prometheus import Sample
from stack.system import System as Stack
from tests.end_to_end.outside import EVERY_SCOPE, Door, Running, an_order

Caller = Callable[..., Door]
HTTP = {"gateway", "orders", "inventory", "payments", "reports", "card_provider"}
MESSAGING = {"orders", "inventory", "payments", "reports"}
NAMES = {
    "weft_order_duration_seconds_count": {"orders"},
    "weft_saga_active": {"orders"},
    "weft_report_queue_depth": {"reports"},
    "weft_report_workers": {"report_runner"},
    "weft_report_workers_desired": {"report_runner"},
    "weft_report_workers_busy": {"report_runner"},
    "weft_report_workers_minimum": {"report_runner"},
    "weft_report_arrivals_per_second": {"report_runner"},
    "weft_report_wait_seconds_count": {"reports"},
    "weft_projection_lag_events": {"orders"},
    "system_cpu_time_seconds_total": {"host_agent"},
    "system_memory_usage_bytes": {"host_agent"},
    "system_filesystem_usage_bytes": {"host_agent"},
    "system_network_io_bytes_total": {"host_agent"},
    "weft_relay_lag_events": MESSAGING,
    "weft_event_loop_lag_seconds": HTTP,
    "weft_event_loop_slow_callbacks_total": HTTP,
    "weft_event_loop_tasks": HTTP,
    "http_server_request_duration_seconds_bucket": HTTP,
    "http_client_request_duration_seconds_bucket": {"gateway", "payments"},
    "db_client_operation_duration_seconds_bucket": HTTP - {"gateway"},
    "messaging_process_duration_seconds_bucket": MESSAGING,
    "messaging_client_operation_duration_seconds_bucket": MESSAGING,
    "messaging_client_sent_messages_total": MESSAGING,
    "messaging_client_consumed_messages_total": MESSAGING,
}
KNOWN_AFTER = 180.0
"""Seconds in which a new system has foretold arrivals, and seen how wrong that was."""
QUEUES = {"orders.events", "reports.events", "inventory.commands", "payments.commands"}


@pytest.fixture
async def traffic(caller: Caller) -> None:
    """One order that is confirmed, one that is rejected, and a report."""
    door = caller(scopes=(*EVERY_SCOPE, "reports:write"))
    sku = await door.product(stock=5)
    for token in ("tok_ok", "tok_declined"):
        answer = await door.place(an_order(sku, 1, token))
        await door.finished(answer.json["order_id"])
    body = {"kind": "sales", "from": "2026-01-01", "to": "2026-01-02", "format": "csv"}
    asked = await door.ask("POST", "/v1/reports", body, {"Idempotency-Key": str(uuid.uuid4())})
    assert asked.status == 202, asked.body


async def found(
    backends: Backends, query: str, label: str, wanted: set[str], seconds: float = 60
) -> list[Sample]:
    """Wait until there are series of a query for all `wanted` values of a label."""
    end = time.monotonic() + seconds
    samples: list[Sample] = []
    while time.monotonic() < end:
        samples = await backends.prometheus.query(query)
        if wanted <= {sample.labels.get(label) for sample in samples}:
            return samples
        await asyncio.sleep(0.5)
    raise AssertionError(f"{query}: {sorted({str(s.labels.get(label)) for s in samples})}")


@pytest.mark.timeout(KNOWN_AFTER + 120)
@pytest.mark.usefixtures("traffic")
async def test_metrics_have_their_names_and_labels(system: Running) -> None:
    async with connect(Stack.load(system.environment)) as backends:
        for name, services in NAMES.items():
            await found(backends, name, "service_name", services)
        outcomes = {"confirmed", "rejected"}
        for sample in await found(backends, "weft_orders_total", "outcome", outcomes):
            assert sample.labels["service_instance_id"].startswith("orders-")
        processed = 'weft_consumer_messages_total{outcome="processed"}'
        await found(backends, processed, "queue", QUEUES)
        error = "weft_report_forecast_error"
        runner = {"report_runner"}
        for sample in await found(backends, error, "service_name", runner, KNOWN_AFTER):
            assert sample.labels["measure"] in ("mae", "mase")
