"""A stranger's URL does not lead into our own network."""

import socket

import pytest
from aiohttp.abc import ResolveResult

from weft.webhooks.guard import GuardedResolver, UnsafeAddress, check_address, check_url


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - refused here
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:db8::1",
    ],
)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(UnsafeAddress):
        check_address(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_a_public_address_is_taken(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "ftp://example.com/hook",
        "https://user:secret@example.com/hook",
        "https://example.com/hook#part",
        "https:///hook",
        "https://",
        "/hook",
        "",
        "https://127.0.0.1/hook",
        "https://[::1]/hook",
        "https://[::ffff:10.0.0.1]/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://example.com:99999/hook",
        "https://exämple.com/hook",
        "https://example.com/\nhook",
        "https://example.com/" + "a" * 2048,
    ],
)
def test_a_url_that_a_customer_may_not_register_is_refused(url: str) -> None:
    with pytest.raises(UnsafeAddress):
        check_url(url)


def test_a_public_https_url_is_taken_and_for_development_a_private_one() -> None:
    assert check_url("https://example.com:8443/hook?key=1").host == "example.com"
    assert check_url("http://127.0.0.1:9000/hook", private=True).port == 9000


@pytest.mark.parametrize("name", ["localhost", "127.1", "2130706433", "0x7f.1", "017700000001"])
async def test_a_name_for_this_machine_is_not_resolved(name: str) -> None:
    with pytest.raises(UnsafeAddress):
        await GuardedResolver().resolve(name, 443)


async def test_a_name_with_one_private_address_among_its_own_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolver = GuardedResolver()

    async def both(host: str, port: int, _: socket.AddressFamily) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=one, port=port, family=2, proto=0, flags=0)
            for one in ("93.184.216.34", "10.0.0.1")
        ]

    monkeypatch.setattr(resolver._resolver, "resolve", both)
    with pytest.raises(UnsafeAddress):
        await resolver.resolve("both.example", 443)
