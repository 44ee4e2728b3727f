"""The RabbitMQ dashboard: what the broker says of itself; Messaging has what services see."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.kit.board import OURS, board
from grafana.kit.panels import AnyPanel, graph, lines, number
from grafana.kit.queries import promql, rate, several

MESSAGES: Final = "rabbitmq_global_messages"


def rabbitmq() -> Dashboard:
    """Return the dashboard, not yet built."""
    return board(
        "rabbitmq",
        "RabbitMQ",
        "Connections, messages, memory and disk of the broker, and its alarms.",
        {
            "Now": _now(),
            "Messages": _messages(),
            "Connections": _connections(),
            "Node": _node(),
            "Log lines": [
                lines(
                    "Lines of RabbitMQ",
                    f'{{{OURS}, service_name="rabbitmq"}}',
                    width=24,
                    about="What the broker writes into its log.",
                )
            ],
        },
    )


def _now() -> list[AnyPanel]:
    alarms = '{__name__=~"rabbitmq_alarms_(memory_used|free_disk_space)_watermark"}'
    return [
        number(
            "Alarms",
            promql(f"sum({alarms})", "alarms"),
            unit="short",
            width=6,
            about="Memory or disk beyond its mark: publishers are blocked until it is over.",
        ),
        number(
            "Messages in all queues",
            promql("sum(rabbitmq_queue_messages)", "messages"),
            unit="short",
            width=6,
            about="Messages that the broker holds, those in hand too.",
        ),
        number(
            "Queues",
            promql("sum(rabbitmq_queues)", "queues"),
            unit="short",
            width=6,
            about="Queues of all kinds.",
        ),
        number(
            "Disk left",
            promql("min(rabbitmq_disk_space_available_bytes)", "bytes"),
            unit="bytes",
            width=6,
            about="Space on the disk of the broker; below its limit publishers are blocked.",
        ),
    ]


def _messages() -> list[AnyPanel]:
    return [
        graph(
            "Messages received and delivered",
            several(
                {
                    "received": rate(f"{MESSAGES}_received_total"),
                    "confirmed": rate(f"{MESSAGES}_confirmed_total"),
                    "delivered": rate(f"{MESSAGES}_delivered_total"),
                    "acknowledged": rate(f"{MESSAGES}_acknowledged_total"),
                }
            ),
            unit="ops",
            width=8,
            about="Messages a second into the broker and out of it.",
        ),
        graph(
            "Messages delivered again",
            several(
                {
                    "redelivered": rate(f"{MESSAGES}_redelivered_total"),
                    "unroutable": rate(f"{MESSAGES}_unroutable_returned_total"),
                }
            ),
            unit="ops",
            width=8,
            about="Messages a second that a consumer gave back, and those that no queue took.",
        ),
        graph(
            "Messages ready and in hand",
            several(
                {
                    "ready": "sum(rabbitmq_queue_messages_ready)",
                    "in hand": "sum(rabbitmq_queue_messages_unacked)",
                }
            ),
            unit="short",
            width=8,
            about="Messages that wait for a consumer, and those that one has.",
        ),
    ]


def _connections() -> list[AnyPanel]:
    return [
        graph(
            "Connections and channels",
            several(
                {
                    "connections": "sum(rabbitmq_connections)",
                    "channels": "sum(rabbitmq_channels)",
                    "consumers": "sum(rabbitmq_consumers)",
                }
            ),
            unit="short",
            width=12,
            about="Each service has a connection for publishing and one for consuming.",
        ),
        graph(
            "Connections opened and closed",
            several(
                {
                    "opened": rate("rabbitmq_connections_opened_total"),
                    "closed": rate("rabbitmq_connections_closed_total"),
                }
            ),
            unit="ops",
            width=12,
            about="Connections a second; many mean that clients come and go.",
        ),
    ]


def _node() -> list[AnyPanel]:
    return [
        graph(
            "Memory of the broker",
            several(
                {
                    "used": "sum(rabbitmq_process_resident_memory_bytes)",
                    "limit": "sum(rabbitmq_resident_memory_limit_bytes)",
                }
            ),
            unit="bytes",
            width=8,
            about="Memory of the broker, and where it begins to block publishers.",
        ),
        graph(
            "Disk of the broker",
            several(
                {
                    "left": "min(rabbitmq_disk_space_available_bytes)",
                    "limit": "max(rabbitmq_disk_space_available_limit_bytes)",
                }
            ),
            unit="bytes",
            width=8,
            about="Space on its disk, and where it begins to block publishers.",
        ),
        graph(
            "Erlang processes",
            several(
                {
                    "used": "sum(rabbitmq_erlang_processes_used)",
                    "limit": "sum(rabbitmq_erlang_processes_limit)",
                }
            ),
            unit="short",
            width=8,
            about="Each queue, channel and connection has some.",
        ),
    ]
