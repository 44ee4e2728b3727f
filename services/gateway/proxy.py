"""Handing a request on to the service behind the gateway, within its caller's limits."""

import math
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from services.gateway.callers import Passport
from services.gateway.limiter import Limiter
from weft.http import HttpClient, Problem, Reply, Request, Stream, forward, forward_stream
from weft.telemetry import counter

_refusals = counter("weft.rate_limit.refusals", "{request}", "Requests that were answered 429.")

Handler = Callable[[Request], Awaitable[Reply[bytes]]]
Streaming = Callable[[Request], Awaitable[Reply[Stream]]]

DOWNLOADS_PER_USER: Final = 4
"""Downloads that one user may have under way at this instance."""
DOWNLOADS: Final = 150
"""And those of all users: so many connections are there for them."""


class Proxy:
    """Makes handlers that hand requests on."""

    def __init__(self, passport: Passport, limiter: Limiter) -> None:
        self._passport = passport
        self._limiter = limiter
        self._downloads: Counter[str] = Counter()

    def to(self, service: HttpClient, template: str) -> Handler:
        """Return a handler for requests of `template`. Raises Problem 429, Unavailable (503)."""

        async def hand_on(request: Request) -> Reply[bytes]:
            await self.admit(request.subject)
            return await forward(request, service, template, headers=self._signed(request))

        return hand_on

    def download(self, service: HttpClient, template: str) -> Streaming:
        """Return a handler whose answers are handed on as they come. Raises as that of `to`."""

        async def hand_on(request: Request) -> Reply[Stream]:
            await self.admit(request.subject)
            leave = self._enter(request.subject)
            try:
                reply = await forward_stream(
                    request, service, template, headers=self._signed(request)
                )
            except BaseException:
                leave()
                raise
            if isinstance(reply.body, Stream):
                reply.body.on_close(leave)
            return reply

        return hand_on

    def _signed(self, request: Request) -> dict[str, str]:
        bearer = self._passport.of(request.headers, request.identity)
        return {"Authorization": bearer} if bearer else {}

    def _enter(self, subject: str) -> Callable[[], None]:
        """Count a download of `subject` in; return what counts it out. Raises Problem 429, 503."""
        if self._downloads[subject] >= DOWNLOADS_PER_USER:
            detail = f"At most {DOWNLOADS_PER_USER} downloads at once."
            raise Problem(429, detail=detail, headers={"Retry-After": "5"})
        if self._downloads.total() >= DOWNLOADS:
            detail = "There are too many downloads at this moment."
            raise Problem(503, detail=detail, headers={"Retry-After": "5"})
        self._downloads[subject] += 1

        def leave() -> None:
            self._downloads[subject] -= 1
            if not self._downloads[subject]:
                del self._downloads[subject]

        return leave

    async def admit(self, subject: str) -> None:
        """Count a request of `subject`; raise Problem 429 if it is one too many."""
        await admit(self._limiter, subject)


async def admit(limiter: Limiter, subject: str) -> None:
    """Count a request of `subject` with `limiter`; raise Problem 429 if it is one too many."""
    wait = await limiter.take(subject)
    if wait > 0.0:
        _refusals.add(1)
        headers = {"Retry-After": str(max(1, math.ceil(wait)))}
        raise Problem(429, detail="You ask more often than you may.", headers=headers)
