"""Making a report: extract, transform, load."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Final, TypeVar

import msgspec
import polars as pl

from services.report_runner import transform
from services.report_runner.requestor import Claim
from services.report_runner.sales import Sales
from weft.artifacts import Artifacts
from weft.errors import WeftError
from weft.flags.faults import delay
from weft.telemetry import record

MAX_BYTES: Final = 30 << 20
"""Bytes of an artifact: what the gateway hands on at once is a little more."""
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
        if sums.is_empty():
            raise CannotBeMade("no_sales")
        tell("transform", _EXTRACTED)
        with record.internal("transform"):
            table = await self._in_thread(self._report, sums, claim)
            data = await self._in_thread(transform.encoded, table, claim.format)
        if len(data) > MAX_BYTES:
            raise CannotBeMade("too_large")
        tell("load", _TRANSFORMED)
        # The fence is part of the name: who has lost the report cannot overwrite what counts.
        name = f"{claim.report_id}/{claim.fence}.{claim.format}"
        await self._artifacts.put(name, data)
        tell("load", _LOADED)
        return Made(artifact=name, rows=table.height, bytes=len(data))

    @staticmethod
    def _report(sums: pl.DataFrame, claim: Claim) -> pl.DataFrame:
        try:
            return transform.report(sums, claim.first, claim.end)
        except transform.TooLargeError:
            raise CannotBeMade("too_large") from None

    async def _in_thread(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)
