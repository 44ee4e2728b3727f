"""LogQL for records that came by OTLP: a constant message as line, facts as structured metadata.

Dots in names of facts are underscores in Loki.
"""

import re

import msgspec

LEVELS = {"debug": 5, "info": 9, "warning": 13, "error": 17}
"""The smallest OpenTelemetry severity number of each level."""

_DETECTED = {
    "debug": "debug|info|warn|error|critical|fatal",
    "info": "info|warn|error|critical|fatal",
    "warning": "warn|error|critical|fatal",
    "error": "error|critical|fatal",
}

MESSAGE = "weft_message"
"""The label that keeps the record's own line while the text is matched."""

_BOOKKEEPING = (
    "detected_level",
    "flags",
    "observed_timestamp",
    "scope_name",
    "scope_version",
    "service_namespace",
    "service_version",
    "severity_number",
    "deployment_environment_name",
    MESSAGE,
)


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What log records to look for; every condition that is given has to hold."""

    text: str = ""
    """Part of the message, of a fact's value or of `name=value`, in any case."""
    service: str | None = None
    level: str | None = None
    """One of LEVELS: this level and those above it."""
    facts: dict[str, str] = {}
    """Dotted or underscored name to value."""
    either: dict[str, str] = {}
    """The same, but one of them is enough."""
    having: tuple[str, ...] = ()
    """Names of facts that are there, with whatever value."""
    without: tuple[str, ...] = ()
    """Names of facts that are not asked for, such as stack traces."""
    not_routes: tuple[str, ...] = ()
    trace_id: str | None = None

    def logql(self) -> str:
        """Return the query, with the cheap conditions before the search for text."""
        stages: list[str] = []
        if self.trace_id:
            stages.append(f"| trace_id={quote(self.trace_id)}")
        if self.level:
            number, names = LEVELS[self.level], _DETECTED[self.level]
            stages.append(f"| (severity_number>={number} or detected_level=~{quote(names)})")
        stages += [f"| {equal}" for equal in _equal(self.facts)]
        if self.either:
            stages.append("| " + " or ".join(_equal(self.either)))
        stages += [f'| {label(name)}!=""' for name in self.having]
        stages += [f"| http_route!={quote(route)}" for route in self.not_routes]
        if self.text:
            stages += _search(self.text)
        if self.without:
            stages.append(f"| drop {', '.join(map(label, self.without))}")
        return " ".join([self._selector(), *stages])

    def _selector(self) -> str:
        matcher = f"={quote(self.service)}" if self.service else '=~".+"'
        return f"{{service_name{matcher}}}"


def quote(text: str) -> str:
    """Return `text` as a LogQL string literal; nothing in it can end the literal."""
    return msgspec.json.encode(text).decode()


def label(name: str) -> str:
    """Return the name that Loki gives to an attribute."""
    safe = re.sub(r"[^a-zA-Z0-9_]", "_", name)
    return f"_{safe}" if safe[:1].isdigit() else safe


def _equal(facts: dict[str, str]) -> list[str]:
    return [f"{label(name)}={quote(value)}" for name, value in facts.items()]


def _search(text: str) -> list[str]:
    """Line filters see the line alone, so the facts are written behind it, and taken away again."""
    wanted = " ".join(f"(ne $k `{name}`)" for name in _BOOKKEEPING)
    facts = "{{range $k, $v := .}}{{if and " + wanted + "}} {{$k}}={{$v}}{{end}}{{end}}"
    return [
        f"| label_format {MESSAGE}={quote('{{__line__}}')}",
        f"| line_format {quote('{{__line__}}' + facts)}",
        f"|~ {quote('(?i)' + re.escape(text))}",
        f"| line_format {quote('{{.' + MESSAGE + '}}')}",
    ]
