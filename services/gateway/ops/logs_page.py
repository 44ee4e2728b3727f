"""The page of one trace's log lines, oldest first."""

from typing import Any, Final

from services.gateway.ops.markup import element
from services.gateway.ops.page import notice, page
from services.gateway.ops.trace_page import log_row
from services.gateway.ops.waterfall import LineRow
from weft.backends.loki import LogLine
from weft.backends.nodes import line_json
from weft.backends.trace import Trace

MOST_LINES: Final = 2000
"""Lines of a page; a program is given all."""


def logs_page(trace: Trace, lines: list[LogLine], missing: str, subject: str) -> bytes:
    """Return the page; `missing` says why there are no lines, "" if there are."""
    shown, services = lines[:MOST_LINES], {line.service for line in lines}
    back = element("a", "The trace", href=f"/ops/traces/{trace.trace_id}")
    rows = (log_row(LineRow(0, line, None), trace.start) for line in shown)
    return page(
        f"Logs of {trace.root.name}",
        element("p", back, f": {len(lines)} lines of {len(services)} services"),
        notice(f"Log lines are missing: {missing}") if missing else None,
        element("ol", *rows, class_="waterfall", role="list"),
        notice(f"Only the first {MOST_LINES} are shown.") if len(shown) < len(lines) else None,
        subject=subject,
    )


def logs_plain(trace: Trace, lines: list[LogLine], missing: str) -> dict[str, Any]:
    """Return the lines for a program."""
    return {
        "trace_id": trace.trace_id,
        "lines": [line_json(line) for line in lines],
        "logs_missing": missing or None,
    }
