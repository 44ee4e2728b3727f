"""The instruments that the semantic conventions name, and the chassis' calls feed."""

from weft.telemetry.metrics import DATABASE_SECONDS, counter, histogram

http_server_duration = histogram(
    "http.server.request.duration", "s", "Duration of HTTP server requests."
)
http_client_duration = histogram(
    "http.client.request.duration", "s", "Duration of HTTP client requests."
)
messaging_operation_duration = histogram(
    "messaging.client.operation.duration", "s", "Duration of messaging operations by a client."
)
messaging_process_duration = histogram(
    "messaging.process.duration", "s", "Duration of processing a message."
)
messaging_sent = counter(
    "messaging.client.sent.messages", "{message}", "Messages that a producer tried to send."
)
messaging_consumed = counter(
    "messaging.client.consumed.messages", "{message}", "Messages delivered to the application."
)
db_operation_duration = histogram(
    "db.client.operation.duration", "s", "Duration of database client operations.", DATABASE_SECONDS
)
