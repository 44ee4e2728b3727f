"""The job, and the server that keeps everybody waiting: a program, run by `slow_server`."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, cast

import uvloop

from benchmarks.bench.processes import ROOT

WORKERS: Final = 10_000
WAIT: Final = 1.0
"""Seconds until an answer."""
RENEW: Final = 0.4
"""Seconds between two renewals of a lease."""
DEADLINE: Final = 30.0
_END_SECONDS: Final = 10.0


class _Slow(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are of no such class
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        for _ in data:
            self._loop.call_later(WAIT, self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"!")


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Slow, "127.0.0.1", 0, backlog=WORKERS)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - who started us reads it
    await server.serve_forever()


@asynccontextmanager
async def slow_server() -> AsyncIterator[int]:
    """Answer each byte after a second; gives the port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.bench.waiting.job", cwd=ROOT, stdout=PIPE
    )
    try:
        yield int(await _line(process))
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), _END_SECONDS)


async def _line(process: Process) -> bytes:
    if process.stdout is None:
        raise RuntimeError("the server has no output")
    return await process.stdout.readline()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve())
