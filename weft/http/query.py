"""From a query string to a typed value."""

import re
from functools import cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import inspect

from weft.http.pointer import field_error
from weft.http.problem import FieldError, Problem

T = TypeVar("T", bound=msgspec.Struct)

MAX_PARAMETERS = 100

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HUGE_INTEGER = re.compile(r"-?[0-9]{19,}")
_LISTS = (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType)


def decode_query(text: str, into: type[T]) -> T:
    """Return the query `text` as the struct `into`; raise Problem 400 if it does not fit.

    A parameter without a value counts as absent, one that `into` does not know is ignored (unless
    the struct forbids it), one that is given twice must be a list there.
    """
    lists = _list_fields(into)
    values: dict[str, Any] = {}
    for name, value in _pairs(text):
        if name in lists:
            values.setdefault(name, []).append(value)
        elif values.setdefault(name, value) != value:
            raise _wrong(FieldError(f"/{name}", "Given twice"))
    try:
        return msgspec.convert(values, into, strict=False)
    except msgspec.ValidationError as error:
        raise _wrong(field_error(error)) from None


def _pairs(text: str) -> list[tuple[str, str]]:
    if not text:
        return []
    if _BAD_ESCAPE.search(text):
        raise Problem(400, detail="The query has a broken percent-escape.")
    try:
        pairs = parse_qsl(text, errors="strict", max_num_fields=MAX_PARAMETERS)
    except UnicodeDecodeError:
        raise Problem(400, detail="The query is not UTF-8.") from None
    except ValueError:
        raise Problem(400, detail=f"The query has more than {MAX_PARAMETERS} fields.") from None
    for name, value in pairs:
        if "\0" in name or "\0" in value:
            raise Problem(400, detail="NUL is not allowed in the query.")
        if _HUGE_INTEGER.fullmatch(value):
            raise _wrong(FieldError(f"/{name}", "Integer value out of range"))
    return pairs


def _wrong(error: FieldError) -> Problem:
    return Problem(400, detail="The query is wrong.", errors=[error])


@cache
def _list_fields(into: type[msgspec.Struct]) -> frozenset[str]:
    info = inspect.type_info(into)
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"a query is decoded into a Struct, not into {into!r}")
    return frozenset(f.encode_name for f in info.fields if _holds_list(f.type))


def _holds_list(kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.UnionType):
        return any(_holds_list(each) for each in kind.types)
    return isinstance(kind, _LISTS)
