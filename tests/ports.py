"""Ports for what a test starts, or on which nobody is to answer."""

import itertools
import random

from stack.ports import taken

FIRST, LAST = 61_000, 65_535
"""Above those that Linux gives to connections and to whoever asks for port 0, so that nothing else
gets a port between a test's choice and its use."""

_ports = itertools.cycle(random.sample(range(FIRST, LAST + 1), LAST - FIRST + 1))


def free_port() -> int:
    """A port on which nobody listens."""
    return next(port for port in _ports if not taken([("test", port)]))


def free_url() -> str:
    """A URL at which nobody answers."""
    return f"http://127.0.0.1:{free_port()}"
