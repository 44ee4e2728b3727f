"""Against server-side request forgery: a stranger's URL may not lead into our own network."""

import asyncio
import ipaddress
import socket
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from weft.errors import WeftError

LONGEST_URL: Final = 2048
RESOLVE_SECONDS: Final = 3.0

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class UnsafeAddress(WeftError, OSError):
    """The URL is none that we call, or leads to an address that is not public."""


def check_address(text: str) -> None:
    """Raise UnsafeAddress unless the IP address `text` is a public one, of one host."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if any(not one.is_global or one.is_multicast for one in _meant(address)):
        raise UnsafeAddress("the address is not public")


def _meant(address: _Address) -> list[_Address]:
    """Return `address` and the IPv4 addresses that are reached by way of it."""
    meant: list[_Address] = [address]
    if isinstance(address, ipaddress.IPv6Address):
        meant += [one for one in (address.ipv4_mapped, address.sixtofour) if one is not None]
        meant += address.teredo or ()
        if address in _NAT64:
            meant.append(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    return meant


def check_url(text: str, *, private: bool = False) -> URL:
    """Return `text` as a URL that a customer may register; raise UnsafeAddress.

    https to a public host, without credentials or fragment. `private` allows http and any address:
    for tests and development on one machine.
    """
    try:
        url = URL(text)
        port = url.port
    except ValueError:
        raise UnsafeAddress("it is no URL") from None
    if len(text) > LONGEST_URL or not text.isascii() or not text.isprintable():
        raise UnsafeAddress(f"it is longer than {LONGEST_URL} characters, or not ASCII")
    if url.scheme != "https" and not (private and url.scheme == "http"):
        raise UnsafeAddress("its scheme must be https")
    if not url.host or not port or url.user is not None or url.password is not None:
        raise UnsafeAddress("it needs a host, and may have no credentials")
    if url.raw_fragment:
        raise UnsafeAddress("it may have no fragment")
    if not private:
        _check_literal(url.host)
    return url


def _check_literal(host: str) -> None:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return
    check_address(host)


class GuardedResolver(AbstractResolver):
    """Resolves names to public addresses alone, all of them or none.

    aiohttp connects to the addresses that this returns and looks up nothing again, so that a name
    which changes its mind gains nothing. It does not ask for hosts that are IP addresses: those
    are checked by `check_url`.
    """

    def __init__(self) -> None:
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses; raise UnsafeAddress (an OSError) if one of them is not public."""
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await self._resolver.resolve(host, port, family)
        for one in found:
            check_address(one["host"])
        return found

    async def close(self) -> None:
        """Nothing is held."""
        await self._resolver.close()
