"""The attributes that the semantic conventions give to calls: stable for HTTP and databases,
current for messaging. Each combination of values is made once.
"""

from functools import lru_cache

from weft.telemetry.labels import Labels
from weft.telemetry.statements import summary_of

KEPT = 4096
"""How many combinations of each kind are remembered."""


@lru_cache(maxsize=KEPT)
def server_start(method: str, scheme: str, port: int) -> Labels:
    """What is known of a served request before it is read."""
    return Labels({"http.request.method": method, "url.scheme": scheme, "server.port": port})


@lru_cache(maxsize=KEPT)
def http_server(method: str, scheme: str, route: str, status: int, failure: str | None) -> Labels:
    """Of `http.server.request.duration`. No `route`: none was found; no `status`: none was sent."""
    return Labels(
        {
            "http.request.method": method,
            "url.scheme": scheme,
            "http.route": route,
            "http.response.status_code": status or None,
            "error.type": failure,
        }
    )


@lru_cache(maxsize=KEPT)
def client_start(method: str, template: str, host: str, port: int) -> Labels:
    """What is known of a request before it is sent."""
    return Labels(
        {
            "http.request.method": method,
            "server.address": host,
            "server.port": port,
            "url.template": template,
        }
    )


@lru_cache(maxsize=KEPT)
def http_client(method: str, host: str, port: int, status: int, failure: str | None) -> Labels:
    """Of `http.client.request.duration`."""
    return Labels(
        {
            "http.request.method": method,
            "server.address": host,
            "server.port": port,
            "http.response.status_code": status or None,
            "error.type": failure,
        }
    )


@lru_cache(maxsize=KEPT)
def messaging(operation: str, destination: str, failure: str | None = None) -> Labels:
    """Of the messaging metrics. `operation`: send, process, ack, nack or reject."""
    return Labels(
        {
            "messaging.system": "rabbitmq",
            "messaging.operation.name": operation,
            "messaging.operation.type": (
                operation if operation in ("send", "process") else "settle"
            ),
            "messaging.destination.name": destination,
            "error.type": failure,
        }
    )


@lru_cache(maxsize=KEPT)
def message_start(operation: str, destination: str, routing_key: str, kind: str = "") -> Labels:
    """What all messages (of a `kind`) that take the same way have in common."""
    return Labels(
        {
            **messaging(operation, destination).attributes,
            "messaging.rabbitmq.destination.routing_key": routing_key,
            "weft.message.type": kind,
        }
    )


@lru_cache(maxsize=KEPT)
def websocket(route: str, kind: str) -> Labels:
    """What all messages of a `kind` have in common that leave by WebSockets of a route."""
    return Labels(
        {
            "network.protocol.name": "websocket",
            "http.route": route,
            "messaging.operation.name": "send",
            "weft.message.type": kind,
        }
    )


@lru_cache(maxsize=KEPT)
def consumed(queue: str, outcome: str) -> Labels:
    """Of `weft.consumer.messages`."""
    return Labels({"queue": queue, "outcome": outcome})


@lru_cache(maxsize=KEPT)
def sql(statement: str, namespace: str, host: str, port: int) -> Labels:
    """Of `db.client.operation.duration`."""
    return Labels(
        {
            "db.system.name": "postgresql",
            "db.namespace": namespace,
            "db.query.summary": summary_of(statement).text,
            "server.address": host,
            "server.port": port,
        }
    )


@lru_cache(maxsize=KEPT)
def sql_start(statement: str, namespace: str, host: str, port: int) -> Labels:
    """Of a statement's span."""
    summary = summary_of(statement)
    return Labels(
        {
            **sql(statement, namespace, host, port).attributes,
            "db.query.text": summary.statement,
            "db.operation.name": summary.operation,
            "db.collection.name": summary.collection,
        }
    )


@lru_cache(maxsize=KEPT)
def code(function: str) -> Labels:
    """Of a span of the program's own work."""
    return Labels({"code.function.name": function})


@lru_cache(maxsize=KEPT)
def failed(labels: Labels, failure: str) -> Labels:
    """Return `labels` with error.type."""
    return Labels({**labels.attributes, "error.type": failure})


@lru_cache(maxsize=KEPT)
def union(first: Labels, second: Labels) -> Labels:
    """Return both; what `second` says counts."""
    return Labels({**first.attributes, **second.attributes})
