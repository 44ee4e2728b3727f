"""The public door: hands requests on to orders."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx
from fastapi import FastAPI, HTTPException, Request, Response

from benchmarks.peers import telemetry

_HANDED_ON: Final = ("content-type", "idempotency-key", "x-user")
_TIMEOUT: Final = 10.0

log = logging.getLogger(__name__)
telemetry.start()
telemetry.of_clients()


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with httpx.AsyncClient(base_url=os.environ["ORDERS_URL"], timeout=_TIMEOUT) as client:
        app.state.orders = client
        yield


app = FastAPI(lifespan=_lifespan)
telemetry.of_server(app)


@app.get("/readyz")
async def ready() -> dict[str, str]:
    """Tell that it serves."""
    return {"status": "ok"}


@app.post("/v1/orders")
async def place(request: Request) -> Response:
    """Have an order placed."""
    return await _forward(request, "/v1/orders")


@app.get("/v1/orders/{order_id}")
async def show(request: Request, order_id: str) -> Response:
    """Show an order."""
    return await _forward(request, f"/v1/orders/{order_id}")


async def _forward(request: Request, path: str) -> Response:
    headers = {name: request.headers[name] for name in _HANDED_ON if name in request.headers}
    client: httpx.AsyncClient = request.app.state.orders
    try:
        answer = await client.request(
            request.method, path, headers=headers, content=await request.body()
        )
    except httpx.HTTPError as error:
        log.warning("orders does not answer: %s", type(error).__name__)
        raise HTTPException(503, "orders does not answer") from None
    log.info("request", extra={"method": request.method, "status": answer.status_code})
    return Response(
        answer.content, answer.status_code, media_type=answer.headers.get("content-type")
    )
