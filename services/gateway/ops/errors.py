"""The page of errors: those that are the same in one row, the newest first."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from services.gateway.ops.markup import Markup, element
from services.gateway.ops.page import notice, page
from weft.backends.logql import label
from weft.backends.loki import LogLine
from weft.telemetry.fingerprint import ATTRIBUTE

WINDOW: Final = 86_400.0
"""Seconds back from now."""
MOST_GROUPS: Final = 200
MOST_TEXT: Final = 300
_DEAD: Final = "message is dead"
_COLUMNS: Final = ("Error", "Times", "Dead letters", "First seen (UTC)", "Last seen (UTC)", "Trace")


class Group(msgspec.Struct, kw_only=True):
    """Errors with one fingerprint. `text`, `said` and `trace_id` are the newest one's.

    `count` is of log records that tell of such an error, `dead` of dead letters that it left:
    `weft dead-letters show FINGERPRINT` has them.
    """

    fingerprint: str
    error_type: str
    text: str
    said: str
    services: list[str]
    count: int
    dead: int
    first: datetime
    last: datetime
    trace_id: str


def grouped(lines: Sequence[LogLine]) -> list[Group]:
    """Return the groups of records that are in the order of their time, the newest first."""
    found: dict[str, Group] = {}
    for line in lines:
        fingerprint = line.facts.get(label(ATTRIBUTE), "")
        group = found.get(fingerprint)
        if group is None:
            group = found[fingerprint] = _begun(fingerprint, line)
        _add(group, line)
    return sorted(found.values(), key=lambda group: group.last, reverse=True)[:MOST_GROUPS]


def errors_page(groups: Sequence[Group], *, cut: bool, subject: str) -> bytes:
    """Return the page; `cut` says that there were more records than were read."""
    head = element("tr", *(element("th", name, scope="col") for name in _COLUMNS))
    body = element("tbody", *map(_row, groups))
    return page(
        "Errors of the last 24 hours",
        notice("There are more records than were read: only the newest count.") if cut else None,
        element("table", element("thead", head), body, class_="orders errors")
        if groups
        else element("p", "There are none."),
        subject=subject,
    )


def _begun(fingerprint: str, line: LogLine) -> Group:
    at = datetime.fromtimestamp(line.at, UTC)
    return Group(
        fingerprint=fingerprint,
        error_type="",
        text="",
        said="",
        services=[],
        count=0,
        dead=0,
        first=at,
        last=at,
        trace_id="",
    )


def _add(group: Group, line: LogLine) -> None:
    if line.service not in group.services:
        group.services.append(line.service)
    group.last = datetime.fromtimestamp(line.at, UTC)
    group.trace_id = line.trace_id or group.trace_id
    if line.message == _DEAD:
        group.dead += 1
        return
    group.count += 1
    group.said = line.headline[:MOST_TEXT]
    group.error_type = line.facts.get("exception_type") or line.facts.get("error_type", "")
    group.text = line.facts.get("exception_message", "")[:MOST_TEXT]


def _row(group: Group) -> Markup:
    trace = None
    if group.trace_id:
        trace = element("a", group.trace_id[:8], href=f"/ops/traces/{group.trace_id}")
    what = element(
        "td",
        element("b", group.error_type or "error"),
        element("span", f" {group.text}", class_="message") if group.text else None,
        element("p", f"{', '.join(group.services)}: {group.said}", class_="more"),
        element("code", group.fingerprint),
    )
    cells = (str(group.count), str(group.dead or "-"), _moment(group.first), _moment(group.last))
    return element("tr", what, *(element("td", cell) for cell in (*cells, trace)))


def _moment(at: datetime) -> Markup:
    whole = at.isoformat(timespec="milliseconds")
    return element("time", at.strftime("%Y-%m-%d %H:%M:%S"), datetime=whole, title=whole)
