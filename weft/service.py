"""The lifecycle of a service: start in order, ready when all answer, drain on SIGTERM."""

import asyncio
import contextlib
import gc
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, NoReturn, TypeVar

import uvloop

from weft import health
from weft.background import Background
from weft.component import Component
from weft.event_loop import EventLoop
from weft.http import Authentication, HttpServer, Routes, specification
from weft.settings import ServiceSettings, SettingsError
from weft.telemetry import get_logger
from weft.telemetry.console import Console
from weft.telemetry.options import TelemetryOptions
from weft.telemetry.setup import Telemetry

if TYPE_CHECKING:
    from weft.messaging import Broker, QueueSpec
    from weft.postgres import Database, Handlers, Schema

FLUSH_SECONDS = 3.0
"""What the last telemetry may take after the drain, collector or no collector."""

SHARE = 0.5
"""Of the drain's remaining time, what one component may take: the next ones need some too."""

log = get_logger(__name__)
Part = TypeVar("Part", bound=Component)
Config = TypeVar("Config", bound=ServiceSettings)


class Service:
    """A named set of components that start in the order of adding and stop in reverse."""

    def __init__(self, name: str, settings: ServiceSettings, *, version: str) -> None:
        self.name = name
        self.settings = settings
        self.version = version
        self._components: list[Component] = []
        self._server: HttpServer | None = None
        if settings.flags is not None:
            from weft.flags.watch import Flags  # noqa: PLC0415 - a program without flags does without

            self.add(Flags(name, settings.flags, allow_faults=settings.faults))

    def add(self, component: Part) -> Part:
        """Add a component and return it."""
        self._components.append(component)
        return component

    def database(self, schema: "Schema | None" = None) -> "Database":
        """Add the database at WEFT_DATABASE_URL, brought to `schema`. Raises SettingsError."""
        from weft import wiring  # noqa: PLC0415 - not every service has a database

        return self.add(wiring.database(self.settings, schema))

    def messages(
        self,
        db: "Database",
        handlers: "Handlers",
        *,
        concurrency: int = 16,
        further: Sequence["QueueSpec"] = (),
        fanouts: Sequence[str] = (),
    ) -> "Broker":
        """Add what sends and handles messages, over the broker at WEFT_BROKER_URL.

        The relay publishes what is in the outbox of `db`. Commands that have one of `handlers` come
        by the queue SERVICE.commands, events by SERVICE.events: each message is handled exactly
        once, in a transaction of `db`, with `concurrency` of a queue in hand at most. `further`
        queues and `fanouts` (SERVICE.NAME) are declared, for who consumes from them by the broker
        that this returns. Raises SettingsError.
        """
        from weft import wiring  # noqa: PLC0415 - not every service has messages

        broker, parts = wiring.messages(
            self.name,
            self.settings,
            db,
            handlers,
            concurrency=concurrency,
            further=further,
            fanouts=fanouts,
        )
        for part in parts:
            self.add(part)
        return broker

    def background(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` while the service runs; begin it anew, with back-off, when it raises."""
        self.add(Background(name, work))

    def serve(
        self,
        routes: Routes,
        *,
        auth: Authentication | None = None,
        edge: bool = False,
        reuse_port: bool = False,
    ) -> None:
        """Serve `routes`, and beside them /healthz, /readyz, /metrics and /openapi.json."""
        if not any(route.path == "/openapi.json" for route in routes):
            routes.include(specification(routes, title=self.name, version=self.version))
        self._server = HttpServer(
            self.name,
            [*routes, *health.routes(self.name, self._components)],
            bind=self.settings.bind,
            port=self.settings.port,
            auth=auth,
            edge=edge,
            reuse_port=reuse_port,
            drain_timeout=self.settings.drain_timeout * SHARE,
        )

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT; return the exit code."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        self.add(EventLoop())
        starting = asyncio.create_task(self._start())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        failed = starting.done() and starting.exception() is not None
        if failed:
            log.exception("service cannot start", starting.exception() or RuntimeError())
        else:
            await stopping
        starting.cancel()
        with contextlib.suppress(BaseException):
            await starting
        stopping.cancel()
        await self._stop()
        return 1 if failed else 0

    async def _start(self) -> None:
        began = time.monotonic()
        if self._server is not None:
            await self._server.start()
        for component in self._components:
            await component.start()
        if self._server is not None:
            self._server.open()
        # What exists now lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        took = {"weft.start.duration": time.monotonic() - began}
        log.event("weft.change.start", "service ready", **took)

    async def _stop(self) -> None:
        """Drain within the deadline: what does not end in time is cut off, and said."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + self.settings.drain_timeout
        log.info("service draining")
        last = [self._server] if self._server is not None else []
        for component in [*last, *reversed(self._components)]:
            try:
                async with asyncio.timeout((deadline - clock()) * SHARE):
                    await component.stop()
            except TimeoutError:
                log.warning("component did not drain in time", **{"weft.component": component.name})
            except Exception as error:
                log.exception(
                    "component failed to stop", error, **{"weft.component": component.name}
                )
        log.event("weft.change.stop", "service stopped")


def run(
    build: Callable[[Config], Service],
    settings_type: type[Config],
    *,
    telemetry: TelemetryOptions | None = None,
) -> NoReturn:
    """Load settings, build the service, run it to its end. Exit codes: 0, 1 failed, 2 settings.

    `telemetry` is what the program brings along for it.
    """
    try:
        settings = settings_type.load()
        service = build(settings)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    signals = Telemetry(
        service.name,
        version=service.version,
        instance=settings.instance,
        environment=settings.environment,
        console=Console(settings.console),
        level=settings.log_level,
        engine=settings.telemetry,
        spill=settings.spill_dir,
        options=telemetry or TelemetryOptions(),
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(service.run())
    signals.shutdown(FLUSH_SECONDS)
    sys.exit(code)
