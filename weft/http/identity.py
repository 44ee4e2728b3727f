"""Who calls."""

from collections.abc import Mapping
from typing import Protocol

import msgspec


class Identity(msgspec.Struct, frozen=True):
    """A caller that was authenticated: the user, what they may do, until when (epoch seconds)."""

    subject: str
    scopes: frozenset[str]
    expires_at: float


ANONYMOUS = Identity("", frozenset(), 0.0)
"""The caller of a public route who gave no credentials."""


class Authentication(Protocol):
    """What a server asks who calls: weft.http.Authenticator, or a service's own."""

    async def identify(self, headers: Mapping[str, str]) -> Identity | None:
        """Return the caller, None without credentials; raise Problem 401 if they do not hold."""
