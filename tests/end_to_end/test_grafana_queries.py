"""Every query of Grafana's dashboards and every link between signals, asked of the real backends.

Grafana's own variables are filled in as Grafana does it; no Grafana is needed. All queries are
asked at once, and again until each has given data about what it should; what it gave is then
looked at one by one.
"""

import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import aiohttp
import asyncpg
import msgspec
import pytest
import yaml

from stack.backends.connect import Backends, connect
from stack.backends.http import BackendError
from stack.system import System as Stack
from tests.end_to_end.dashboards import (
    FOLDER,
    Answer,
    Asker,
    Query,
    dashboards,
    filled_in,
    panels,
    until_all,
)
from tests.end_to_end.outside import Door, Running, an_order

pytestmark = pytest.mark.timeout(300)

SCOPES = ("orders:read", "orders:write", "inventory:write", "reports:read", "reports:write")
SECONDS = 150.0

AT_TIMES = {"traffic", "web", "hello", "operator"}
"""Who else there may be: traffic, browsers, a service of one's own, who replays dead letters."""
EVERY = {
    *("gateway", "orders", "inventory", "payments", "reports", "report_runner"),
    *("card_provider", "notifier", "host_agent"),
}
SERVE = {"gateway", "orders", "inventory", "card_provider", "reports"}
STORE = {"orders", "inventory", "payments", "reports", "report_runner", "card_provider", "notifier"}
HANDLE = {"orders", "inventory", "payments"}
ORDERED = {"gateway", "orders", "inventory", "payments", "card_provider"}
QUEUES = {"orders.events", "inventory.commands", "payments.commands"}
BACKENDS = {"jaeger", "loki", "prometheus", "alertmanager", "otel-collector"}
EXPORTERS = {"otlp_grpc/jaeger"}, {"otlp_http/loki"}, {"otlp_http/prometheus"}

BROKEN = "hello"
"""A service of one's own, in which something fails."""
FINGERPRINT = "0e44044f"

Check = Callable[[Answer], bool]


def of(label: str, *wanted: str) -> Check:
    """There is data about each of `wanted`."""
    return lambda answer: answer.seen(label) >= set(wanted)


def only(label: str, *wanted: str) -> Check:
    """There is data, and about nothing else."""
    return lambda answer: answer.seen(label) == set(wanted)


def within(label: str, *wanted: str) -> Check:
    """There is data about some of `wanted`, and about nothing else."""
    return lambda answer: bool(answer.seen(label)) and answer.seen(label) <= set(wanted)


def like(label: str, part: str) -> Check:
    """There is data about something with `part` in its name: the others come and go."""
    return lambda answer: any(part in value for value in answer.seen(label))


def there(answer: Answer) -> bool:
    """There is data; nothing is said about what has not happened, which may be 0."""
    return bool(answer.values)


def above_zero(answer: Answer) -> bool:
    return any(value > 0 for value in answer.values)


def every(titles: str, check: Check) -> dict[str, Check]:
    """The same for several panels, with | between."""
    return dict.fromkeys((title.strip() for title in titles.split("|")), check)


