"""What all channels share: what is configured of each, and what a failure is."""

from string import Template
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from services.notifier.domain import SEVERITIES, Notice, Severity, fields
from weft.errors import WeftError

TITLE: Final = "$title"
LINE: Final = "$status: $summary\n$description\nrunbook: $runbook\ndashboard: $dashboard"
SECONDS: Final = 10.0
"""For one attempt."""


class Undelivered(WeftError):
    """A channel did not take a message. The text says why, without addresses and secrets."""


class ChannelSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"
):
    """A channel: its name, and which messages it takes. It shows no secret of itself.

    `title` and `line` (one for each alert) are templates: $alertname, $severity, $status, $summary,
    $description, $runbook, $dashboard, $count, and every label and annotation.
    """

    name: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,40}$")]
    severities: tuple[Severity, ...] = SEVERITIES
    title: str = TITLE
    line: str = LINE

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name})"

    def wants(self, notice: Notice) -> bool:
        """Whether the channel takes messages as bad as this one."""
        return notice.severity in self.severities

    def heading(self, notice: Notice) -> str:
        """Return the message's title, one line."""
        return " ".join(Template(self.title).safe_substitute(fields(notice)).split())

    def lines(self, notice: Notice) -> list[str]:
        """Return a text for each alert."""
        template = Template(self.line)
        return [template.safe_substitute(fields(notice, alert)).strip() for alert in notice.alerts]
