"""A part of a body (RFC 9110, section 14): one range of bytes, to go on where one stopped."""

import re
from collections.abc import Mapping

from weft.http.problem import Problem

_RANGE = re.compile(r"bytes=(?:(\d{1,19})-(\d{0,19})|-(\d{1,19}))", re.ASCII)


def byte_range(headers: Mapping[str, str], *, size: int, tag: str) -> range | None:
    """Return the bytes that the caller asks for of a body of `size` bytes; None: all of it.

    `tag` is the body's ETag: with another one in If-Range the whole is meant. What is no single
    range of bytes counts as none. Raises Problem 416 for a range without a byte of the body.
    """
    match = _RANGE.fullmatch(headers.get("Range", "").strip())
    if match is None or headers.get("If-Range", tag) != tag:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        part = range(max(0, size - int(suffix)), size)
    elif last and int(last) < int(first):
        return None
    else:
        part = range(int(first), min(size, int(last) + 1) if last else size)
    if not part:
        raise Problem(
            416,
            detail=f"There is no such range in {size} bytes.",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return part


def content_range(part: range, size: int) -> str:
    """Return the Content-Range of a 206."""
    return f"bytes {part.start}-{part.stop - 1}/{size}"