EXPECTED: dict[str, dict[str, Check]] = {
    "overview": {
        **every("Requests at the gateway | p95 at the gateway | Finished orders", above_zero),
        **every("Failed requests | Alerts that fire | Orders in progress", there),
        "Firing alerts": of("alertname", "Watchdog"),
        "Instances ready": lambda answer: any(value >= len(EVERY) for value in answer.values),
        **every(
            "Missed objectives | Burn rate | Error budget left",
            of("slo", "gateway", "orders", "reports"),
        ),
        **every("Requests | Failed requests by service", of("service_name", *SERVE)),
        **every(
            "Request latency p50 | Request latency p95 | Request latency p99",
            of("service_name", *SERVE),
        ),
        **every("Busiest routes | Slowest routes", of("http_route", "/v1/orders")),
        **every("Requests, now and before | Orders, now and before", above_zero),
        "Messages, now and before": above_zero,
        "Messages by queue": of("queue", *QUEUES),
        "Failed messages": of("service_name", *HANDLE),
        **every("Message latency | Order duration", above_zero),
        "Orders by outcome": of("outcome", "confirmed", "rejected"),
        **every("Event-loop lag | CPU", of("service_name", *EVERY)),
        "Relay lag in time": of("service_name", *HANDLE),
        "Service map": of("edge", "gateway orders", "orders inventory", "payments card_provider"),
        "Log lines by service": of("service_name", *EVERY - {"host_agent"}),
        "Log lines by severity": of("severity_text", "INFO"),
        "Recent log lines": of("service_name", "gateway", "orders"),
        "Recent traces": of("service", *ORDERED),
    },
    "service": {
        **every("Requests by route | Failed requests by route", of("http_route", "/v1/orders")),
        **every("Request latency | Message latency", above_zero),
        **every("Messages by outcome | Consumers in use", only("queue", "orders.events")),
        **every("Calls to others | Failed calls | Call latency p95", there),
        **every("Statements | Statement latency p95", like("db_query_summary", "weft.")),
        "Connection pool": above_zero,
        **every("CPU by instance | Memory by instance", only("service_instance_id", "orders-0")),
        **every(
            "Event-loop lag by instance | Tasks by instance",
            only("service_instance_id", "orders-0"),
        ),
        "Garbage collections": of("cpython_gc_generation", "0", "1", "2"),
        "Slow callbacks and threads": there,
        "Log lines by severity": of("severity_text", "INFO"),
        "Log lines": only("service_name", "orders"),
        "Traces": of("service", "orders"),
    },
    "orders": {
        **every("Finished orders | Confirmed orders | Order duration", above_zero),
        **every("Active sagas | Repeated commands | Open calls of the card provider", there),
        "Revenue today": of("currency", "EUR"),
        "Orders by outcome": of("outcome", "confirmed", "rejected"),
        "Revenue": of("metric", "EUR"),
        "Best sellers today": there,
        "Stock by state": of("weft_stock_state", "reserved", "committed", "released"),
        "Payments by state": of("weft_payment_state", "authorized", "captured", "declined"),
        "Where time goes": of("step", "StockReserved", "PaymentAuthorized", "PaymentCaptured"),
        "Cache hits": of("weft_cache_name", "products"),
        "Reads for each write": above_zero,
        "Statements for each piece of work": of("service_name", *HANDLE),
        "Newest orders": of("status", "confirmed", "rejected"),
    },
    "order": {
        "The order": only("status", "confirmed"),
        "Events": of("type", "OrderPlaced", "PaymentCaptured", "OrderConfirmed"),
        "Items": only("quantity", "2"),
        "Trace": of("service", *ORDERED),
        "Log lines": of("service_name", "gateway", "orders", "inventory", "payments"),
    },
    "messaging": {
        "Messages handled": above_zero,
        **every("Dead letters | Waiting for another attempt | Oldest message not sent", there),
        **every("Rows in each outbox | Age of each outbox", of("service_name", *HANDLE)),
        "Messages sent by outcome": of("service_name", *HANDLE),
        **every("Queue depth | Wait in each queue", of("queue", *QUEUES)),
        "Consumers of each queue": of("queue", *QUEUES),
        "Retry queues": of("queue", "orders.events.retry.1s", "orders.events.retry.30s"),
        "Dead letters by queue": of("queue", "orders.events.dead", "payments.commands.dead"),
        **every("Messages by queue and outcome | Failed messages by queue", of("queue", *QUEUES)),
        **every("Consumers in use by queue | Consumers that pause", of("queue", *QUEUES)),
        "Handling latency p95 by queue": of("messaging_destination_name", *QUEUES),
        "Broker operations p95": of("messaging_operation_name", "send", "ack"),
        **every(
            "Webhooks that wait | Age of the oldest webhook",
            of("service_name", "reports", "report_runner"),
        ),
        "Lines of handled messages": of("service_name", *HANDLE),
    },
    "reports": {
        **every("Reports that wait | Oldest report that waits | Workers at work", there),
        **every("Workers | Wait for a worker | Workers wanted and there", there),
        **every("Queue | Age of the oldest | Reports handed out again", there),
        **every("Reports asked for and done | Skew between runners", above_zero),
        "Arrivals, measured and foretold": of("measure", "measured"),
        **every("Error of the forecast | Time of a worker for a report", there),
        **every(
            "Workers at work by instance | CPU of runners",
            only("service_instance_id", "report_runner-0"),
        ),
        **every("Reports by outcome | Runs by outcome", of("weft_report_outcome", "finished")),
        "Lines of reports": of("service_name", "reports", "report_runner"),
        "Traces of reports": of("service", "reports", "report_runner"),
    },
    "postgresql": {
        **every("Statements by service | Failed statements", of("service_name", *STORE)),
        "Statement latency p95 by service": of("service_name", *STORE),
        **every(
            "Statements that take the most time | Slowest statements",
            of("db_namespace", "orders", "payments"),
        ),
        **every("Connections of services | Pools in use", of("service_name", *STORE)),
        **every("Horizon | Events to be read", of("weft_projection_name", "sales")),
        "Connections used": there,
        "Databases": of("database", *STORE),
    },
    "rabbitmq": {
        **every("Alarms | Messages in all queues | Messages delivered again", there),
        **every("Queues | Disk left | Messages received and delivered", above_zero),
        "Messages ready and in hand": there,
        **every("Connections and channels | Memory of the broker", above_zero),
        "Connections opened and closed": there,
        **every("Disk of the broker | Erlang processes", above_zero),
        "Lines of RabbitMQ": only("service_name", "rabbitmq"),
    },
    "telemetry": {
        **every("Fullest queue | Refused by the collector | Given up by the collector", there),
        "Dropped by services": there,
        **every("Told by services | Waiting in services", of("service_name", *ORDERED)),
        "Received by the collector": of("receiver", "otlp"),
        "Sent to backends": lambda answer: any(answer.seen("exporter") >= one for one in EXPORTERS),
        **every(
            "Collector queues | How full the queues are", of("exporter", *set().union(*EXPORTERS))
        ),
        **every("Memory of the pipeline | CPU of the pipeline", of("service_name", *BACKENDS)),
        **every("Log lines stored | Samples stored | Series", above_zero),
        "Lines of the pipeline": within("service_name", *BACKENDS),
    },
    "errors": {
        **every("Errors over time | Errors", of("weft_error_fingerprint", FINGERPRINT)),
        "Errors by service": of("service_name", BROKEN),
        "Lines of errors": of("service_name", BROKEN),
    },
    "alerts": {
        **every("Critical | Warnings | Waiting to fire | Silence of the watchdog", there),
        "Firing alerts": of("alertname", "Watchdog"),
        "History": of("alertname", "Watchdog"),
        **every("Notifications of Alertmanager | Messages into the inbox", there),
        "Deliveries to people": there,
        "Lines of the notifier": only("service_name", "notifier"),
    },
    "hosts": {
        **every("Processors busy | Memory in use | Fullest file system | Up since", above_zero),
        "Processor time by mode": of("cpu_mode", "user", "system"),
        "Memory by state": of("system_memory_state", "used", "free"),
        "Disk traffic": of("disk_io_direction", "read", "write"),
        "Disk operations": of("disk_io_direction", "read", "write"),
        "File systems": of("service_instance_id", "host_agent-0"),
        **every(
            "Network traffic | Network errors",
            of("network_io_direction", "receive", "transmit"),
        ),
    },
}
"""What each panel's data must be about, by dashboard and title."""

