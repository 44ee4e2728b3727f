"""Consuming from a durable quorum queue, with an effect in PostgreSQL."""

from typing import Final

from benchmarks.bench.bench import Bench, Goal, Variant

_HERE: Final = "benchmarks.bench.consume"

BENCH: Final = Bench(
    name="consume",
    about="A message of 1 KB from a durable quorum queue, acknowledged when it is done with: "
    "64 prefetched, 16 in hand, a pool of 10 connections. All but the first five insert a row into "
    "PostgreSQL (commits wait for the disk), and Weft's variants do so exactly once: the message's "
    "identity is recorded in the transaction of its effect.",
    unit="message",
    variants=(
        Variant(
            name="bare",
            about="aio-pika, consume and ack, no database",
            subject=f"{_HERE}.clients:ack_only",
        ),
        Variant(
            name="ack_quiet",
            about="Weft's consumer, the same; telemetry off",
            subject=f"{_HERE}.chassis:ack_only",
        ),
        Variant(
            name="ack",
            about="Weft's consumer, the same; all three signals exported (spans of handling and of "
            "settling, points, a log record)",
            subject=f"{_HERE}.chassis:ack_only",
            telemetry=True,
        ),
        Variant(
            name="ack_sdk",
            about="the same on the OpenTelemetry SDK (WEFT_TELEMETRY=sdk)",
            subject=f"{_HERE}.chassis:ack_only",
            telemetry=True,
            environment={"WEFT_TELEMETRY": "sdk"},
        ),
        Variant(
            name="official",
            about="`bare` with aio-pika's official instrumentation: spans alone",
            subject=f"{_HERE}.official:official",
            telemetry=True,
            packages="official",
        ),
        Variant(
            name="transaction",
            about="aio-pika and asyncpg: BEGIN, INSERT, COMMIT, ack; at least once, and no reset "
            "of the session in the pool",
            subject=f"{_HERE}.clients:transaction",
        ),
        Variant(
            name="weft_quiet",
            about="Weft, exactly once, a transaction for each message; telemetry off",
            subject=f"{_HERE}.chassis:singly",
        ),
        Variant(
            name="weft",
            about="the same, all three signals exported",
            subject=f"{_HERE}.chassis:singly",
            telemetry=True,
        ),
        Variant(
            name="together_quiet",
            about="Weft, exactly once, messages that are in hand at the same time share a "
            "transaction (`together`), 64 in hand; telemetry off",
            subject=f"{_HERE}.chassis:together",
        ),
        Variant(
            name="together",
            about="the same, all three signals exported",
            subject=f"{_HERE}.chassis:together",
            telemetry=True,
        ),
        Variant(
            name="many_quiet",
            about="Weft, exactly once, all that are in hand go to one call of the handler "
            "(`on_many`), which inserts them by one statement; telemetry off",
            subject=f"{_HERE}.chassis:many",
        ),
        Variant(
            name="many",
            about="the same, all three signals exported",
            subject=f"{_HERE}.chassis:many",
            telemetry=True,
        ),
    ),
    goals=(
        Goal(variant="weft_quiet", metric="per_second", beside="transaction", bound=0.8),
        Goal(variant="together_quiet", metric="per_second", beside="transaction", bound=3.0),
        Goal(variant="many_quiet", metric="per_second", beside="transaction", bound=3.0),
        Goal(
            variant="ack",
            metric="cpu_us_per_unit",
            beside="official",
            bound=0.125,
            kind="at most",
            above="ack_quiet",
            beside_above="bare",
        ),
    ),
    needs=("rabbitmq", "postgres"),
    seconds=3.0,
)
