"""From stored bytes to today's class: schema versions and their upcasters."""

from typing import Any, TypeVar

import msgspec

from weft.messaging.errors import NotYetKnown, Unparsable
from weft.messaging.message import Message

M = TypeVar("M", bound=Message)
_BAD = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode(kind: type[M], version: int, body: bytes) -> M:
    """Return the message in `body`, upcast from `version` to the current one.

    A newer version than ours is read as ours, without the fields that we do not know: producers may
    be upgraded first, and within a deployment schemas only expand. Raises NotYetKnown where that
    does not go, else Unparsable.
    """
    try:
        if version >= kind.message_version:
            return msgspec.json.decode(body, type=kind)
        return msgspec.convert(_upcast(kind, version, msgspec.json.decode(body)), type=kind)
    except _BAD as error:
        text = f"{kind.message_type} version {version}: {error}"
        if version > kind.message_version:
            raise NotYetKnown(text) from error
        raise Unparsable(text) from error


def _upcast(kind: type[Message], version: int, document: Any) -> Any:
    for step in range(version, kind.message_version):
        upcaster = kind.upcasters.get(step)
        if upcaster is None or not isinstance(document, dict):
            raise Unparsable(f"{kind.message_type} version {version}: no way up from {step}")
        try:
            document = upcaster(document)
        except (LookupError, TypeError, ValueError) as error:
            raise Unparsable(f"{kind.message_type} version {step}: {error!r}") from error
    return document
