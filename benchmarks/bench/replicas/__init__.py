"""More processes of the gateway and of each service: the rate, and the cost of an order."""

from typing import Final

from benchmarks.bench.bench import Bench, Goal, Variant
from benchmarks.bench.orders.job import CUSTOMERS

_FLAT: Final = 1.5
_COPIES: Final = {"one": 1, "two": 2, "four": 4}

BENCH: Final = Bench(
    name="replicas",
    about="The order flow of `orders`, Weft's services with all three signals exported: "
    f"{CUSTOMERS} customers, spread over the gateways; gateway, orders, inventory, payments and "
    "card provider have so many processes each, on one RabbitMQ and one PostgreSQL. All of it "
    "shares the machine's cores, which one process of each fills already (`machine_cores`), so the "
    "rate cannot rise here: what is held to is that more processes do not make an order dearer. "
    "Every order that was accepted is checked as in `orders`.",
    unit="order",
    variants=tuple(
        Variant(
            name=name,
            about=f"{copies} of each",
            subject="benchmarks.bench.orders.weft:services",
            telemetry=True,
            environment={"WEFT_BENCH_COPIES": str(copies)},
        )
        for name, copies in _COPIES.items()
    ),
    goals=(
        Goal(
            variant="four",
            metric="cpu_us_per_unit",
            beside="one",
            bound=_FLAT,
            kind="at most",
        ),
    ),
    needs=("rabbitmq", "postgres"),
    driver="benchmarks.bench.orders.customers:customers",
    warm=8.0,
    seconds=10.0,
    rounds=3,
    pictured=("per_second", "cpu_us_per_unit"),
)
