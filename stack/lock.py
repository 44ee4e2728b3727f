"""One command at a time changes a system."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from stack.home import Home


class BusyError(Exception):
    """Another command is changing the system."""


@contextmanager
def lock(home: Home) -> Iterator[None]:
    """Hold the system's lock; BusyError at once if another process has it."""
    with (home.run / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise BusyError(f"another weft command (pid {holder}) is at work here") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
