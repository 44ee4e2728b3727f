"""Which errors are the same: those of one type that came from one place of the program's own."""

import hashlib
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from types import CodeType, FrameType, TracebackType
from typing import Final

ATTRIBUTE: Final = "weft.error.fingerprint"
_DEEPEST: Final = 200
"""Frames that are looked at: a recursion has a thousand."""
_DIGITS: Final = 8
_LIBRARIES: Final = tuple(
    {f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)


def fingerprint(error: BaseException) -> str:
    """Return 8 hex digits, the same for all errors of a type from one place.

    The place is the functions of the program's own through which it came, without those of
    libraries, and the line within the last of them; not the file's line, so that an edit elsewhere
    changes nothing. What the error says counts for nothing.
    """
    told = [type(error).__module__, type(error).__qualname__]
    frames = list(islice(_frames(error.__traceback__), _DEEPEST))
    own = [one for one in frames if _is_own(one[0].f_code)] or frames[-1:]
    told += dict.fromkeys(_place(frame) for frame, _ in own)
    if own:
        frame, line = own[-1]
        told.append(str(line - frame.f_code.co_firstlineno))
    return hashlib.sha256("\0".join(told).encode()).hexdigest()[:_DIGITS]


def _frames(traceback: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


def _place(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__', '')}:{frame.f_code.co_qualname}"


@lru_cache(maxsize=4096)
def _is_own(code: CodeType) -> bool:
    return not code.co_filename.startswith((*_LIBRARIES, "<frozen"))
