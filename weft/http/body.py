"""From bytes to a typed value, with every bound of an answer that is never a 500.

Tried with msgspec 0.22: it raises RecursionError on deep nesting, UnicodeDecodeError on bad UTF-8
(and none where it skips a field), lets 10^30 through `int` and NUL through `str`. PostgreSQL takes
neither of these, so all are refused here.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import msgspec

from weft.http.pointer import field_error, pointer
from weft.http.problem import FieldError, Problem
from weft.http.wrong_fields import MAX_ERRORS, wrong_fields

T = TypeVar("T")

MAX_BODY = 1 << 20
"""Bytes."""

MAX_NESTING = 32
"""Arrays and objects inside each other."""

_SUSPICIOUS = re.compile(rb"\\u0000|[0-9]{19}")
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_AS_SQUARE = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_LONG_INTEGER = 40
_INT64 = range(-(1 << 63), 1 << 63)

_decode_any = msgspec.json.decode


def check_content_type(value: str | None) -> None:
    """Raise 415 unless `value` says JSON in UTF-8."""
    media, _, parameters = (value or "").partition(";")
    media = media.strip().lower()
    if media != "application/json" and not (
        media.startswith("application/") and media.endswith("+json")
    ):
        raise Problem(415, detail="The body must be application/json.")
    charset = parameters.lower().replace('"', "").partition("charset=")[2].strip()
    if charset not in ("", "utf-8", "utf8"):
        raise Problem(415, detail="The body must be encoded in UTF-8.")


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Return the value of `body`; raise Problem 400 (not parsable) or 422 (wrong content)."""
    _check_text(body)
    _check_nesting(body)
    if _SUSPICIOUS.search(body):
        _check_values(body)
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        # The decoder stops at the first wrong value: what follows may not even be JSON.
        errors = wrong_fields(_parse(body), decoder.type)
        raise wrong_content(errors or [field_error(error)]) from None
    except (ValueError, RecursionError) as error:
        raise not_parsable(str(error)) from None


def not_parsable(why: str) -> Problem:
    """Return the 400 of a body that is not JSON."""
    return Problem(400, detail=f"The body is not parsable JSON: {why}")


def wrong_content(errors: Sequence[FieldError]) -> Problem:
    """Return the 422 of a body that is JSON with wrong content."""
    return Problem(422, detail="The content of the body is wrong.", errors=errors)


def _check_text(body: bytes) -> None:
    if not body:
        raise not_parsable("it is empty")
    if body.isascii():
        return
    try:
        body.decode()
    except UnicodeDecodeError:
        raise not_parsable("it is not UTF-8") from None


def _check_nesting(body: bytes) -> None:
    """Bound the nesting without recursion, in time that grows with the length of the body."""
    if body.count(b"[") + body.count(b"{") <= MAX_NESTING:
        return
    left = _STRING.sub(b"", body).translate(_AS_SQUARE, _NOT_BRACKETS)
    for _ in range(MAX_NESTING):
        if b"[]" not in left:
            break
        left = left.replace(b"[]", b"")
    if left.count(b"[") > MAX_NESTING or b"[]" in left:
        raise not_parsable(f"it is nested deeper than {MAX_NESTING}")


def _check_values(body: bytes) -> None:
    """Refuse NUL and integers beyond 64 bits, wherever they stand."""
    errors = list(islice(_wrong_values(_parse(body), ()), MAX_ERRORS))
    if errors:
        raise wrong_content(errors)


def _parse(body: bytes) -> Any:
    try:
        return _decode_any(body)
    except msgspec.ValidationError as error:
        raise wrong_content(_huge_numbers(body) or [field_error(error)]) from None
    except ValueError as error:
        raise not_parsable(str(error)) from None


def _huge_numbers(body: bytes) -> list[FieldError]:
    """Return where the numbers stand that msgspec refuses without saying where."""
    try:
        value = json.loads(body.decode(), parse_int=_integer, parse_constant=_no_constant)
    except ValueError as error:
        raise not_parsable(str(error)) from None
    return list(islice(_wrong_values(value, ()), MAX_ERRORS))


def _integer(digits: str) -> float:
    return int(digits) if len(digits) < _LONG_INTEGER else math.inf


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _wrong_values(value: Any, steps: tuple[str | int, ...]) -> Iterator[FieldError]:
    if isinstance(value, str) and "\0" in value:
        yield FieldError(pointer(steps), "NUL is not allowed")
    elif isinstance(value, int) and value not in _INT64:
        yield FieldError(pointer(steps), "Integer value out of range")
    elif isinstance(value, float) and not math.isfinite(value):
        yield FieldError(pointer(steps), "Number out of range")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _wrong_values(item, (*steps, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            if "\0" in key:
                yield FieldError(pointer(steps), "NUL is not allowed in a name")
            yield from _wrong_values(item, (*steps, key))
