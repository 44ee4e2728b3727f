"""Webhooks that customers registered: the secrets that they are signed with."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence

from weft.settings import Secret


def secrets_of(key: Secret) -> Callable[[str], Sequence[Secret]]:
    """Return a function from an endpoint's name to its secrets.

    A secret is derived from `key` and the name, so that none is stored: HMAC-SHA256, 32 bytes.
    """
    master = key.reveal().encode()

    def secrets(endpoint: str) -> Sequence[Secret]:
        digest = hmac.new(master, f"webhook endpoint {endpoint}".encode(), hashlib.sha256)
        return (Secret("whsec_" + base64.b64encode(digest.digest()).decode()),)

    return secrets
