"""The file of flags: what may stand in it, and what it means at a time."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from weft.errors import WeftError

LONGEST: Final = timedelta(hours=1)
"""For how long a fault can be on: whoever wants it longer has to come back."""
OLD: Final = timedelta(days=90)
"""A feature flag of that age has served its turn: the feature is for all, or it goes."""
MAX_BYTES: Final = 64 * 1024
MAX_FLAGS: Final = 100
MAX_VALUE: Final = 100_000
NAME: Final = r"^[a-z][a-z0-9-]{0,39}$(?!\n)"

_SKEW: Final = timedelta(minutes=1)
_SHARES: Final = 10_000

Name = Annotated[str, Meta(pattern=NAME)]
Service = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,39}$(?!\n)")]


class FlagsError(WeftError):
    """The file is not what it should be. The text is one line."""


class Fault(
    Struct, frozen=True, kw_only=True, tag_field="kind", tag="fault", forbid_unknown_fields=True
):
    """A fault that is on in `service` until then; what `value` means is the fault's own."""

    service: Service
    value: Annotated[float, Meta(ge=0, le=MAX_VALUE)]
    until: Annotated[datetime, Meta(tz=True)]


class Feature(
    Struct, frozen=True, kw_only=True, tag_field="kind", tag="feature", forbid_unknown_fields=True
):
    """Something new in `service` for `percent` of its users. `owner` is who decides about it."""

    service: Service
    percent: Annotated[float, Meta(ge=0, le=100)]
    owner: Annotated[str, Meta(min_length=1, max_length=100)]
    since: date

    def is_old(self, today: date) -> bool:
        """Whether it is time to decide about it."""
        return today - self.since > OLD


Flag = Fault | Feature


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    flags: Annotated[dict[Name, Flag], Meta(max_length=MAX_FLAGS)] = {}


def read(text: bytes, now: datetime) -> Document:
    """Return what the file says. Raises FlagsError, also for a fault that would be on too long."""
    if len(text) > MAX_BYTES:
        raise FlagsError(f"it has more than {MAX_BYTES} bytes")
    try:
        document = msgspec.json.decode(text, type=Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FlagsError(str(error) or type(error).__name__) from None
    latest = now + LONGEST + _SKEW
    for name, flag in document.flags.items():
        if isinstance(flag, Fault) and flag.until > latest:
            raise FlagsError(f"{name} would be on for more than {LONGEST.seconds // 60} minutes")
    return document


def written(document: Document) -> str:
    """Return the file's text."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def in_force(document: Document, service: str, now: datetime) -> dict[str, Fault]:
    """Return the faults that are on in `service`, by name."""
    flags: Mapping[str, Flag] = document.flags
    return {
        name: flag
        for name, flag in flags.items()
        if isinstance(flag, Fault) and flag.service == service and flag.until > now
    }


def chosen(name: str, percent: float, user: str) -> bool:
    """Whether `user` is among the `percent` that have the feature: the same at every asking.

    Those of a smaller share are among those of a larger one, and each flag has users of its own.
    """
    digest = hashlib.sha256(f"{name}\n{user}".encode()).digest()
    return int.from_bytes(digest[:8]) % _SHARES < round(percent / 100 * _SHARES)


def utc_now() -> datetime:
    """Return the time, as the functions here take it."""
    return datetime.now(UTC)
