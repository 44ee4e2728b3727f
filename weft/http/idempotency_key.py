"""The header that makes a request one, however often it is sent."""

import re
from typing import Final

from weft.http.problem import Problem
from weft.http.request import Request

_KEY: Final = re.compile(r"[\x20-\x7e]{1,255}")


def idempotency_key(request: Request) -> str:
    """Return the Idempotency-Key; raises Problem 400 without one of 1 to 255 printable characters.

    See draft-ietf-httpapi-idempotency-key-header.
    """
    key = request.header("Idempotency-Key")
    if key is None:
        raise Problem(400, detail="The header Idempotency-Key is missing.")
    if not _KEY.fullmatch(key):
        detail = "The header Idempotency-Key must have 1 to 255 printable characters."
        raise Problem(400, detail=detail)
    return key
