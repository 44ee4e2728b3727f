"""Files that a service makes and others fetch: in a folder of this machine, or a bucket of S3."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import LocalStore, ObjectStore, S3Store

from weft.errors import Gone, Unavailable
from weft.settings import Secret, ServiceSettings, SettingsError
from weft.telemetry import record

if TYPE_CHECKING:  # it is not there while the program runs
    from obstore.store import ClientConfig, S3Config

PIECE: Final = 1 << 20
"""Bytes that are read at once."""
_PART: Final = 5 << 20
_PARTS: Final = 4
"""Bytes that are written at once to S3, and how many times that side by side."""
_SCHEMES: Final = ("file", "s3")
_CONNECT: Final = timedelta(seconds=3)
_REQUEST: Final = timedelta(seconds=20)
_RETRIES: Final = 3
"""What S3 may take: for a connection, for one piece or part, and tries after the first."""


class ArtifactsSettings(ServiceSettings, frozen=True, kw_only=True):
    """What a service takes that has to do with artifacts."""

    artifacts_url: str
    """Where artifacts are kept: file:///folder or s3://bucket/prefix."""
    artifacts_endpoint: str | None = None
    """The http address of an S3 that is not Amazon's."""
    artifacts_region: str | None = None
    artifacts_credentials: Secret | None = None
    """ACCESS_KEY_ID:SECRET_ACCESS_KEY for S3; without, the AWS_ variables or the machine's role."""


class Artifacts:
    """Objects by name below `url`: file:///folder, which is made, or s3://bucket/prefix.

    `endpoint`, `region` and `credentials` are S3's (see ArtifactsSettings). A store that is away is
    found out when it is used. Raises SettingsError, which names the setting that is wrong.
    """

    def __init__(
        self,
        url: str,
        *,
        endpoint: str | None = None,
        region: str | None = None,
        credentials: Secret | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _SCHEMES or not parts.path.strip("/") + parts.netloc:
            raise SettingsError("WEFT_ARTIFACTS_URL: expected file:///folder or s3://bucket/prefix")
        self._folder = Path(unquote(parts.path)) if parts.scheme == "file" else None
        self._bucket = _Bucket(parts.netloc, parts.path.strip("/"), endpoint, region, credentials)
        self._store: ObjectStore | None = None

    @classmethod
    def of(cls, settings: ArtifactsSettings) -> Self:
        """Return the store that the settings name. Raises SettingsError."""
        return cls(
            settings.artifacts_url,
            endpoint=settings.artifacts_endpoint,
            region=settings.artifacts_region,
            credentials=settings.artifacts_credentials,
        )

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
                raise _away(error) from None

    async def read(self, name: str, part: range) -> AsyncIterator[bytes]:
        """Yield the bytes of `part` of an object, at most PIECE at once.

        Each piece is a request of its own: nothing is held open for a reader who takes his time.
        Raises Gone where there is no such object, and Unavailable, also where it is shorter.
        """
        for start in range(part.start, part.stop, PIECE):
            end = min(start + PIECE, part.stop)
            with record.internal("read artifact"):
                try:
                    piece = await obstore.get_range_async(self._open(), name, start=start, end=end)
                except FileNotFoundError:
                    raise Gone("It is no longer kept.") from None
                except (BaseError, OSError) as error:
                    raise _away(error) from None
            if len(piece) != end - start:
                raise Unavailable("artifact_store", "it is shorter than it was")
            yield bytes(piece)

    async def clear(self, folder: str) -> None:
        """Delete all objects below `folder`, and folders that are empty then; none is no error.

        Raises Unavailable.
        """
        try:
            found = [
                one["path"]
                async for some in obstore.list(self._open(), prefix=folder)
                for one in some
            ]
            await obstore.delete_async(self._open(), found)
        except FileNotFoundError:
            return  # another instance is at it
        except (BaseError, OSError) as error:
            raise _away(error) from None

    def _open(self) -> ObjectStore:
        if self._store is None:
            if self._folder is None:
                self._store = self._bucket.open()
            else:
                self._store = LocalStore(self._folder, mkdir=True, automatic_cleanup=True)
        return self._store


class _Bucket:
    """A bucket of S3, and how one gets there."""

    def __init__(
        self,
        name: str,
        prefix: str,
        endpoint: str | None,
        region: str | None,
        credentials: Secret | None,
    ) -> None:
        address = urlsplit("https://amazon" if endpoint is None else endpoint)
        if address.scheme not in ("http", "https") or not address.hostname or address.username:
            raise SettingsError("WEFT_ARTIFACTS_ENDPOINT: expected an http address")
        key, _, secret = ("" if credentials is None else credentials.reveal()).partition(":")
        if credentials is not None and not (key and secret):
            raise SettingsError(
                "WEFT_ARTIFACTS_CREDENTIALS: expected ACCESS_KEY_ID:SECRET_ACCESS_KEY"
            )
        self._name, self._prefix = name, prefix
        self._config: S3Config = {}
        if endpoint is not None:
            self._config["endpoint"] = endpoint
        if region is not None:
            self._config["region"] = region
        if credentials is not None:
            self._config["access_key_id"] = key
            self._config["secret_access_key"] = secret
        self._options: ClientConfig = {"connect_timeout": _CONNECT, "timeout": _REQUEST}
        if endpoint is not None:
            self._options["allow_http"] = address.scheme == "http"

    def open(self) -> ObjectStore:
        return S3Store(
            self._name,
            prefix=self._prefix or None,
            config=self._config,
            client_options=self._options,
            retry_config={"max_retries": _RETRIES, "retry_timeout": _REQUEST},
        )


def _away(error: Exception) -> Unavailable:
    """Its kind alone is told: its text holds addresses, and S3's answer the name of the key."""
    if isinstance(error, (PermissionDeniedError, UnauthenticatedError)):
        return Unavailable("artifact_store", "it refuses our credentials")
    return Unavailable("artifact_store", type(error).__name__)
