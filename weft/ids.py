"""Identities made by this process."""

import os
import threading
import time

_lock = threading.Lock()
_last = 0


def uuid7() -> str:
    """Return a UUIDv7 (RFC 9562) as 36 characters, strictly increasing within this process.

    The 12 bits after the millisecond hold its fraction (method 3 of section 6.2), so that ids made
    by one process sort by time of making.
    """
    global _last  # noqa: PLW0603 - the last timestamp is the whole state of the sequence
    now = time.time_ns()
    ticks = now // 1_000_000 << 12 | now % 1_000_000 * 4096 // 1_000_000
    with _lock:
        ticks = _last = max(ticks, _last + 1)
    value = (
        (ticks >> 12) << 80
        | 0x7 << 76
        | (ticks & 0xFFF) << 64
        | 0b10 << 62
        | int.from_bytes(os.urandom(8)) >> 2
    )
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
