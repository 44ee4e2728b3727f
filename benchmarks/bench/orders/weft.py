"""Weft's services as they are."""

import json
import os
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.bench.orders import mesh
from benchmarks.bench.subject import Meter, Place
from weft.http import TokenSigner, new_private_key

_MODULES: Final = {name: name for name in mesh.SERVICES} | {"provider": "card_provider"}
_SCOPES: Final = ("orders:read", "orders:write")
_TOKEN_SECONDS: Final = 3600.0


@asynccontextmanager
async def services(place: Place, meter: Meter) -> AsyncIterator[None]:
    """Run the five, WEFT_BENCH_COPIES processes of each, with secrets of their own."""
    signer = TokenSigner(new_private_key())
    token = signer.mint("customer", _SCOPES, _TOKEN_SECONDS).token
    ports = mesh.ports_of_copies(int(os.environ.get("WEFT_BENCH_COPIES", "1")))
    with TemporaryDirectory(prefix="weft-bench-orders-") as folder:
        jwks = Path(folder) / "jwks.json"
        jwks.write_text(json.dumps(signer.jwks()))
        shared = {
            "WEFT_JWKS": str(jwks),
            "WEFT_SPILL_DIR": folder,
            "WEFT_BROKER_URL": place.broker,
            "WEFT_CARD_PROVIDER_KEY": secrets.token_urlsafe(24),
            "WEFT_WEBHOOK_SECRET": "whsec_" + b64encode(secrets.token_bytes(32)).decode(),
            **{f"WEFT_{_MODULES[name].upper()}_URL": _urls(of_it) for name, of_it in ports.items()},
        }
        started = [
            mesh.Service(
                name=name,
                port=port,
                arguments=("-m", f"services.{_MODULES[name]}"),
                environment=shared | _own(place, name, port, instance),
            )
            for name, of_it in ports.items()
            for instance, port in enumerate(of_it)
        ]
        headers = {"Authorization": f"Bearer {token}"}
        async with mesh.databases(place), mesh.running(started, meter, headers):
            yield


def _urls(ports: Sequence[int]) -> str:
    return " ".join(f"http://127.0.0.1:{port}" for port in ports)


def _own(place: Place, name: str, port: int, instance: int) -> dict[str, str]:
    own = {
        "WEFT_PORT": str(port),
        "WEFT_INSTANCE": str(instance),
        "OTEL_SERVICE_NAME": _MODULES[name],
    }
    if name != "gateway":
        own["WEFT_DATABASE_URL"] = mesh.database(place, name)
    return own
