"""The services of benchmarks/peers, each with uvicorn and its fastest loop and parser.

Needs the packages of peers.lock and none of ours.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.bench.orders import mesh
from benchmarks.bench.subject import Meter, Place


@asynccontextmanager
async def services(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Run the five."""
    ports = mesh.free_ports()
    shared = {
        "BROKER_URL": place.broker,
        "PROVIDER_KEY": secrets.token_urlsafe(24),
        "PROVIDER_URL": f"http://127.0.0.1:{ports['provider']}",
        "ORDERS_URL": f"http://127.0.0.1:{ports['orders']}",
    }
    started = [
        mesh.Service(
            name=name,
            port=port,
            arguments=(
                *("-m", "uvicorn", f"benchmarks.peers.{name}:app", "--port", str(port)),
                *("--loop", "uvloop", "--http", "httptools"),
                *("--no-access-log", "--log-level", "warning"),
            ),
            environment={
                **shared,
                "DATABASE_URL": mesh.database(place, name),
                "OTEL_SERVICE_NAME": name,
            },
        )
        for name, port in ports.items()
    ]
    headers = {"X-User": "customer"}
    async with mesh.databases(place), mesh.running(started, meter, headers):
        yield