BY_THE_GATEWAY = {"Calls to others", "Failed calls", "Call latency p95"}
"""Of the dashboard of one service: orders calls nobody while it knows all products."""

PANELS = panels()
DOTS = [query for query in PANELS if query.target.get("exemplar")]


class World(msgspec.Struct):
    """What the test has caused, and what every query gave in the end or what was wrong with it."""

    order_id: str
    trace_id: str
    answers: dict[int, Answer] = {}
    wrong: dict[str, str] = {}


_world: list[World] = []


@asynccontextmanager
async def asking(system: Running) -> AsyncIterator[tuple[Backends, Asker]]:
    stack = Stack.load(system.environment)
    url = stack.credentials.database_url("orders_reader", "orders")
    async with (
        connect(stack, connections=24) as backends,
        asyncpg.create_pool(url, min_size=0, max_size=4) as database,
    ):
        yield backends, Asker(backends, database)


@pytest.fixture
async def backends(system: Running) -> AsyncIterator[Backends]:
    async with asking(system) as (clients, _):
        yield clients


@pytest.fixture
async def ask(system: Running) -> AsyncIterator[Asker]:
    async with asking(system) as (_, asker):
        yield asker


@pytest.fixture
async def world(caller: Callable[..., Door], ask: Asker, system: Running) -> World:
    """Ask everything, once for all tests."""
    if not _world:
        made = await happenings(caller("grafana-queries", SCOPES), ask)
        await failed(Stack.load(system.environment), made.trace_id)
        wrong = {str(number): partial(looked, ask, made, number) for number in range(len(PANELS))}
        made.wrong = await until_all(wrong, SECONDS)
        _world.append(made)
    return _world[0]


