"""An order from its acceptance to its end: Weft's services beside the same flow on other stacks."""

from typing import Final

from benchmarks.bench import packages
from benchmarks.bench.bench import Bench, Goal, Variant
from benchmarks.bench.orders.job import CUSTOMERS, ONE_DECLINED_IN

_HERE: Final = "benchmarks.bench.orders"
_SHOWN: Final = ("fastapi", "uvicorn", "faststream", "sqlalchemy", "httpx")
_VERSIONS: Final = ", ".join(
    f"{name} {version}" for name, version in packages.versions("peers").items() if name in _SHOWN
)

BENCH: Final = Bench(
    name="orders",
    about=f"{CUSTOMERS} customers order one thing each through the gateway, wait until the world "
    f"is told by an event what became of it, and order again; one card in {ONE_DECLINED_IN} is "
    "declined. Gateway, orders, inventory, payments and card provider are one process each, on one "
    "RabbitMQ and one PostgreSQL, all on the same machine, without Valkey. An order is ten "
    "messages: durable quorum queues, persistent, confirmed, acknowledged after the commit (which "
    "waits for the disk); pools are of 10 connections. The peer is benchmarks/peers: FastAPI, "
    "FastStream, SQLAlchemy on asyncpg, httpx, and OpenTelemetry's own instrumentations of them "
    f"({_VERSIONS}); its README says what it has less of. Time is from the 202 to the event. CPU "
    "and memory are those of the five services together; the cores that RabbitMQ, PostgreSQL and "
    "the whole machine kept busy stand beside them. Every order that was accepted is checked: its "
    "outcome, the rows of orders, and the stock.",
    unit="order",
    variants=(
        Variant(
            name="weft",
            about="Weft's services, all three signals exported",
            subject=f"{_HERE}.weft:services",
            telemetry=True,
        ),
        Variant(
            name="weft_off",
            about="the same, telemetry off",
            subject=f"{_HERE}.weft:services",
        ),
        Variant(
            name="peer",
            about="the peer, which publishes after the commit; all three signals exported",
            subject=f"{_HERE}.peer:services",
            telemetry=True,
            packages="peers",
        ),
        Variant(
            name="peer_off",
            about="the same, telemetry off: nothing is instrumented",
            subject=f"{_HERE}.peer:services",
            packages="peers",
        ),
        Variant(
            name="peer_outbox",
            about="the peer with an outbox and a relay in each service, all three signals exported",
            subject=f"{_HERE}.peer:services",
            telemetry=True,
            environment={"PEER_OUTBOX": "true"},
            packages="peers",
        ),
    ),
    goals=(
        *(
            Goal(
                variant="weft",
                metric="cpu_us_per_unit",
                beside=peer,
                bound=1 / 3,
                kind="at most",
            )
            for peer in ("peer", "peer_outbox")
        ),
        Goal(variant="weft", metric="per_second", beside="peer", bound=2.0),
        Goal(variant="weft", metric="p99_ms", beside="peer", bound=0.5, kind="at most"),
    ),
    needs=("rabbitmq", "postgres"),
    driver=f"{_HERE}.customers:customers",
    warm=8.0,
    seconds=10.0,
    rounds=3,
    pictured=("cpu_us_per_unit", "per_second", "p99_ms"),
)
