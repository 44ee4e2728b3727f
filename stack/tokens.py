"""Tokens of a local system, as `weft token` prints them."""

from datetime import UTC, datetime
from typing import Any, Final

from weft.http import Token
from weft.telemetry.synthetic import SYNTHETIC

SCOPES: Final = (
    "orders:read",
    "orders:write",
    "inventory:write",
    "reports:read",
    "reports:write",
    "webhooks:write",
    "ops",
    SYNTHETIC,
)


def as_json(token: Token) -> dict[str, Any]:
    """Return what a script is given; `expires_at` in RFC 3339."""
    expires = datetime.fromtimestamp(token.expires_at, UTC)
    return {
        "token": token.token,
        "subject": token.subject,
        "scopes": list(token.scopes),
        "expires_at": expires.isoformat().replace("+00:00", "Z"),
    }
