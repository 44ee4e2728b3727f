"""The Messaging dashboard: from the outbox to the handler, and where messages wait or fail."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.kit.board import OURS, board, of_label, to
from grafana.kit.panels import AnyPanel, graph, lines, number
from grafana.kit.queries import promql, quantile, rate, share

LEAVING: Final = r'queue=~".+\\.retry\\..+"'
DEAD: Final = r'queue=~".+\\.dead"'
WORKING: Final = r'queue!~".+\\.(retry\\..+|dead)"'
HANDLED: Final = "weft_consumer_messages_total"
TO_SERVICE: Final = {"The service": to("service", service=of_label("service_name"))}
QUEUE: Final = "{{queue}}"
SERVICE: Final = "{{service_name}}"


def messaging() -> Dashboard:
    """Return the dashboard, not yet built."""
    return board(
        "messaging",
        "messaging",
        "What waits to be sent or handled, for how long, who handles it, and what fails.",
        {
            "Now": _now(),
            "Outboxes": _outboxes(),
            "Queues": _queues(),
            "Handling": _handling(),
            "Webhooks": _webhooks(),
            "Log lines": [
                lines(
                    "Lines of handled messages",
                    f'{{{OURS}}} | weft_message_outcome!=""',
                    width=24,
                    about="One line for each message that a handler was done with.",
                )
            ],
        },
    )


def _now() -> list[AnyPanel]:
    return [
        number(
            "Messages handled",
            promql(rate(HANDLED), "messages"),
            unit="ops",
            width=6,
            about="Messages a second that all consumers were done with.",
        ),
        number(
            "Dead letters",
            promql(f"sum(rabbitmq_detailed_queue_messages{{{DEAD}}})", "letters"),
            unit="short",
            width=6,
            about="Messages that no attempt could handle: weft dead-letters list.",
        ),
        number(
            "Waiting for another attempt",
            promql(f"sum(rabbitmq_detailed_queue_messages{{{LEAVING}}})", "messages"),
            unit="short",
            width=6,
            about="Messages in the queues for retries.",
        ),
        number(
            "Oldest message not sent",
            promql("max(weft_relay_lag_age_seconds)", "age"),
            unit="s",
            width=6,
            about="Age of the oldest row in any outbox.",
        ),
    ]


def _outboxes() -> list[AnyPanel]:
    by_service = "max by (service_name) ({})"
    return [
        graph(
            "Rows in each outbox",
            promql(by_service.format("weft_relay_lag_events"), SERVICE),
            unit="short",
            width=8,
            about="Messages written and not yet confirmed by the broker.",
            links=TO_SERVICE,
        ),
        graph(
            "Age of each outbox",
            promql(by_service.format("weft_relay_lag_age_seconds"), SERVICE),
            unit="s",
            width=8,
            about="Age of the oldest row in each outbox.",
            links=TO_SERVICE,
        ),
        graph(
            "Messages sent by outcome",
            promql(
                rate("weft_relay_messages_total", by="service_name, outcome"),
                "{{service_name}} {{outcome}}",
            ),
            unit="ops",
            width=8,
            about="What relays handed to the broker, confirmed, unroutable or rejected.",
            links=TO_SERVICE,
        ),
    ]


def _queues() -> list[AnyPanel]:
    depth = "sum by (queue) (rabbitmq_detailed_queue_messages{{{}}})"
    return [
        graph(
            "Queue depth",
            promql(depth.format(WORKING), QUEUE),
            unit="short",
            width=8,
            about="Messages in each queue, those in the hands of a consumer too.",
        ),
        graph(
            "Wait in each queue",
            promql("queue:message_wait_seconds:estimate", QUEUE),
            unit="s",
            width=8,
            about="How long the newest message waits at the pace of the last minute.",
        ),
        graph(
            "Consumers of each queue",
            promql(f"queue:consumers:count{{{WORKING}}}", QUEUE),
            unit="short",
            width=8,
            about="Consumers that RabbitMQ counts.",
        ),
        graph(
            "Retry queues",
            promql(depth.format(LEAVING), QUEUE),
            unit="short",
            width=12,
            about="Messages that wait 1, 5 or 30 s for another attempt.",
        ),
        graph(
            "Dead letters by queue",
            promql(depth.format(DEAD), QUEUE),
            unit="short",
            width=12,
            about="Messages that no attempt could handle.",
        ),
    ]


def _handling() -> list[AnyPanel]:
    every = rate(HANDLED, by="queue")
    failed = rate(HANDLED, 'outcome=~"retried|dead"', "queue")
    return [
        graph(
            "Messages by queue and outcome",
            promql(rate(HANDLED, by="queue, outcome"), "{{queue}} {{outcome}}"),
            unit="ops",
            width=8,
            about="Messages a second that consumers were done with.",
        ),
        graph(
            "Failed messages by queue",
            promql(share(failed, every), QUEUE),
            unit="percentunit",
            width=8,
            about="Share of messages that were put off or went to the dead letters.",
        ),
        graph(
            "Handling latency p95 by queue",
            promql(
                quantile(
                    0.95, "messaging_process_duration_seconds", by="messaging_destination_name"
                ),
                "{{messaging_destination_name}}",
                exemplars=True,
            ),
            unit="s",
            width=8,
            about="95 of 100 messages were handled faster. The dots open traces.",
        ),
        graph(
            "Consumers in use by queue",
            promql("queue:consumer_slots:ratio", QUEUE),
            unit="percentunit",
            width=8,
            about="Messages in hand as a share of what may be handled at once.",
        ),
        graph(
            "Consumers that pause",
            promql("max by (service_name, queue) (weft_consumer_paused)", QUEUE),
            unit="short",
            width=8,
            about="1 while a consumer waits for a dependency that is away.",
            links=TO_SERVICE,
        ),
        graph(
            "Broker operations p95",
            promql(
                quantile(
                    0.95,
                    "messaging_client_operation_duration_seconds",
                    by="messaging_operation_name",
                ),
                "{{messaging_operation_name}}",
                exemplars=True,
            ),
            unit="s",
            width=8,
            about="Time until the broker has a message (send), and of acknowledgements.",
        ),
    ]


def _webhooks() -> list[AnyPanel]:
    return [
        graph(
            "Webhooks that wait",
            promql("max by (service_name) (weft_webhooks_pending)", SERVICE),
            unit="short",
            width=12,
            about="Webhooks that their endpoints have not taken yet.",
            links=TO_SERVICE,
        ),
        graph(
            "Age of the oldest webhook",
            promql("max by (service_name) (weft_webhooks_age_seconds)", SERVICE),
            unit="s",
            width=12,
            about="How long the oldest webhook waits for its endpoint.",
            links=TO_SERVICE,
        ),
    ]