async def happenings(door: Door, ask: Asker) -> World:
    """Something for every panel: an order confirmed, two that are not, a report, reads."""
    sku = await door.product(stock=500)
    declined, confirmed = an_order(sku, 1, "tok_declined"), an_order(sku, 2)
    placed = [await door.place(body) for body in (declined, an_order(sku, 1000), confirmed)]
    for one in placed:
        await door.finished(one.json["order_id"])
    for _ in range(3):
        await door.numbers(sku)
    made = World(placed[-1].json["order_id"], placed[-1].headers["x-trace-id"])

    async def sold() -> bool:
        lines = f"SELECT sku FROM read_v1.sales WHERE order_id = '{made.order_id}'"
        return sku in (await ask("orders", lines, {})).seen("sku")

    await until(sold, "a sale, which a report is made of")
    today = datetime.now(UTC).date()
    body = {"kind": "sales", "from": str(today), "to": str(today + timedelta(days=1))}
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    report = await door.ask("POST", "/v1/reports", body | {"format": "csv"}, headers)
    assert report.status == 202, report.body
    return made


async def failed(stack: Stack, trace_id: str) -> None:
    """Tell of an error in that trace, as the chassis of a service of one's own does."""
    told = {
        "service.name": BROKEN,
        "service.namespace": "weft",
        "service.version": "1",
        "service.instance.id": f"{BROKEN}-0",
        "deployment.environment.name": "local",
    }
    facts = {
        "exception.type": "examples.hello.Broken",
        "exception.message": "it does not work",
        "weft.error.fingerprint": FINGERPRINT,
    }
    record = {
        "timeUnixNano": str(time.time_ns()),
        "severityNumber": 17,
        "severityText": "ERROR",
        "body": {"stringValue": "background work failed"},
        "traceId": trace_id,
        "attributes": _otlp(facts),
    }
    scope = {"scope": {"name": "weft"}, "logRecords": [record]}
    body = {"resourceLogs": [{"resource": {"attributes": _otlp(told)}, "scopeLogs": [scope]}]}
    url = f"{stack.ports.url('otel-collector-http')}/v1/logs"
    async with aiohttp.ClientSession() as http, http.post(url, json=body) as answer:
        assert answer.status == 200, await answer.text()


def _otlp(facts: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in facts.items()]


async def test_a_row_of_errors_has_the_trace_in_which_it_happened(world: World) -> None:
    rows = [
        row
        for number, query in enumerate(PANELS)
        if query.name == "errors: Errors"
        for row in world.answers[number].labels
        if row["weft_error_fingerprint"] == FINGERPRINT
    ]
    assert len(rows) == 5, "one of each answer, which Grafana merges"
    assert {row["trace_id"] for row in rows if "trace_id" in row} == {world.trace_id}


def variables(world: World, query: Query) -> dict[str, str]:
    """The choices on a dashboard: an order of ours, one service of those that have data."""
    one = {"order": world.order_id, "trace": world.trace_id, "host": ".+", "fingerprint": ".+"}
    if query.dashboard != "service":
        return {"service": ".+", **one}
    return {"service": "gateway" if query.title in BY_THE_GATEWAY else "orders", **one}


