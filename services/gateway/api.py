"""The one public door: what it answers itself, and what it hands on."""

import asyncio
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec

from services.gateway.proxy import Proxy
from services.gateway.specification import merged
from weft.errors import Unavailable
from weft.http import HttpClient, Reply, Request, Routes

ORDERS: Final = (
    ("POST", "/v1/orders"),
    ("GET", "/v1/orders"),
    ("GET", "/v1/orders/{order_id}"),
)
INVENTORY: Final = (
    ("GET", "/v1/products"),
    ("GET", "/v1/products/{sku}"),
    ("PUT", "/v1/products/{sku}"),
)
REPORTS: Final = (
    ("POST", "/v1/reports"),
    ("GET", "/v1/reports"),
    ("GET", "/v1/reports/{report_id}"),
    ("DELETE", "/v1/reports/{report_id}"),
    ("POST", "/v1/updates/tickets"),
    ("POST", "/v1/webhooks"),
    ("GET", "/v1/webhooks"),
    ("DELETE", "/v1/webhooks/{webhook_id}"),
)
DOWNLOAD: Final = "/v1/reports/{report_id}/download"
SPECIFICATION_SECONDS: Final = 30.0
"""How long a specification is shown before the services are asked again."""
OK: Final = 200


class Specification:
    """The specification of everything behind the gateway, asked of the services themselves."""

    def __init__(self, services: Mapping[str, HttpClient]) -> None:
        self._services = services
        self._document: bytes | None = None
        self._asked_at = 0.0

    async def document(self) -> bytes:
        """Return the merged document as JSON. Raises Unavailable if a service is away."""
        if self._document is None or time.monotonic() - self._asked_at > SPECIFICATION_SECONDS:
            asked = await asyncio.gather(*(_ask(each) for each in self._services.values()))
            documents = dict(zip(self._services, asked, strict=True))
            whole = merged(documents, title="Weft", version=version("weft"))
            self._document = msgspec.json.encode(whole)
            self._asked_at = time.monotonic()
        return self._document


def routes(
    proxy: Proxy,
    orders: HttpClient,
    inventory: HttpClient,
    reports: HttpClient,
    downloads: HttpClient,
    *,
    jwks: Path,
) -> Routes:
    """Return the public routes. `jwks` is the file of the public keys."""
    serve = Routes()
    specification = Specification({"orders": orders, "inventory": inventory, "reports": reports})
    for client, paths in ((orders, ORDERS), (inventory, INVENTORY), (reports, REPORTS)):
        for method, path in paths:
            serve.raw(method, path, proxy.to(client, path))
    serve.raw("GET", DOWNLOAD, proxy.download(downloads, DOWNLOAD))

    @serve.get("/openapi.json", public=True)
    async def openapi(_: Request) -> Reply[bytes]:
        return Reply(await specification.document())

    @serve.get("/.well-known/jwks.json", public=True)
    async def keys(_: Request) -> Reply[bytes]:
        try:
            document = await asyncio.to_thread(jwks.read_bytes)
        except OSError as error:
            raise Unavailable("jwks", type(error).__name__) from None
        return Reply(
            document,
            headers={"Cache-Control": "public, max-age=60"},
            content_type="application/jwk-set+json",
        )

    return serve


async def _ask(service: HttpClient) -> dict[str, Any]:
    answer = await service.request("GET", "/openapi.json")
    if answer.status != OK:
        raise Unavailable(service.name, f"it answered {answer.status}")
    return answer.json(dict[str, Any])
