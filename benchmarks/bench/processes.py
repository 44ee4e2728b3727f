"""Subjects and drivers as the bench sees them: processes that are started, asked and ended."""

import asyncio
import contextlib
import json
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final

from benchmarks.bench.subject import PLACE, Place

ROOT: Final = Path(__file__).resolve().parents[2]
READY_SECONDS: Final = 900.0
"""What a subject may take to set up."""
_ANSWER_SECONDS: Final = 20.0
_FINISH_SECONDS: Final = 60.0
_LAST_BYTES: Final = 4000


class SubjectError(Exception):
    """A process under test ended or did not answer: with the end of what it wrote."""


class Subject:
    """A running subject. `address` is where it listens, if it does."""

    def __init__(self, process: asyncio.subprocess.Process, name: str, errors: IO[bytes]) -> None:
        self._process = process
        self._name = name
        self._errors = errors
        self.address = ""

    async def ready(self) -> None:
        """Wait until it has set up."""
        self.address = (await self._answer(READY_SECONDS))["ready"]

    async def begin(self) -> None:
        """Measure from now on."""
        await self._ask(b"begin\n")

    async def end(self) -> dict[str, Any]:
        """Return what was measured since `begin`."""
        return await self._ask(b"end\n")

    async def finish(self) -> None:
        """Let it check what was done, after `end`. Raises SubjectError if that was wrong."""
        await self._ask(b"finish\n", _FINISH_SECONDS)

    async def stop(self) -> None:
        """Let it end; kill it if it does not."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _ANSWER_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _ask(self, command: bytes, seconds: float = _ANSWER_SECONDS) -> dict[str, Any]:
        assert self._process.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(command)
            await self._process.stdin.drain()
        return await self._answer(seconds)

    async def _answer(self, seconds: float) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), seconds)
        except TimeoutError:
            raise SubjectError(f"{self._name}: no answer within {seconds:g} s") from None
        if not line:
            raise SubjectError(f"{self._name} has ended:\n{self._written()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _written(self) -> str:
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - _LAST_BYTES))
        return self._errors.read().decode(errors="replace")


@asynccontextmanager
async def subject(
    function: str, place: Place, environment: Mapping[str, str], python: Path
) -> AsyncIterator[Subject]:
    """Start `function` in a process of its own and wait until it is ready; end it after."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("WEFT_", "OTEL_"))}
    own = {PLACE: json.dumps(asdict(place)), "PYTHONUNBUFFERED": "1", **environment}
    with tempfile.TemporaryFile() as errors:
        process = await asyncio.create_subprocess_exec(
            python,
            *("-m", "benchmarks.bench.subject", function),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            cwd=ROOT,
            env=inherited | own,
        )
        started = Subject(process, function, errors)
        try:
            await started.ready()
            yield started
        finally:
            await started.stop()
