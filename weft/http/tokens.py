"""Tokens of this system: JWTs signed with Ed25519 (EdDSA, RFC 8037)."""

import hashlib
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

ALGORITHM = "EdDSA"
ISSUER = "weft"
AUDIENCE = "weft"


class Token(msgspec.Struct, frozen=True):
    """A token and what it says; `expires_at` in epoch seconds."""

    token: str
    subject: str
    scopes: tuple[str, ...]
    expires_at: float


class TokenSigner:
    """Mints tokens with one private key (PEM, PKCS 8). Its public half is in `jwks()`."""

    def __init__(self, private_key: bytes) -> None:
        key = load_pem_private_key(private_key, password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise TypeError("the private key is not an Ed25519 key")
        self._key = key
        self._public = _public_jwk(key)

    def mint(self, subject: str, scopes: Iterable[str], ttl: float) -> Token:
        """Return a token for `subject` that holds for `ttl` seconds."""
        now = time.time()
        granted = tuple(scopes)
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "scope": " ".join(granted),
            "iat": int(now),
            "exp": int(now + ttl),
        }
        token = jwt.encode(claims, self._key, ALGORITHM, headers={"kid": self._public["kid"]})
        return Token(token, subject, granted, float(int(now + ttl)))

    def jwks(self) -> dict[str, Any]:
        """Return the JSON Web Key Set (RFC 7517) with the public key."""
        return {"keys": [self._public]}


def new_private_key() -> bytes:
    """Return a new Ed25519 private key as PEM (PKCS 8)."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public_jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    """Return the public key; its `kid` is its thumbprint (RFC 7638)."""
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    members = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(raw)}
    kid = _base64url(hashlib.sha256(msgspec.json.encode(members)).digest())
    return {**members, "kid": kid, "alg": ALGORITHM, "use": "sig"}


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
