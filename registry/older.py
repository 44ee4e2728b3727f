"""otel-collector/today.yaml: what has older names of OpenTelemetry's conventions gets today's.

A program that was instrumented years ago can then be found by the same questions as all others.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import yaml

ATTRIBUTES: Final = {
    "http.method": "http.request.method",
    "http.status_code": "http.response.status_code",
    "http.scheme": "url.scheme",
    "http.url": "url.full",
    "http.user_agent": "user_agent.original",
    "http.client_ip": "client.address",
    "http.server_name": "server.address",
    "http.flavor": "network.protocol.version",
    "http.request_content_length_uncompressed": "http.request.body.size",
    "http.response_content_length_uncompressed": "http.response.body.size",
    "net.host.name": "server.address",
    "net.host.port": "server.port",
    "net.host.ip": "network.local.address",
    "net.peer.ip": "network.peer.address",
    "net.sock.host.addr": "network.local.address",
    "net.sock.host.port": "network.local.port",
    "net.sock.peer.addr": "network.peer.address",
    "net.sock.peer.port": "network.peer.port",
    "net.protocol.name": "network.protocol.name",
    "net.protocol.version": "network.protocol.version",
    "net.transport": "network.transport",
    "peer.service": "service.peer.name",
    "db.system": "db.system.name",
    "db.name": "db.namespace",
    "db.redis.database_index": "db.namespace",
    "db.statement": "db.query.text",
    "db.operation": "db.operation.name",
    "db.sql.table": "db.collection.name",
    "db.mongodb.collection": "db.collection.name",
    "db.cassandra.table": "db.collection.name",
    "db.client.connections.pool.name": "db.client.connection.pool.name",
    "db.client.connections.state": "db.client.connection.state",
    "messaging.operation": "messaging.operation.type",
    "messaging.kafka.consumer.group": "messaging.consumer.group.name",
    "messaging.kafka.message.offset": "messaging.kafka.offset",
    "messaging.kafka.destination.partition": "messaging.destination.partition.id",
    "rpc.system": "rpc.system.name",
    "code.filepath": "code.file.path",
    "code.lineno": "code.line.number",
    "system.cpu.state": "cpu.mode",
    "system.cpu.logical_number": "cpu.logical_number",
}
"""Attributes of spans, data points and log records that only have another name today."""
RESOURCE: Final = {"deployment.environment": "deployment.environment.name"}
VALUES: Final = {
    "network.transport": {"ip_tcp": "tcp", "ip_udp": "udp"},
    "db.system.name": {
        "mssql": "microsoft.sql_server",
        "oracle": "oracle.db",
        "db2": "ibm.db2",
        "dynamodb": "aws.dynamodb",
    },
    "messaging.operation.type": {"publish": "send", "deliver": "process"},
}
"""Values that have another name today, by today's attribute."""
NUMBERS: Final = ("http.response.status_code", "server.port", "client.port", "network.peer.port")
"""Attributes that are numbers; Zipkin's tags are texts."""
TEXTS: Final = ("db.namespace", "messaging.destination.partition.id")
"""Attributes that are texts, and were numbers."""
METRICS: Final = {
    "http.server.duration": "http.server.request.duration",
    "http.client.duration": "http.client.request.duration",
    "http.server.request.size": "http.server.request.body.size",
    "http.server.response.size": "http.server.response.body.size",
    "http.client.request.size": "http.client.request.body.size",
    "http.client.response.size": "http.client.response.body.size",
    "rpc.server.duration": "rpc.server.call.duration",
    "rpc.client.duration": "rpc.client.call.duration",
    "messaging.publish.duration": "messaging.client.operation.duration",
    "messaging.publish.messages": "messaging.client.sent.messages",
    "messaging.client.published.messages": "messaging.client.sent.messages",
    "messaging.receive.messages": "messaging.client.consumed.messages",
    "db.client.connections.usage": "db.client.connection.count",
    "db.client.connections.max": "db.client.connection.max",
    "db.client.connections.idle.max": "db.client.connection.idle.max",
    "db.client.connections.idle.min": "db.client.connection.idle.min",
    "db.client.connections.pending_requests": "db.client.connection.pending_requests",
    "db.client.connections.timeouts": "db.client.connection.timeouts",
    "db.client.connections.create_time": "db.client.connection.create_time",
    "db.client.connections.use_time": "db.client.connection.use_time",
    "db.client.connections.wait_time": "db.client.connection.wait_time",
    "system.network.dropped": "system.network.packet.dropped",
    "system.network.packets": "system.network.packet.count",
    "system.network.connections": "system.network.connection.count",
}
"""Metrics; what was told in milliseconds is told in seconds, bounds of buckets too. Two that one
program tells beside each other never become one: their points would be of the same series."""
_SPLIT: Final = ("http.target",)
_PEERS: Final = ("net.peer.name", "net.peer.port")
_OURS: Final = ("weft", "spanmetricsconnector")
"""Scopes of what has no older names, and of which there is much."""
_HEAD: Final = """\
# Made by `python -m registry older` from registry/older.py. Older names of OpenTelemetry's
# conventions become today's. Our own telemetry has none and is passed by.
"""


