"""One HTTP call to a backend: a deadline, a typed answer, and errors that name the backend."""

import os
from collections.abc import Mapping, Sequence
from typing import TypeVar

import aiohttp
import msgspec

T = TypeVar("T")
Params = Mapping[str, str] | Sequence[tuple[str, str]]

CONNECT_DEADLINE = 2.0
_EXCERPT = 300


class BackendError(Exception):
    """A backend did not give what it was asked for. The text is one line that names it."""


class BackendAway(BackendError):
    """Nobody answers at the backend's address, or not within the deadline."""

    def __init__(self, name: str, url: str, why: str) -> None:
        super().__init__(f"{name} does not answer at {url}: {why}")
        self.name = name


class BackendSlow(BackendAway):
    """The backend did not answer within the deadline."""


class BackendRefused(BackendError):
    """The backend answered with an error status, or with something unreadable."""

    def __init__(self, name: str, status: int, detail: str) -> None:
        super().__init__(f"{name} answered {status}: {' '.join(detail.split())[:_EXCERPT]}")
        self.name = name
        self.status = status


class Answer(msgspec.Struct, frozen=True):
    """Status, headers (names in lower case) and body of one response."""

    name: str
    status: int
    headers: dict[str, str]
    body: bytes

    def decode(self, kind: type[T]) -> T:
        """Return the JSON body as `kind`; BackendRefused when it is another shape."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except msgspec.DecodeError as error:
            raise BackendRefused(self.name, self.status, f"unexpected body: {error}") from None

    def expect(self, *statuses: int) -> "Answer":
        """Return self if its status is one of `statuses`, else raise BackendRefused."""
        if self.status in statuses:
            return self
        raise BackendRefused(self.name, self.status, self.body.decode(errors="replace"))


class HttpBackend:
    """A backend by name and base URL. `deadline` bounds each call, in seconds."""

    def __init__(
        self, name: str, url: str, session: aiohttp.ClientSession, *, deadline: float = 10.0
    ) -> None:
        self.name = name
        self.url = url.rstrip("/")
        self._session = session
        self._deadline = deadline

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        json: object = None,
    ) -> Answer:
        """Make one call, without retries, and read the whole answer.

        Raises BackendAway if none came, BackendSlow if not in time.
        """
        timeout = aiohttp.ClientTimeout(total=self._deadline, sock_connect=CONNECT_DEADLINE)
        try:
            async with self._session.request(
                method,
                self.url + path,
                params=params,
                headers=headers,
                json=json,
                timeout=timeout,
            ) as response:
                body = await response.read()
                fields = {key.lower(): value for key, value in response.headers.items()}
                return Answer(self.name, response.status, fields, body)
        except aiohttp.ConnectionTimeoutError:
            raise BackendAway(self.name, self.url, "no connection") from None
        except TimeoutError:
            raise BackendSlow(self.name, self.url, f"no answer in {self._deadline:g} s") from None
        except aiohttp.ClientConnectorError as error:
            raise BackendAway(self.name, self.url, _why(error)) from None
        except aiohttp.ClientError as error:
            raise BackendAway(self.name, self.url, type(error).__name__) from None

    async def get(self, path: str, kind: type[T], *, params: Params | None = None) -> T:
        """Return the body of a 200 as `kind`; BackendRefused for any other status."""
        answer = await self.call("GET", path, params=params)
        return answer.expect(200).decode(kind)


def _why(error: aiohttp.ClientConnectorError) -> str:
    return os.strerror(error.errno) if error.errno else type(error).__name__
