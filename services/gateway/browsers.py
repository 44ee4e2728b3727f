"""Takes the browsers' spans and hands them to the collector, as what they are: those of `web`."""

from importlib.metadata import version
from typing import Final

import aiohttp
import msgspec
from opentelemetry.sdk.resources import OTELResourceDetector

from services.gateway.limiter import Limiter
from services.gateway.proxy import admit
from services.gateway.spans import Export, Names, exported
from weft.errors import Unavailable
from weft.http import Reply, Request, Routes
from weft.http.body import check_content_type, decode
from weft.telemetry import counter

SERVICE: Final = "web"
"""The service.name of every browser; none of them has a say in it."""
RATE: Final = 2.0
"""Requests a second of each user: a page sends one each half second while something happens."""
BURST: Final = 30
DEADLINE: Final = 5.0
"""Seconds for the collector's answer."""
_OK: Final = 200

_decoder = msgspec.json.Decoder(Export)
_spans = counter("weft.browser.spans", "{span}", "Spans of browsers that the collector has taken.")


class Browsers:
    """Component. `collector` is the base URL of OTLP over HTTP."""

    name = "browsers' telemetry"

    def __init__(self, collector: str, limiter: Limiter) -> None:
        self._url = f"{collector.rstrip('/')}/v1/traces"
        self._limiter = limiter
        self._names = Names()
        self._session: aiohttp.ClientSession | None = None
        given = OTELResourceDetector().detect().attributes
        shared = ("service.namespace", "deployment.environment.name")
        self._resource = {"service.name": SERVICE, "service.version": version("weft")}
        self._resource |= {key: str(given[key]) for key in shared if key in given}

    async def start(self) -> None:
        """Make the pool of connections; the collector is not waited for."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=8),
            timeout=aiohttp.ClientTimeout(total=DEADLINE),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def check(self) -> None:
        """Say nothing against the collector being away: the shop goes on without."""

    async def stop(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def routes(self) -> Routes:
        """Return OTLP's own path, which makes no telemetry of its own while it succeeds."""
        serve = Routes()
        serve.raw("POST", "/v1/traces", self._take, quiet=True, listed=False)
        return serve

    async def _take(self, request: Request) -> Reply[bytes]:
        await admit(self._limiter, request.subject)
        check_content_type(request.headers.get("content-type"))
        spans = decode(_decoder, await request.read()).spans()
        if spans:
            told = exported(spans, self._names, subject=request.subject, resource=self._resource)
            await self._hand_on(told)
            _spans.add(len(spans))
        return Reply(b"{}")

    async def _hand_on(self, told: bytes) -> None:
        if self._session is None:
            raise RuntimeError("the browsers' telemetry was not started")
        headers = {"Content-Type": "application/json"}
        try:
            async with self._session.post(self._url, data=told, headers=headers) as answer:
                if answer.status != _OK:
                    raise Unavailable("otel-collector", f"it answered {answer.status}")
        except (TimeoutError, aiohttp.ClientError) as error:
            raise Unavailable("otel-collector", type(error).__name__) from None