def config() -> str:
    """Return the text of otel-collector/today.yaml."""
    statements = {
        "trace_statements": [_resource(), _foreign(_attributes("span") + _peers_of_spans())],
        "log_statements": [_resource(), _foreign(_attributes("log"))],
        "metric_statements": [
            _resource(),
            _foreign(_attributes("datapoint") + _peers_of_points()),
            _foreign(list(_metrics())),
        ],
    }
    processors = {"transform/today": {"error_mode": "ignore", **statements}}
    return _HEAD + yaml.safe_dump({"processors": processors}, sort_keys=False, width=2**16)


def _resource() -> dict[str, Any]:
    """Loki indexes by the service's name, and refuses what has none."""
    name = _at("resource", "service.name")
    known = f'set({name}, "unknown_service") where {name} == nil'
    return {"statements": [*_renamed("resource", RESOURCE), _gone("resource", RESOURCE), known]}


def _foreign(statements: list[str]) -> dict[str, Any]:
    condition = " and ".join(f'instrumentation_scope.name != "{name}"' for name in _OURS)
    return {"conditions": [condition], "statements": statements}


def _attributes(context: str) -> list[str]:
    target, path = _at(context, "http.target"), _at(context, "url.path")
    query = f"Substring({target}, Len({path}) + 1, Len({target}) - Len({path}) - 1)"
    queried = f"{target} != nil and Len({target}) > Len({path}) + 1"
    return [
        *_renamed(context, ATTRIBUTES),
        f'set({path}, Split({target}, "?")[0]) where {target} != nil',
        f"set({_at(context, 'url.query')}, {query}) where {queried}",
        *(
            f'set({_at(context, name)}, "{new}") where {_at(context, name)} == "{old}"'
            for name, values in VALUES.items()
            for old, new in values.items()
        ),
        *_typed(context, "Int", "IsString", NUMBERS),
        *_typed(context, "String", "IsInt", TEXTS),
        _gone(context, (*ATTRIBUTES, *_SPLIT)),
    ]


def _peers_of_spans() -> list[str]:
    """The peer of a server is its client."""
    server, others = "span.kind == SPAN_KIND_SERVER", "span.kind != SPAN_KIND_SERVER"
    return [
        *_peer("span", "client", f" and {server}"),
        *_peer("span", "server", f" and {others}"),
        *_typed("span", "Int", "IsString", ("client.port", "server.port")),
        _gone("span", _PEERS),
    ]


def _peers_of_points() -> list[str]:
    """Metrics of servers have no peer."""
    return [*_peer("datapoint", "server", ""), _gone("datapoint", _PEERS)]


def _peer(context: str, side: str, also: str) -> Iterable[str]:
    for old in _PEERS:
        new = "address" if old.endswith("name") else "port"
        yield (
            f"set({_at(context, f'{side}.{new}')}, {_at(context, old)})"
            f" where {_at(context, old)} != nil{also}"
        )


def _metrics() -> Iterable[str]:
    durations = [old for old in METRICS if old.endswith(("duration", "_time"))]
    pattern = _quoted(_one_of(durations))
    yield f'scale_metric(0.001, "s") where metric.unit == "ms" and IsMatch(metric.name, {pattern})'
    for old, new in METRICS.items():
        yield f'set(metric.name, "{new}") where metric.name == "{old}"'


def _renamed(context: str, names: Mapping[str, str]) -> Iterable[str]:
    for old, new in names.items():
        was = _at(context, old)
        yield f"set({_at(context, new)}, {was}) where {was} != nil"


def _typed(context: str, made: str, asked: str, names: Iterable[str]) -> Iterable[str]:
    for name in names:
        attribute = _at(context, name)
        yield f"set({attribute}, {made}({attribute})) where {asked}({attribute})"


def _gone(context: str, names: Iterable[str]) -> str:
    return f"delete_matching_keys({context}.attributes, {_quoted(_one_of(names))})"


def _at(context: str, name: str) -> str:
    return f'{context}.attributes["{name}"]'


def _one_of(names: Iterable[str]) -> str:
    return f"^({'|'.join(map(re.escape, names))})$$"  # the collector takes $ for a variable's


def _quoted(pattern: str) -> str:
    return '"' + pattern.replace("\\", "\\\\") + '"'