async def looked(ask: Asker, world: World, number: int) -> str:
    """Ask one query, keep its answer; return what is wrong with it."""
    query = PANELS[number]
    try:
        answer = await ask(query.source, query.target, variables(world, query))
    except (BackendError, asyncpg.PostgresError) as error:
        return str(error)
    world.answers[number] = answer
    return "" if EXPECTED[query.dashboard][query.title](answer) else str(answer)[:2000]


async def until(asked: Callable[[], Any], what: str) -> None:
    async def wrong() -> str:
        try:
            return "" if await asked() else "not so"
        except BackendError as error:
            return str(error)

    left = await until_all({what: wrong}, SECONDS)
    assert not left


def test_every_panel_has_an_expectation_and_every_expectation_a_panel() -> None:
    asked: dict[str, set[str]] = {}
    for query in PANELS:
        asked.setdefault(query.dashboard, set()).add(query.title)
    assert asked == {name: set(titles) for name, titles in EXPECTED.items()}


@pytest.mark.parametrize(
    "number", range(len(PANELS)), ids=[f"{one.name} {one.target['refId']}" for one in PANELS]
)
async def test_a_panels_query_gives_data_about_what_it_says(world: World, number: int) -> None:
    assert not world.wrong.get(str(number))


async def test_every_variable_offers_what_its_panels_have(ask: Asker, world: World) -> None:
    offered = {}
    for name, board in dashboards().items():
        for one in board.get("templating", {}).get("list", []):
            if one["type"] == "query":
                offered[name, one["name"]] = await values(ask, world, one)
    assert offered["service", "service"] >= EVERY
    assert offered["overview", "service"] == offered["service", "service"]
    assert offered["hosts", "host"] == {"host_agent-0"}
    # The newest hundred; other tests place orders, too, and ids grow with time.
    assert len(offered["order", "order"]) <= 100
    assert max(offered["order", "order"]) >= world.order_id
    assert offered["order", "trace"] == {world.trace_id}


async def values(ask: Asker, world: World, variable: dict[str, Any]) -> set[str]:
    query = variable["query"]
    if not query.startswith("label_values("):
        answer = await ask("orders", query, {"order": world.order_id})
        return {value for row in answer.labels for value in row.values()}
    metric, label = query.removeprefix("label_values(").removesuffix(")").split(", ")
    return (await ask("prometheus", {"expr": metric}, {})).seen(label)


async def test_a_click_on_a_line_leads_to_a_service_that_there_is(world: World) -> None:
    """Addresses have the label's value in them, and the dashboard of a service knows it."""
    led = 0
    for number, query in enumerate(PANELS):
        panel = next(
            one
            for one in dashboards()[query.dashboard]["panels"]
            if one["title"] == query.title and one.get("targets")
        )
        if "__field.labels.service_name" in json.dumps(panel):
            assert world.answers[number].seen("service_name") <= EVERY | AT_TIMES
            assert world.answers[number].seen("service_name"), query.name
            led += 1
    assert led


async def test_changes_are_marked_on_the_dashboards(ask: Asker) -> None:
    changes, alerts = dashboards()["overview"]["annotations"]["list"]

    async def started() -> bool:
        day = {"expr": f"sum by (event_name) (count_over_time({changes['expr']} [24h]))"}
        return "weft.change.start" in (await ask("loki", day, {})).seen("event_name")

    await until(started, "a start as a change")
    await ask("prometheus", alerts, {})


async def test_the_dots_on_graphs_lead_to_traces_that_jaeger_has(
    backends: Backends, world: World
) -> None:
    async def known(query: Query) -> str:
        expression = filled_in(query.target["expr"], variables(world, query))
        found = await backends.prometheus.exemplars(expression)
        stored = [await backends.jaeger.trace(one.trace_id) for one in found[:5]]
        return "" if any(stored) else f"{len(found)} dots, and none is a trace"

    asked = {f"{query.name} {query.target['refId']}": partial(known, query) for query in DOTS}
    assert asked
    assert not await until_all(asked, SECONDS)


