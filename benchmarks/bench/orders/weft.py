"""Weft's services as they are."""

import json
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator
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
    """Run the five, with secrets of their own."""
    signer = TokenSigner(new_private_key())
    token = signer.mint("customer", _SCOPES, _TOKEN_SECONDS).token
    ports = mesh.free_ports()
    with TemporaryDirectory(prefix="weft-bench-orders-") as folder:
        jwks = Path(folder) / "jwks.json"
        jwks.write_text(json.dumps(signer.jwks()))
        shared = {
            "WEFT_JWKS": str(jwks),
            "WEFT_SPILL_DIR": folder,
            "WEFT_BROKER_URL": place.broker,
            "WEFT_CARD_PROVIDER_KEY": secrets.token_urlsafe(24),
            "WEFT_WEBHOOK_SECRET": "whsec_" + b64encode(secrets.token_bytes(32)).decode(),
            **{
                f"WEFT_{_MODULES[name].upper()}_URL": f"http://127.0.0.1:{port}"
                for name, port in ports.items()
            },
        }
        started = [
            mesh.Service(
                name=name,
                port=port,
                arguments=("-m", f"services.{_MODULES[name]}"),
                environment=shared | _own(place, name, port),
            )
            for name, port in ports.items()
        ]
        headers = {"Authorization": f"Bearer {token}"}
        async with mesh.databases(place), mesh.running(started, meter, headers):
            yield


def _own(place: Place, name: str, port: int) -> dict[str, str]:
    own = {"WEFT_PORT": str(port), "OTEL_SERVICE_NAME": _MODULES[name]}
    if name != "gateway":
        own["WEFT_DATABASE_URL"] = mesh.database(place, name)
    return own
