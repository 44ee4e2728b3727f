"""Publishing to a durable quorum queue: persistent, mandatory, confirmed, 1 KB."""

from typing import Final

from benchmarks.bench.bench import Bench, Goal, Variant

_HERE: Final = "benchmarks.bench.publish"

BENCH: Final = Bench(
    name="publish",
    about="A message of 1 KB to a durable quorum queue: persistent, mandatory, confirmed by the "
    "broker, 512 in flight. The relay's rows have 10,000 ordering keys, and each is in its "
    "database before and deleted after.",
    unit="message",
    variants=(
        Variant(
            name="bare",
            about="aio-pika, publisher confirms, a gather of 512 at a time",
            subject=f"{_HERE}.clients:aio_pika_gather",
        ),
        Variant(
            name="aiormq",
            about="the layer beneath aio-pika, 512 tasks",
            subject=f"{_HERE}.clients:aiormq_pipelined",
        ),
        Variant(
            name="weft_quiet",
            about="Weft's Publisher, telemetry off",
            subject=f"{_HERE}.chassis:publisher",
        ),
        Variant(
            name="weft",
            about="Weft's Publisher, all three signals exported",
            subject=f"{_HERE}.chassis:publisher",
            telemetry=True,
        ),
        Variant(
            name="sdk",
            about="the same on the OpenTelemetry SDK (WEFT_TELEMETRY=sdk)",
            subject=f"{_HERE}.chassis:publisher",
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
            name="relay_quiet",
            about="Weft's relay, ordered by key, from the outbox; telemetry off",
            subject=f"{_HERE}.chassis:relay",
        ),
        Variant(
            name="relay",
            about="the same, all three signals exported",
            subject=f"{_HERE}.chassis:relay",
            telemetry=True,
        ),
        Variant(
            name="perf_test",
            about="RabbitMQ's own PerfTest, in Java: the limit",
            subject=f"{_HERE}.perf_test:perf_test",
            program="mvn",
        ),
    ),
    goals=(
        Goal(variant="relay_quiet", metric="per_second", beside="bare", bound=1.0),
        Goal(
            variant="relay_quiet",
            metric="cpu_us_per_unit",
            beside="bare",
            bound=1.0,
            kind="at most",
        ),
        Goal(
            variant="weft",
            metric="cpu_us_per_unit",
            beside="official",
            bound=0.125,
            kind="at most",
            above="weft_quiet",
            beside_above="bare",
        ),
    ),
    needs=("rabbitmq", "postgres"),
)
