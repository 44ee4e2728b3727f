"""The Orders dashboard: what customers get, what it brings in, and where an order's time goes."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.kit.board import board, of_label, of_row, to
from grafana.kit.panels import AnyPanel, figure, graph, grid, number, over_time
from grafana.kit.queries import NO_PROBES, promql, quantiles, rate, several, share, sql

READ: Final = "weft_cache_reads_total"
STATEMENTS: Final = "db_client_operation_duration_seconds_count"
DOOR: Final = 'service_name="gateway", http_route=~"/v1/.*"'
READS: Final = 'http_request_method="GET"'
WRITES: Final = 'http_request_method!="GET"'
NEWEST: Final = "SELECT order_id FROM read_v1.orders ORDER BY order_id DESC LIMIT 200"
TO_ORDER: Final = {"The order": to("order", order=of_row("order_id"))}


def orders() -> Dashboard:
    """Return the dashboard, not yet built."""
    return board(
        "orders",
        "orders",
        "Orders by outcome, revenue, the stages of the saga, and what an order costs.",
        {
            "Now": _now(),
            "Outcomes": _outcomes(),
            "The saga": _saga(),
            "Reads and writes": _reads(),
            "Orders, one by one": _newest(),
        },
    )


def _now() -> list[AnyPanel]:
    confirmed = rate("weft_orders_total", 'outcome="confirmed"')
    return [
        number(
            "Finished orders",
            promql(rate("weft_orders_total"), "orders"),
            unit="ops",
            width=6,
            about="Orders confirmed or rejected a second.",
        ),
        number(
            "Confirmed orders",
            promql(share(confirmed, rate("weft_orders_total")), "confirmed"),
            unit="percentunit",
            width=6,
            about="Share of finished orders that were confirmed.",
        ),
        number(
            "Active sagas",
            promql("max(weft_saga_active)", "orders"),
            unit="short",
            width=6,
            about="Orders accepted and not finished.",
        ),
        figure(
            "Revenue today",
            sql(
                "SELECT currency, sum(amount_minor) / 100.0 AS revenue FROM read_v1.sales"
                " WHERE day = (now() AT TIME ZONE 'UTC')::date GROUP BY currency"
            ),
            unit="none",
            width=6,
            about="Sold today (UTC) by confirmed orders of customers, by currency.",
        ),
    ]


def _outcomes() -> list[AnyPanel]:
    return [
        graph(
            "Orders by outcome",
            promql(rate("weft_orders_total", by="outcome, reason"), "{{outcome}} {{reason}}"),
            unit="ops",
            width=8,
            stacked=True,
            about="Orders finished a second; rejected ones with their reason.",
        ),
        over_time(
            "Revenue",
            sql(
                """SELECT $__timeGroupAlias(sold_at, $__interval), currency AS metric,
                          sum(amount_minor) / 100.0 AS revenue
                   FROM read_v1.sales
                   WHERE day >= $__timeFrom()::date AND $__timeFilter(sold_at)
                   GROUP BY 1, 2 ORDER BY 1""",
                "time_series",
            ),
            unit="none",
            width=8,
            about="Sold by confirmed orders of customers, by currency.",
        ),
        grid(
            "Best sellers today",
            sql(
                """SELECT sku, name, sum(quantity) AS sold, sum(amount_minor) / 100.0 AS revenue,
                          currency
                   FROM read_v1.sales_by_day WHERE day = (now() AT TIME ZONE 'UTC')::date
                   GROUP BY sku, name, currency ORDER BY sold DESC LIMIT 10"""
            ),
            width=8,
            about="The ten products that were sold most often today (UTC).",
        ),
    ]


def _saga() -> list[AnyPanel]:
    stock, payment = "weft_stock_state", "weft_payment_state"
    return [
        graph(
            "Order duration",
            quantiles("weft_order_duration_seconds"),
            unit="s",
            width=8,
            about="From an order's acceptance to its end. The dots open traces.",
        ),
        graph(
            "Stock by state",
            promql(rate("weft_stock_reservations_total", by=stock), f"{{{{{stock}}}}}"),
            unit="ops",
            width=8,
            about="Reservations a second by the state that they came to; committed is sold.",
        ),
        graph(
            "Payments by state",
            promql(rate("weft_payments_total", by=payment), f"{{{{{payment}}}}}"),
            unit="ops",
            width=8,
            about="Payments a second by the state that they came to; captured is paid.",
        ),
        grid(
            "Where time goes",
            sql(
                f"""SELECT type AS step, count(*) AS orders,
                           round(avg(seconds)::numeric, 3) AS average,
                           round(percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds)::numeric, 3)
                               AS p95
                    FROM (SELECT type, version, extract(epoch FROM at - lag(at)
                                 OVER (PARTITION BY order_id ORDER BY version))::float8 AS seconds
                          FROM read_v1.order_events WHERE order_id IN ({NEWEST})) AS steps
                    WHERE version > 1 GROUP BY type ORDER BY average DESC"""
            ),
            unit="s",
            width=12,
            about="Of the newest 200 orders: seconds from the event before to each event.",
        ),
        graph(
            "Repeated commands",
            promql(f"{rate('weft_saga_repeats_total')} or vector(0)", "commands"),
            unit="ops",
            width=6,
            about="Commands a second that the saga sent again for want of an answer.",
        ),
        graph(
            "Open calls of the card provider",
            several(
                {
                    "calls": "max(weft_payment_calls_open)",
                    "age of the oldest in seconds": "max(weft_payment_calls_age_seconds)",
                }
            ),
            unit="short",
            width=6,
            about="Calls that are still to succeed, and how old the oldest is.",
        ),
    ]


def _reads() -> list[AnyPanel]:
    hits = rate(READ, 'weft_cache_outcome=~"hit|joined"', "weft_cache_name")
    served = "http_server_request_duration_seconds_count"
    requests, messages = (
        rate(served, NO_PROBES, "service_name"),
        rate("weft_consumer_messages_total", by="service_name"),
    )
    work = f"(({requests} or {messages} * 0) + ({messages} or {requests} * 0))"
    return [
        graph(
            "Cache hits",
            promql(share(hits, rate(READ, by="weft_cache_name")), "{{weft_cache_name}}"),
            unit="percentunit",
            width=8,
            about="Share of reads that a cache answered, or that joined another's read.",
        ),
        graph(
            "Reads for each write",
            promql(
                f"{rate(served, f'{DOOR}, {READS}')} / {rate(served, f'{DOOR}, {WRITES}')}", "reads"
            ),
            unit="none",
            width=8,
            about="How many requests of the public API only read, for each that changes something.",
        ),
        graph(
            "Statements for each piece of work",
            promql(f"{rate(STATEMENTS, by='service_name')} / {work}", "{{service_name}}"),
            unit="none",
            width=8,
            about="Statements for each request or message of a service, those of its rounds too.",
            links={"The service": to("service", service=of_label("service_name"))},
        ),
    ]


def _newest() -> list[AnyPanel]:
    return [
        grid(
            "Newest orders",
            sql(
                """SELECT placed_at, order_id, status, reason, total_minor / 100.0 AS total,
                          currency, extract(epoch FROM finished_at - placed_at)::float8 AS seconds,
                          trace_id
                   FROM read_v1.orders ORDER BY order_id DESC LIMIT 50"""
            ),
            width=24,
            height=12,
            about="The newest fifty orders; each opens its events, its trace and its log lines.",
            links={"order_id": TO_ORDER, "trace_id": TO_ORDER},
        )
    ]
