"""Users' channels: many open WebSockets on one process, and a message to each of them."""

from typing import Final

from benchmarks.bench.bench import Bench, Variant

_HERE: Final = "benchmarks.bench.channel"

BENCH: Final = Bench(
    name="channel",
    about="5,000 users have one WebSocket each on one process, with everything that the service "
    "reports has for them. Bursts of one message to each user go through RabbitMQ's fan-out; "
    "`burst_seconds` is the slowest, from the first publish until the last socket has its message, "
    "`memory_mib` the most that the process had resident. The goals are 1 s and 400 MiB. "
    "Browsers and publisher are one process that takes up the other core.",
    unit="message",
    variants=(
        Variant(name="quiet", about="telemetry off", subject=f"{_HERE}.replica:replica"),
        Variant(
            name="weft",
            about="all three signals exported: a span for each message and each socket",
            subject=f"{_HERE}.replica:replica",
            telemetry=True,
        ),
    ),
    needs=("rabbitmq", "postgres"),
    driver=f"{_HERE}.browsers:browsers",
    seconds=10.0,
    rounds=3,
    pictured=("burst_seconds", "cpu_us_per_unit"),
)
