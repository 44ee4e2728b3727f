"""Authenticates by one key that both sides know: for a machine that can hold no token."""

import hmac
from collections.abc import Iterable, Mapping

from weft.http.identity import Authentication, Identity
from weft.http.problem import Problem
from weft.settings import Secret


class SharedKey:
    """Knows the bearer of `key` as `subject`; whoever brings another token is asked of `others`."""

    def __init__(
        self,
        key: Secret,
        *,
        subject: str,
        scopes: Iterable[str] = (),
        others: Authentication | None = None,
    ) -> None:
        self._expected = f"Bearer {key.reveal()}".encode()
        self._identity = Identity(subject, frozenset(scopes), float("inf"))
        self._others = others

    async def identify(self, headers: Mapping[str, str]) -> Identity | None:
        """Return the caller, None without credentials; raise Problem 401 for a wrong key."""
        given = headers.get("Authorization")
        if given is None:
            return None
        if hmac.compare_digest(given.encode(errors="replace"), self._expected):
            return self._identity
        if self._others is not None:
            return await self._others.identify(headers)
        raise Problem(401, detail="The API key is wrong.")
