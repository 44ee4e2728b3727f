"""Low-cardinality summaries of SQL statements (semantic conventions, db.query.summary)."""

import re
from functools import lru_cache
from typing import NamedTuple

TEXT_LIMIT = 2000
_OPERATIONS = (
    "SELECT|INSERT|UPDATE|DELETE|MERGE|TRUNCATE|COPY|BEGIN|COMMIT|ROLLBACK|LISTEN|NOTIFY"
    "|CREATE|ALTER|DROP|SET"
)
_WORDS = re.compile(
    rf"\b(?:(?<!FOR )(?<!KEY )(?P<operation>{_OPERATIONS})\b"
    r"|(?:FROM|INTO|JOIN|TABLE)\s+(?:ONLY\s+)?(?P<table>[a-z_][\w.]*))",
    re.IGNORECASE,
)
_UPDATE = re.compile(r"\bUPDATE\s+(?:ONLY\s+)?([a-z_][\w.]*)", re.IGNORECASE)
_CTE = re.compile(r"\b([a-z_]\w*)\s+AS\s+(?:NOT\s+)?(?:MATERIALIZED\s+)?\(", re.IGNORECASE)
_NOISE = re.compile(r"--[^\n]*|'(?:[^']|'')*'")
_SPACE = re.compile(r"\s+")
_NUMBERED = re.compile(r"\d{4,}")
"""Part of the name of one table of many, such as a day's partition."""
SUMMARY_LIMIT = 120


class Summary(NamedTuple):
    """What a span and a metric say of a statement."""

    text: str
    """Such as `INSERT orders` or, for several, `UPDATE streams INSERT events`."""
    operation: str | None
    collection: str | None
    statement: str
    """The parametrised statement itself, bounded; values are never in it."""


@lru_cache(maxsize=1024)
def summary_of(statement: str) -> Summary:
    """Return the summary of a parametrised `statement`."""
    text = _NOISE.sub("?", statement)
    aliases = {name.lower() for name in _CTE.findall(text)} if "WITH" in text.upper() else set()
    words = _pairs(_NUMBERED.sub("N", text), aliases)
    tables = [table for _, table in words if table]
    operations = [operation for operation, _ in words]
    summary = " ".join(f"{operation} {table}" if table else operation for operation, table in words)
    return Summary(
        summary[:SUMMARY_LIMIT] or "SQL",
        operations[0] if len(set(operations)) == 1 else None,
        tables[0] if len(set(tables)) == 1 else None,
        _SPACE.sub(" ", statement).strip()[:TEXT_LIMIT],
    )


def _pairs(text: str, aliases: set[str]) -> list[tuple[str, str]]:
    """The operations of `text` in order, each with its first table; common table names left out."""
    pairs: list[tuple[str, str]] = []
    for match in _WORDS.finditer(text):
        operation = (match["operation"] or "").upper()
        table = match["table"] or ""
        if operation == "UPDATE":
            target = _UPDATE.match(text, match.start())
            if target and target[1].upper() != "SET":
                pairs.append((operation, target[1]))
        elif operation:
            if operation != "SET" or not pairs:
                pairs.append((operation, ""))
        elif pairs and not pairs[-1][1] and table.lower() not in aliases:
            pairs[-1] = (pairs[-1][0], table)
    if aliases:
        named = [pair for pair in pairs if pair[1]]
        pairs = named or pairs
    return list(dict.fromkeys(pairs))
