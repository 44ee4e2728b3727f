"""OpenTelemetry's semantic conventions, as its package for Python has them."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec
from opentelemetry import semconv

_UNIT: Final = re.compile(r"^Unit: (\S+)$", re.MULTILINE)
_INSTRUMENT: Final = re.compile(r"^Instrument: (\S+)$", re.MULTILINE)
_NAME: Final = re.compile(r"`([a-z_.]+)`")
_DEPRECATED: Final = "Deprecated"


class Convention(msgspec.Struct, frozen=True):
    """An attribute or a metric. `unit` and `instrument` are a metric's, "" where it does not say.

    `instead` are the names that a deprecated one was replaced by, where it says so.
    """

    name: str
    deprecated: bool
    instead: tuple[str, ...]
    unit: str
    instrument: str


@cache
def attributes() -> dict[str, Convention]:
    """Return the attributes by name, deprecated ones too."""
    return _all("attributes")


@cache
def metrics() -> dict[str, Convention]:
    """Return the metrics by name, deprecated ones too."""
    return _all("metrics")


def _all(kind: str) -> dict[str, Convention]:
    """What is stable counts before what is still being developed."""
    [top] = semconv.__path__
    files = [*Path(top, "_incubating", kind).glob("*.py"), *Path(top, kind).glob("*.py")]
    return {found.name: found for path in files for found in _constants(path)}


def _constants(path: Path) -> Iterator[Convention]:
    """The texts below the constants are no docstrings that a program could ask for."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    for made, text in pairwise(body):
        match made, text:
            case (
                ast.AnnAssign(value=ast.Constant(value=str(name))),
                ast.Expr(value=ast.Constant(value=str(told))),
            ):
                unit, instrument = _UNIT.search(told), _INSTRUMENT.search(told)
                yield Convention(
                    name,
                    told.strip().startswith(_DEPRECATED),
                    tuple(_NAME.findall(told.strip().partition("\n")[0])),
                    unit[1] if unit else "",
                    instrument[1] if instrument else "",
                )
