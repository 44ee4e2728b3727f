"""Who calls, and the token that the inner services are shown for them."""

import time
from collections.abc import Mapping
from typing import Final

from services.gateway.keys import ApiKeys
from weft.http import Authentication, Identity, Token, TokenSigner, unauthenticated

TOKEN_SECONDS: Final = 120.0
"""How long a token holds that stands for an API key inside the mesh."""
RENEW_BEFORE: Final = 30.0
"""A token is used until this many seconds before its end."""
MAX_KEY: Final = 512
"""Characters of an API key."""


class Callers:
    """Authentication at the edge: a Bearer token, or an API key in `X-API-Key`."""

    def __init__(self, tokens: Authentication, keys: ApiKeys) -> None:
        self._tokens = tokens
        self._keys = keys

    async def identify(self, headers: Mapping[str, str]) -> Identity | None:
        """Return the caller, None without credentials. Raises Problem 401, Unavailable."""
        if "authorization" in headers:
            return await self._tokens.identify(headers)
        given = headers.get("x-api-key")
        if given is None:
            return None
        key = self._keys.find(given) if len(given) <= MAX_KEY else None
        if key is None:
            raise unauthenticated("The API key is not valid.")
        return Identity(key.subject, key.scopes, float("inf"))


class Passport:
    """The Authorization header for inner services. `signer` mints those that stand for API keys."""

    def __init__(self, signer: TokenSigner | None) -> None:
        self._signer = signer
        self._minted: dict[tuple[str, frozenset[str]], Token] = {}

    def of(
        self, headers: Mapping[str, str], identity: Identity, *, seconds: float = TOKEN_SECONDS
    ) -> str | None:
        """Return the caller's own token, or one of ours in its place; None for a stranger.

        One of ours holds for `seconds`; those of the usual time are used again.
        """
        given = headers.get("authorization")
        if given is not None or self._signer is None or not identity.subject:
            return given
        if seconds != TOKEN_SECONDS:
            scopes = sorted(identity.scopes)
            return f"Bearer {self._signer.mint(identity.subject, scopes, seconds).token}"
        return f"Bearer {self._token(self._signer, identity).token}"

    def _token(self, signer: TokenSigner, identity: Identity) -> Token:
        who = (identity.subject, identity.scopes)
        token = self._minted.get(who)
        if token is None or token.expires_at - RENEW_BEFORE < time.time():
            token = signer.mint(identity.subject, sorted(identity.scopes), TOKEN_SECONDS)
            self._minted[who] = token
        return token
