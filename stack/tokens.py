"""Tokens of a local system: JSON Web Tokens signed with Ed25519 (RFC 8037), keys as a JWKS."""

import base64
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SCOPES: Final = (
    "orders:read",
    "orders:write",
    "inventory:write",
    "reports:read",
    "reports:write",
    "webhooks:write",
    "ops",
)
ISSUER: Final = "weft"


@dataclass(frozen=True)
class Token:
    """A signed token, and what it says; `expires_at` is epoch seconds."""

    text: str
    subject: str
    scopes: tuple[str, ...]
    expires_at: int

    def as_json(self) -> dict[str, Any]:
        expires = datetime.fromtimestamp(self.expires_at, UTC)
        return {
            "token": self.text,
            "subject": self.subject,
            "scopes": list(self.scopes),
            "expires_at": expires.isoformat().replace("+00:00", "Z"),
        }


def sign(
    key: Ed25519PrivateKey,
    *,
    subject: str,
    scopes: Sequence[str],
    ttl: float,
    now: float | None = None,
) -> Token:
    """Return a token for `subject` that is good for `ttl` seconds."""
    issued = int(time.time() if now is None else now)
    expires = issued + max(1, round(ttl))
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    claims = {
        "iss": ISSUER,
        "sub": subject,
        "scope": " ".join(scopes),
        "iat": issued,
        "exp": expires,
    }
    headers = {"kid": public_jwk(public)["kid"]}
    text = jwt.encode(claims, key, algorithm="EdDSA", headers=headers)
    return Token(text, subject, tuple(scopes), expires)


def public_jwk(public: bytes) -> dict[str, Any]:
    """Return the JWK of a raw public key; its id is the RFC 7638 thumbprint."""
    key = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(public)}
    canonical = json.dumps(key, separators=(",", ":"), sort_keys=True).encode("ascii")
    thumbprint = _base64url(hashlib.sha256(canonical).digest())
    return {**key, "kid": thumbprint, "alg": "EdDSA", "use": "sig"}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
