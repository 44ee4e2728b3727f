"""More processes of the gateway and of each service: the rate, and the cost of an order."""

from typing import Final

from benchmarks.bench.bench import Bench, Variant
from benchmarks.bench.orders.job import CUSTOMERS

_COPIES: Final = {"one": 1, "two": 2, "four": 4}

BENCH: Final = Bench(
    name="replicas",
    about="The order flow of `orders`, Weft's services with all three signals exported: "
    f"{CUSTOMERS} customers, spread over the gateways; gateway, orders, inventory, payments and "
    "card provider have so many processes each, on one RabbitMQ and one PostgreSQL, all on one "
    "machine. Where one process of each fills the cores already (`machine_cores`), more of them "
    "take turns on these and share out what one does at once: outbox rows, acknowledgements, "
    "spans. An order then costs more, and the rate falls: add processes where "
    "there are cores to spare. Every order that was accepted is checked as in `orders`.",
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
    needs=("rabbitmq", "postgres"),
    driver="benchmarks.bench.orders.customers:customers",
    warm=8.0,
    seconds=10.0,
    rounds=3,
    pictured=("per_second", "cpu_us_per_unit"),
)
