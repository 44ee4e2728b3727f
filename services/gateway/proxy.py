"""Handing a request on to the service behind the gateway, within its caller's limits."""

import math
from collections.abc import Awaitable, Callable

from services.gateway.callers import Passport
from services.gateway.limiter import Limiter
from weft.http import HttpClient, Problem, Reply, Request, forward
from weft.telemetry import counter

_refusals = counter("weft.rate_limit.refusals", "{request}", "Requests that were answered 429.")

Handler = Callable[[Request], Awaitable[Reply[bytes]]]


class Proxy:
    """Makes handlers that hand requests on."""

    def __init__(self, passport: Passport, limiter: Limiter) -> None:
        self._passport = passport
        self._limiter = limiter

    def to(self, service: HttpClient, template: str) -> Handler:
        """Return a handler for requests of `template`. Raises Problem 429, Unavailable (503)."""

        async def hand_on(request: Request) -> Reply[bytes]:
            await self.admit(request.subject)
            bearer = self._passport.of(request.headers, request.identity)
            headers = {"Authorization": bearer} if bearer else {}
            return await forward(request, service, template, headers=headers)

        return hand_on

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
