"""The system under load: where its gateway is, who its customers are, what they buy."""

import json
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from stack.system import System

SUBJECTS: Final = 20
"""Customers: the gateway's limit is for each of them, and must not be what is measured."""
PRODUCTS: Final = 50
_STOCK: Final = 1_000_000_000
_TOKEN_SECONDS: Final = 4 * 3600.0
_CALL_SECONDS: Final = 10.0
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class NotLocalError(Exception):
    """The gateway is on another machine: load is for systems of one's own, on this one."""


@dataclass(frozen=True)
class Target:
    """Addresses, a token for each customer, and the products that they buy."""

    gateway: str
    jaeger: str
    collector: str
    """Where the collector's own metrics are."""
    tokens: list[str]
    skus: list[str]


def gateway_url() -> str:
    """Return the address of this system's gateway, as WEFT_PORT_BASE has it."""
    return System.load().ports.url("gateway")


def answers(gateway: str) -> bool:
    """Return whether the gateway is ready for requests."""
    try:
        with urllib.request.urlopen(f"{gateway}/readyz", timeout=_CALL_SECONDS) as answer:  # noqa: S310 - loopback
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def prepare(gateway: str) -> Target:
    """Make the customers' tokens and put the products in; NotLocalError, OSError."""
    if urlsplit(gateway).hostname not in _LOOPBACK:
        raise NotLocalError(gateway)
    system = System.load()
    signer = system.credentials.signer()
    scopes = ("orders:read", "orders:write", "inventory:write")
    tokens = [
        signer.mint(f"load-{number}", scopes, _TOKEN_SECONDS).token for number in range(SUBJECTS)
    ]
    skus = [f"LOAD-{number:03}" for number in range(PRODUCTS)]
    for sku in skus:
        _put(f"{gateway}/v1/products/{sku}", tokens[0])
    ports = system.ports
    collector = f"{ports.url('otel-collector-metrics')}/metrics"
    return Target(gateway, ports.url("jaeger"), collector, tokens, skus)


def _put(url: str, token: str) -> None:
    price = {"amount": "2.50", "currency": "EUR"}
    body = json.dumps({"name": "Load", "price": price, "stock": _STOCK}).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, data=body, headers=headers, method="PUT")  # noqa: S310
    with urllib.request.urlopen(request, timeout=_CALL_SECONDS) as answer:  # noqa: S310 - loopback
        answer.read()