async def test_a_trace_leads_to_the_lines_of_every_service_in_it(ask: Asker, world: World) -> None:
    query = source("jaeger")["jsonData"]["tracesToLogsV2"]["query"]
    expression = query.replace("$${__trace.traceId}", world.trace_id)

    async def said() -> bool:
        answer = await ask("loki", {"expr": expression}, {})
        return answer.seen("service_name") >= ORDERED - {"card_provider"}

    await until(said, f"lines of trace {world.trace_id}")


async def test_a_line_leads_to_its_trace_its_order_and_its_service(
    backends: Backends, ask: Asker, world: World
) -> None:
    fields = {one["name"]: one for one in source("loki")["jsonData"]["derivedFields"]}
    expression = f'{{service_name="orders"}} | trace_id="{world.trace_id}"'

    async def same() -> bool:
        answer = await ask("loki", {"expr": expression}, {})
        found = {name: answer.seen(one["matcherRegex"]) for name, one in fields.items()}
        return found == {
            "Trace": {world.trace_id},
            "Order": {world.order_id},
            "Metrics": {"orders"},
        }

    await until(same, f"a line with trace id {world.trace_id}")
    assert await backends.jaeger.trace(world.trace_id) is not None


async def stored(backends: Backends, trace_id: str, service: str) -> tuple[Any, Any]:
    """A service's tags in a trace as Jaeger gives them, and all tags of its spans."""
    path = f"/api/traces/{trace_id}"
    [trace] = (await backends.jaeger.get(path, dict))["data"]
    [key] = [key for key, one in trace["processes"].items() if one["serviceName"] == service]
    spans = [span["tags"] for span in trace["spans"] if span["processID"] == key]
    return {one["key"]: one["value"] for one in trace["processes"][key]["tags"]}, spans


async def test_a_span_leads_to_the_metrics_of_its_instance(
    backends: Backends, ask: Asker, world: World
) -> None:
    told = source("jaeger")["jsonData"]["tracesToMetrics"]
    known, _ = await stored(backends, world.trace_id, "orders")
    tags = ", ".join(f'{one["value"]}="{known[one["key"]]}"' for one in told["tags"])
    assert tags == 'service_instance_id="orders-0"'
    for query in told["queries"]:
        expression = query["query"].replace("$$__tags", tags)

        async def counted(expr: str = expression) -> bool:
            return above_zero(await ask("prometheus", {"expr": expr}, {}))

        await until(counted, query["name"])


async def test_an_orders_id_is_found_in_a_spans_tags(backends: Backends, world: World) -> None:
    [link] = [one for one in source("jaeger")["correlations"] if one["targetUID"] == "orders"]
    [how] = link["config"]["transformations"]
    _, spans = await stored(backends, world.trace_id, "orders")
    texts = [json.dumps(tags, separators=(",", ":")) for tags in spans]
    found = {value for text in texts for value in re.findall(how["expression"], text)}
    assert found == {world.order_id}


async def test_a_span_leads_to_the_events_of_its_order_and_a_row_to_trace_and_lines(
    ask: Asker, world: World
) -> None:
    chosen = {
        "order": world.order_id,
        "trace_id": world.trace_id,
        "serviceName": "orders",
    }
    expected = {
        ("jaeger", "orders"): of("type", "OrderPlaced", "OrderConfirmed"),
        ("jaeger", "loki"): only("service_name", "orders"),
        ("orders", "jaeger"): of("service", *ORDERED),
        ("orders", "loki"): of("service_name", "gateway", "orders"),
    }
    links = {
        (uid, one["targetUID"]): one["config"]["target"]
        for uid in ("jaeger", "orders")
        for one in source(uid)["correlations"]
    }
    assert set(links) == set(expected)
    for (_, to), target in links.items():
        asked = json.loads(_chosen(json.dumps(target), chosen))
        check = expected[_, to]

        async def known(to: str = to, asked: Any = asked, check: Check = check) -> bool:
            return check(await ask(to, asked, {}))

        await until(known, f"from {_} to {to}")


def _chosen(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"$${{{name}}}", value)
    return text


def source(uid: str) -> dict[str, Any]:
    text = (FOLDER / "provisioning/datasources/weft.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = next(
        one for one in yaml.safe_load(text)["datasources"] if one["uid"] == uid
    )
    return found
