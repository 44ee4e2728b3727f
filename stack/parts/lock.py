"""One installation at a time for each cache, whichever process it runs in."""

from __future__ import annotations

import fcntl
import os
import random
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 0.5


class StillLocked(Exception):
    """Somebody else held the lock to the deadline."""


@contextmanager
def exclusive(path: Path, *, deadline_s: float, waiting: Callable[[], None]) -> Iterator[int]:
    """Holds the lock file and gives its descriptor; calls `waiting` while another holds it.

    The kernel frees the lock when the last process that has the descriptor ends, so a killed one
    leaves nothing behind. Raises StillLocked after `deadline_s` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    ends = time.monotonic() + deadline_s
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        wait_s = _FIRST_WAIT_S
        while not _taken(descriptor):
            if time.monotonic() > ends:
                raise StillLocked(f"another installation held {path} for {deadline_s:.0f} s")
            waiting()
            time.sleep(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(_LONGEST_WAIT_S, wait_s * 2)
        yield descriptor
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
