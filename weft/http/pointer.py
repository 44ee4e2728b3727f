"""From the path in a message of msgspec to a JSON Pointer (RFC 6901)."""

import re
from collections.abc import Iterable

import msgspec

from weft.http.problem import FieldError

_STEP = re.compile(r"\.([^.\[\]`]+)|\[(\d+)\]")
_NAMED_FIELD = re.compile(r"(?:missing required|contains unknown) field `([^`]+)`")


def pointer(steps: Iterable[str | int]) -> str:
    """Return the JSON Pointer through `steps`; "" is the whole document."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def field_error(error: msgspec.ValidationError) -> FieldError:
    """Return what is wrong and where.

    A field that is missing or unknown is pointed at itself, not at the object around it. A wrong
    value of a mapping is pointed at the mapping: msgspec does not tell the key.
    """
    message, _, place = str(error).partition(" - at `")
    steps = [name or index for name, index in _STEP.findall(place.partition("[...]")[0])]
    named = _NAMED_FIELD.search(message)
    if named:
        steps.append(named[1])
    return FieldError(pointer(steps), message)
