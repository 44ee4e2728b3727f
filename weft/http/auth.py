"""Verifies `Authorization: Bearer` tokens."""

import time
from collections.abc import Mapping
from typing import Any

import jwt

from weft.http.front import unauthenticated
from weft.http.identity import Identity
from weft.http.jwks import KeySet
from weft.http.tokens import ALGORITHM, AUDIENCE, ISSUER

MAX_TOKEN = 8192
"""Characters."""

MAX_SUBJECT = 255
"""Characters."""

LEEWAY = 5.0
"""Seconds by which clocks may differ."""


class Authenticator:
    """Tells callers by their JWT (EdDSA), whose keys are in a key set (file path or http URL).

    A token that was verified once is remembered until it expires (at most `remembered` of them), so
    that a caller's next requests cost no signature. A key that is taken out of the set is honoured
    for as long as its remembered tokens.
    """

    def __init__(self, jwks: str, *, refresh: float = 10.0, remembered: int = 10_000) -> None:
        self._keys = KeySet(jwks, refresh=refresh)
        self._remembered = remembered
        self._identities: dict[str, Identity] = {}

    async def identify(self, headers: Mapping[str, str]) -> Identity | None:
        """Return the caller, None without a token.

        Raise Problem 401 if the token does not hold, Unavailable if no key can be had.
        """
        header = headers.get("authorization")
        if header is None:
            return None
        known = self._identities.get(header)
        if known is not None and known.expires_at > time.time():
            return known
        identity = await self._verified(header)
        while len(self._identities) >= self._remembered:
            del self._identities[next(iter(self._identities))]
        self._identities[header] = identity
        return identity

    async def _verified(self, header: str) -> Identity:
        scheme, _, token = header.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN:
            raise unauthenticated("A Bearer token is needed here.")
        try:
            key = await self._keys.key(_kid(token))
            if key is None:
                raise unauthenticated("The token is signed with an unknown key.")
            return _identity(_claims(token, key))
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise unauthenticated("The token is not valid.") from None


def _kid(token: str) -> str:
    header = jwt.get_unverified_header(token)
    if header.get("alg") != ALGORITHM:
        raise jwt.InvalidAlgorithmError
    return str(header.get("kid"))


def _claims(token: str, key: Any) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=[ALGORITHM],
        audience=AUDIENCE,
        issuer=ISSUER,
        leeway=LEEWAY,
        options={"require": ["exp", "sub", "aud", "iss"]},
    )
    return claims


def _identity(claims: Mapping[str, Any]) -> Identity:
    subject, scope = claims["sub"], claims.get("scope", "")
    if not isinstance(subject, str) or not isinstance(scope, str):
        raise TypeError
    if not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
        raise ValueError
    return Identity(subject, frozenset(scope.split()), float(claims["exp"]) + LEEWAY)
