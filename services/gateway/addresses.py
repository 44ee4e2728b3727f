"""Where the instances of the services are, by a file that is watched: they come and go."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from weft import settings
from weft.http import HttpClient
from weft.telemetry import get_logger

PERIOD: Final = 0.5
"""Seconds between two looks at the file: a look is one system call."""
MAX_BYTES: Final = 64 * 1024

log = get_logger(__name__)


class Addresses:
    """Gives `clients`, by the name of their service, the addresses that `path` says.

    The file is a JSON object of names and addresses, these with blanks between as in the settings.
    While there is none, or for a service that it does not name, the last addresses stay; so they do
    where it is wrong or cannot be read, which is told once.
    """

    def __init__(self, path: Path, clients: Mapping[str, Sequence[HttpClient]]) -> None:
        self._path = path
        self._clients = clients
        self._seen: tuple[int, ...] = ()
        self._unread = False

    async def run(self) -> None:
        """Look, again and again."""
        while True:
            self.look()
            await asyncio.sleep(PERIOD)

    def look(self) -> None:
        """Take up what is new in the file."""
        try:
            status = self._path.stat()
            seen = (status.st_ino, status.st_mtime_ns, status.st_size)
            if seen == self._seen:
                return
            self._seen = seen
            found = self._read()
        except FileNotFoundError:
            return
        except ValueError as error:
            self._tell(error)
            return
        except OSError as error:
            if not self._unread:
                self._tell(error)
            self._unread, self._seen = True, ()  # the next look may succeed
            return
        self._unread = False
        for service, urls in found.items():
            for client in self._clients.get(service, ()):
                client.use(urls)

    def _tell(self, error: Exception) -> None:
        why = type(error).__name__
        log.warning("file of addresses is wrong, the last stay", **{"weft.why": why})

    def _read(self) -> dict[str, tuple[str, ...]]:
        with self._path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise ValueError("it is too large")
        given = msgspec.json.decode(text, type=dict[str, str])
        return {name: settings.addresses(urls) for name, urls in given.items()}
