"""Every wrong field of a body, not only the first one, at which msgspec stops."""

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec.structs import fields

from weft.http.pointer import field_error, pointer
from weft.http.problem import FieldError

MAX_ERRORS = 20
"""Wrong fields that one answer names."""

MAX_ITEMS = 200
"""Items of one list that are looked at."""

Steps = tuple[str | int, ...]


def wrong_fields(value: Any, kind: Any) -> list[FieldError]:
    """Return what makes the parsed JSON `value` no `kind`, at most 20 errors."""
    return list(islice(_inside(value, kind, ()), MAX_ERRORS))


def _inside(value: Any, kind: Any, steps: Steps) -> Iterator[FieldError]:
    found = False
    for step, child, child_kind in _children(value, kind):
        for error in _inside(child, child_kind, (*steps, step)):
            found = True
            yield error
    for name in _missing(value, kind):
        found = True
        yield FieldError(pointer((*steps, name)), f"Object missing required field `{name}`")
    if not found:
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as wrong:
            error = field_error(wrong)
            yield FieldError(pointer(steps) + error.path, error.message)


def _children(value: Any, kind: Any) -> Iterator[tuple[str | int, Any, Any]]:
    kind = _bare(kind)
    if isinstance(value, list) and get_origin(kind) is list:
        (item_kind,) = get_args(kind)
        for index, item in enumerate(value[:MAX_ITEMS]):
            yield index, item, item_kind
    elif isinstance(value, dict) and _is_struct(kind):
        for field in fields(kind):
            if field.encode_name in value:
                yield field.encode_name, value[field.encode_name], field.type


def _missing(value: Any, kind: Any) -> list[str]:
    kind = _bare(kind)
    if not isinstance(value, dict) or not _is_struct(kind):
        return []
    return [f.encode_name for f in fields(kind) if f.required and f.encode_name not in value]


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
