"""What report_runner hears: a report is there to be made. Its row in reports says the rest."""

from collections.abc import Awaitable, Callable
from typing import ClassVar, Final, Literal

from services.report_runner.requestor import Requestor
from services.report_runner.workers import Workers
from weft.errors import Unavailable
from weft.ids import uuid7
from weft.messaging import COMMANDS, Command, Incoming, QueueSpec, decode

MAX_PRIORITY: Final = 10


class RunReport(Command, frozen=True, kw_only=True):
    """Said by reports, with the report's priority. Said again where nobody makes the report."""

    message_type: ClassVar[str] = "RunReport"
    report_id: str


QUEUE: Final = QueueSpec(
    name="report_runner.requests",
    bindings=((COMMANDS, RunReport.message_type),),
    kind="priority",
    max_priority=MAX_PRIORITY,
)


def handler(
    requestor: Requestor, workers: Workers
) -> Callable[[Incoming], Awaitable[Literal["processed", "duplicate"]]]:
    """Return what claims a report and gives it to a free worker: that is all a message is for.

    One that somebody else has, or that has ended, is a "duplicate". One message at a time.
    """

    async def handle(incoming: Incoming) -> Literal["processed", "duplicate"]:
        report_id = decode(RunReport, incoming.version, incoming.body).report_id
        if not workers.free:
            raise Unavailable("workers", "none is free")
        claim = await requestor.claim(report_id, uuid7())
        if claim is None:
            return "duplicate"
        workers.give(claim)
        return "processed"

    return handle
