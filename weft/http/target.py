"""The target of a request: a path template, its values, a query."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

_NAME = re.compile(r"\{(\w+)(?:\.\.\.)?\}")

Query = str | Mapping[str, str | int | float | Sequence[str] | None]


def target_of(template: str, values: Mapping[str, Any] | None, query: Query | None) -> str:
    """Return path and query, escaped. A str is a query as it is; values of None are left out.

    Raise KeyError for a value that is missing, ValueError for one that would lead elsewhere.
    """
    path = _NAME.sub(lambda name: _segment((values or {})[name[1]], name[0]), template)
    text = query if isinstance(query, str) else _encoded(query or {})
    return f"{path}?{text}" if text else path


def _segment(value: Any, name: str) -> str:
    text = str(value)
    if text in ("", ".", ".."):
        raise ValueError(f"{text!r} cannot be a segment of a path")
    return quote(text, safe="/" if name.endswith("...}") else "")


def _encoded(query: Mapping[str, Any]) -> str:
    return urlencode({name: v for name, v in query.items() if v is not None}, doseq=True)
