"""Reading the body of a request within bounds of size and time."""

import asyncio

from aiohttp import hdrs
from aiohttp.http import HttpVersion11
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import BaseRequest, HTTPRequestEntityTooLarge, RequestPayloadError

from weft.http.body import MAX_BODY
from weft.http.problem import Problem

READ_DEADLINE = 10.0
"""Seconds that a caller has for the body of one request."""


async def read_body(http: BaseRequest) -> bytes:
    """Return the body; raise Problem 400 (broken), 408 (too slow), 413 (above 1 MiB) or 415.

    A compressed body is a 415: within a mebibyte there is nothing to win, and bombs to lose to.
    """
    if http.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise Problem(415, detail="The body must not be compressed.")
    if (http.content_length or 0) > MAX_BODY:
        raise _too_large()
    await _continue(http)
    try:
        if http.content.is_eof():
            return await http.read()
        async with asyncio.timeout(READ_DEADLINE):
            return await http.read()
    except HTTPRequestEntityTooLarge:
        raise _too_large() from None
    except TimeoutError:
        raise Problem(408, detail=f"The body did not arrive in {READ_DEADLINE:g} s.") from None
    except (RequestPayloadError, HttpProcessingError):
        raise Problem(400, detail="The body is not what the headers say.") from None


async def _continue(http: BaseRequest) -> None:
    """Ask for the body that the caller holds back until its headers were accepted (RFC 9110)."""
    expected = http.headers.get(hdrs.EXPECT)
    if expected is None or http.version != HttpVersion11:
        return
    if expected.lower() != "100-continue":
        raise Problem(417, detail="Only 100-continue can be expected.")
    await http.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    http.writer.output_size = 0


def _too_large() -> Problem:
    return Problem(413, detail=f"The body must not be larger than {MAX_BODY} bytes.")
