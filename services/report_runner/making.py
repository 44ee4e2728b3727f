"""Making a report: extract, transform, load."""

import asyncio
import io
import tempfile
from collections.abc import Callable
from concurrent.futures import Executor
from typing import IO, Any, Final, TypeVar

import msgspec
import polars as pl

from services.report_runner import transform
from services.report_runner.requestor import Claim
from services.report_runner.sales import Sales
from weft.artifacts import Artifacts
from weft.errors import WeftError
from weft.flags.faults import delay
from weft.telemetry import record

_EXTRACTED: Final = 70
_TRANSFORMED: Final = 85
_LOADED: Final = 99
T = TypeVar("T")

Tell = Callable[[str, int], None]
"""Takes the stage and the percentage, at any time."""


class CannotBeMade(WeftError):
    """The report will not come out otherwise, however often it is tried; `reason` is a word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A finished report: its artifact's name, size in bytes, and rows."""

    artifact: str
    rows: int
    bytes: int


class Maker:
    """Makes reports; CPU work runs in `threads`, so that the event loop is not held up."""

    def __init__(self, sales: Sales, artifacts: Artifacts, threads: Executor) -> None:
        self._sales = sales
        self._artifacts = artifacts
        self._threads = threads

    async def make(self, claim: Claim, tell: Tell) -> Made:
        """Make a report. Raises CannotBeMade, Unavailable."""
        await delay("slow-reports")
        tell("extract", 0)
        with record.internal("extract"):
            sums = await self._sales.sums(
                claim.first, claim.end, lambda share: tell("extract", int(share * _EXTRACTED))
            )
        if sums.is_empty() and not claim.synthetic:
            raise CannotBeMade("no_sales")
        tell("transform", _EXTRACTED)
        with tempfile.TemporaryFile() as file:
            with record.internal("transform"):
                rows = await self._in_thread(_written, sums, claim, file)
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            tell("load", _TRANSFORMED)
            # The fence is part of the name: who has lost the report cannot overwrite what counts.
            name = f"{claim.report_id}/{claim.fence}.{claim.format}"
            await self._artifacts.put(name, file)
        tell("load", _LOADED)
        return Made(artifact=name, rows=rows, bytes=size)

    async def _in_thread(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)


def _written(sums: pl.DataFrame, claim: Claim, file: IO[bytes]) -> int:
    """Write the report, and return its rows: in one go, so that there are no more tables at once
    than there are threads."""
    try:
        table = transform.report(sums, claim.first, claim.end)
    except transform.TooLargeError:
        raise CannotBeMade("too_large") from None
    transform.write(table, claim.format, file)
    return table.height
