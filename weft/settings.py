"""Typed settings from the environment (12-factor), secrets from files."""

import os
import re
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec

from weft.errors import WeftError

PREFIX = "WEFT_"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")

Duration = Annotated[float, "duration"]
"""Seconds; written as `30s`, `500ms`, `2m`, `1h`, `1d` or a plain number of seconds."""

Addresses = Annotated[tuple[str, ...], "addresses"]
"""Where the instances of a service are: http addresses, with blanks between."""


class SettingsError(WeftError):
    """A setting is missing or wrong. The text is one line and never holds the value of a secret."""


class Secret:
    """A string that does not show itself in logs, errors and representations."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value, for the one place that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


def duration(text: str) -> float:
    """Return the seconds that `text` stands for; ValueError if it is no duration."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    return float(match[1]) * _UNITS[match[2] or "s"]


def addresses(text: str) -> tuple[str, ...]:
    """Return the http addresses in `text`; ValueError if there is none, or anything else."""
    found = tuple(text.split())
    if not found or not all(map(_is_address, found)):
        raise ValueError(text)
    return found


def _is_address(text: str) -> bool:
    parts = urlsplit(text)
    _ = parts.port  # ValueError for one that is none
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Base of typed settings: field `order_deadline` is read from WEFT_ORDER_DEADLINE.

    `WEFT_X_FILE` names a file that holds the value of `WEFT_X` (one trailing newline is dropped).
    """

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read every field from `environ`; SettingsError names the first one that is wrong."""
        hints = get_type_hints(cls, include_extras=True)
        values: dict[str, Any] = {}
        for field in msgspec.structs.fields(cls):
            variable = PREFIX + field.name.upper()
            text = _text(variable, environ)
            if text is not None:
                values[field.name] = _convert(variable, text, hints[field.name])
            elif field.required:
                raise SettingsError(
                    f"{variable} is not set: expected {_expected(hints[field.name])}"
                )
        return cls(**values)


class ServiceSettings(Settings, frozen=True, kw_only=True):
    """What every service of a mesh takes."""

    environment: str = "local"
    """deployment.environment.name"""
    bind: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    """0 takes any free port."""
    instance: Annotated[int, msgspec.Meta(ge=0, le=999)] = 0
    """The number of this instance among those of its service on this machine."""
    database_url: Secret | None = None
    broker_url: Secret | None = None
    jwks: str | None = None
    """Path or http address of the public keys that tokens are checked with."""
    drain_timeout: Duration = 10.0
    console: Literal["auto", "text", "json", "off"] = "auto"
    """How log records are shown on standard error: text on a terminal, else JSON lines."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    telemetry: Literal["fast", "sdk"] = "fast"
    """Which engine makes the signals: the chassis' own, or the plain OpenTelemetry SDK."""
    flags: Path | None = None
    """The file of flags, which is watched; without it no flag is set."""
    faults: bool = False
    """Whether a flag may switch on a fault here: never where customers are served."""
    spill_dir: Path | None = None
    """Where spans and log records wait for the collector; without it in memory."""


def _text(variable: str, environ: Mapping[str, str]) -> str | None:
    file = environ.get(variable + "_FILE")
    if file is None:
        return environ.get(variable)
    if variable in environ:
        raise SettingsError(f"{variable} and {variable}_FILE are both set: expected one of them")
    try:
        return Path(file).read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{variable}_FILE: expected a readable text file: {type(error).__name__}"
        ) from None


def _convert(variable: str, text: str, hint: Any) -> Any:
    expected = _expected(hint)
    kind = _kind(hint)
    try:
        if kind is Secret:
            return Secret(text)
        if kind is Path:
            return Path(text)
        if expected == _DURATION_EXPECTED:
            return duration(text)
        if expected == _ADDRESSES_EXPECTED:
            return addresses(text)
        return msgspec.convert(text, hint, strict=False)
    except (ValueError, msgspec.ValidationError):
        raise SettingsError(f"{variable} is {text[:80]!r}: expected {expected}") from None


def _kind(hint: Any) -> Any:
    """The type behind `X | None` and `Annotated[X, ...]`."""
    if get_origin(hint) in (Union, types.UnionType):
        return _kind(next(arm for arm in get_args(hint) if arm is not type(None)))
    if get_origin(hint) is Annotated:
        return _kind(get_args(hint)[0])
    return hint


_ADDRESSES_EXPECTED = "http addresses, with blanks between"
_DURATION_EXPECTED = "a duration such as 30s, 500ms or 2m"


def _expected(hint: Any) -> str:
    if get_origin(hint) in (Union, types.UnionType):
        return _expected(next(arm for arm in get_args(hint) if arm is not type(None)))
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, get_args(hint)))
    if get_origin(hint) is Annotated:
        base, *extra = get_args(hint)
        if "duration" in extra:
            return _DURATION_EXPECTED
        if "addresses" in extra:
            return _ADDRESSES_EXPECTED
        meta = next((item for item in extra if isinstance(item, msgspec.Meta)), None)
        return _expected(base) + (_bounds(meta) if meta else "")
    names = {
        str: "text",
        int: "a whole number",
        float: "a number",
        bool: "true, false, 1 or 0",
        Path: "a path",
        Secret: "a secret",
    }
    return names.get(hint, str(hint))


def _bounds(meta: msgspec.Meta) -> str:
    low, high = meta.ge, meta.le
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f" of at least {low}"
    if high is not None:
        return f" of at most {high}"
    return f" matching {meta.pattern}" if meta.pattern else ""
