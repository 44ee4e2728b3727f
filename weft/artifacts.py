"""Files that a service makes and others fetch: in a folder of this machine, or a bucket of S3."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Final
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from weft.errors import Unavailable
from weft.settings import SettingsError
from weft.telemetry import record

PIECE: Final = 1 << 20
"""Bytes that are read at once."""
_PART: Final = 5 << 20
_PARTS: Final = 4
"""Bytes that are written at once to S3, and how many times that side by side."""
_SCHEMES: Final = ("file", "s3")


class Artifacts:
    """Objects by name below `url`: file:///folder, which is made, or s3://bucket/prefix.

    S3's address and credentials come from the AWS_ variables. A store that is away is found out
    when it is used. Raises SettingsError, which names WEFT_ARTIFACTS_URL, for any other URL.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _SCHEMES or not parts.path.strip("/") + parts.netloc:
            raise SettingsError("WEFT_ARTIFACTS_URL: expected file:///folder or s3://bucket/prefix")
        self._url = url
        self._folder = Path(unquote(parts.path)) if parts.scheme == "file" else None
        self._store: ObjectStore | None = None

    async def put(self, name: str, data: bytes | IO[bytes]) -> None:
        """Store an object, whole or not at all; a file is read from where it stands, in parts.

        Raises Unavailable.
        """
        with record.internal("put artifact"):
            try:
                await obstore.put_async(
                    self._open(), name, data, chunk_size=_PART, max_concurrency=_PARTS
                )
            except (BaseError, OSError) as error:
                raise _away(error) from error

    async def read(self, name: str, part: range) -> AsyncIterator[bytes]:
        """Yield the bytes of `part` of an object, at most PIECE at once.

        Each piece is a request of its own: nothing is held open for a reader who takes his time.
        Raises Unavailable, also where there is no such object or it is shorter.
        """
        for start in range(part.start, part.stop, PIECE):
            end = min(start + PIECE, part.stop)
            with record.internal("read artifact"):
                try:
                    piece = await obstore.get_range_async(self._open(), name, start=start, end=end)
                except (BaseError, OSError) as error:
                    raise _away(error) from error
            if len(piece) != end - start:
                raise Unavailable("artifact_store", "it is shorter than it was")
            yield bytes(piece)

    async def delete(self, name: str) -> None:
        """Delete an object; one that is gone already is no error. Raises Unavailable."""
        try:
            await obstore.delete_async(self._open(), name)
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise _away(error) from error

    def _open(self) -> ObjectStore:
        if self._store is None:
            if self._folder is None:
                self._store = from_url(self._url)
            else:
                self._store = LocalStore(self._folder, mkdir=True)
        return self._store


def _away(error: Exception) -> Unavailable:
    """Its type alone is told: its text holds addresses."""
    return Unavailable("artifact_store", type(error).__name__)
