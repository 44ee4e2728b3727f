"""Cursors of lists: opaque to callers, a place in the list to us."""

import base64
import binascii
from hashlib import blake2b
from typing import Final

from weft.http.problem import FieldError, Problem

_SUM: Final = 4
"""Bytes of the checksum: it tells what a list gave from what was cut, altered or made up."""


class Cursors:
    """The cursors of one list, whose `kind` (at most 16 bytes) keeps those of others out."""

    def __init__(self, kind: str) -> None:
        self._kind = kind.encode()

    def after(self, place: bytes) -> str:
        """Return the cursor that leads to what follows `place`: letters, digits, - and _."""
        return base64.urlsafe_b64encode(self._sum(place) + place).decode().rstrip("=")

    def place(self, cursor: str) -> bytes:
        """Return the place of a cursor that `after` gave; raise Problem 400 for any other text."""
        try:
            text = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
            whole = base64.b64decode(text, altchars=b"-_", validate=True)
        except (binascii.Error, UnicodeEncodeError):
            whole = b""
        place = whole[_SUM:]
        if not place or self.after(place) != cursor:
            error = FieldError("/cursor", "Not a cursor that a list gave")
            raise Problem(400, detail="The cursor is wrong.", errors=[error])
        return place

    def _sum(self, place: bytes) -> bytes:
        return blake2b(place, digest_size=_SUM, person=self._kind).digest()
