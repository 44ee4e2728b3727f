"""What reports says of reports: the command that has one made, and how each ended."""

from typing import ClassVar, Final

import msgspec

from services.reports.domain import End
from weft.messaging import Command, Event


class RunReport(Command, frozen=True, kw_only=True):
    """Hands out work; sent with the report's priority. Its row says everything else."""

    message_type: ClassVar[str] = "RunReport"
    report_id: str


class Result(msgspec.Struct, frozen=True):
    """Rows, and size in bytes."""

    rows: int
    bytes: int


class ReportEnded(Event, frozen=True, kw_only=True):
    """Base of how a report ended."""

    report_id: str
    subject: str
    reason: str | None = None
    result: Result | None = None


class ReportFinished(ReportEnded, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "report.finished"


class ReportFailed(ReportEnded, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "report.failed"


class ReportExpired(ReportEnded, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "report.expired"


class ReportCancelled(ReportEnded, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "report.cancelled"


ENDS: Final[dict[End, type[ReportEnded]]] = {
    "finished": ReportFinished,
    "failed": ReportFailed,
    "expired": ReportExpired,
    "cancelled": ReportCancelled,
}
