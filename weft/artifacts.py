"""Files that a service makes and others fetch: in a folder of this machine, or a bucket of S3."""

from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from weft.errors import Unavailable
from weft.settings import SettingsError
from weft.telemetry import record

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

    async def put(self, name: str, data: bytes) -> None:
        """Store an object, whole or not at all. Raises Unavailable."""
        with record.internal("put artifact"):
            try:
                await obstore.put_async(self._open(), name, data)
            except (BaseError, OSError) as error:
                raise _away(error) from error

    async def get(self, name: str) -> bytes:
        """Return an object. Raises Unavailable, also where there is none of that name."""
        with record.internal("get artifact"):
            try:
                found = await obstore.get_async(self._open(), name)
                return bytes(await found.bytes_async())
            except (BaseError, OSError) as error:
                raise _away(error) from error

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
