"""Signing and verifying webhooks by the Standard Webhooks specification (symmetric, v1).

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Iterable, Mapping

from weft.errors import WeftError
from weft.settings import Secret, SettingsError

TOLERANCE = 300.0
"""Seconds by which a webhook's timestamp may differ from our clock."""

LONGEST_ID = 256
"""Characters of a webhook's id."""

_PREFIX = "whsec_"
_VERSION = "v1"


class InvalidWebhook(WeftError):
    """The signature, the timestamp or a header does not hold. The text never tells a secret."""


def key_of(secret: Secret) -> bytes:
    """Return the key in `whsec_BASE64`; ValueError unless it has 24 to 64 bytes."""
    text = secret.reveal().removeprefix(_PREFIX)
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not 24 <= len(key) <= 64:  # noqa: PLR2004 - the specification's bounds
        raise ValueError("a webhook secret is whsec_ and 24 to 64 bytes in base64")
    return key


def check_secret(secret: Secret, variable: str) -> None:
    """Raise SettingsError, which names `variable`, unless `secret` can sign."""
    try:
        key_of(secret)
    except ValueError:
        raise SettingsError(f"{variable}: expected whsec_ and 24 to 64 bytes in base64") from None


def sign(
    secret: Secret | Iterable[Secret],
    *,
    id: str,  # noqa: A002 - the specification's own word
    body: bytes,
    at: float | None = None,
) -> dict[str, str]:
    """Return the three headers of a webhook, with a signature by each secret.

    More than one secret is for the time of a rotation. `id` identifies the webhook over all
    deliveries; `at` is the time of this one in seconds since the epoch (default: now).
    """
    timestamp = str(int(time.time() if at is None else at))
    secrets = [secret] if isinstance(secret, Secret) else secret
    signatures = (_signature(key_of(one), id, timestamp, body) for one in secrets)
    return {
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"{_VERSION},{one}" for one in signatures),
    }


def verify(
    secrets: Iterable[Secret],
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float | None = None,
    tolerance: float = TOLERANCE,
) -> str:
    """Return the webhook's id if one of `secrets` signed it; raise InvalidWebhook.

    More than one secret is for the time of a rotation. `headers` must ignore case or be lower case;
    `now` is in seconds since the epoch, `tolerance` in seconds.
    """
    identity = _header(headers, "webhook-id")
    if len(identity) > LONGEST_ID:
        raise InvalidWebhook("webhook-id is too long")
    timestamp = _header(headers, "webhook-timestamp")
    _check_time(timestamp, time.time() if now is None else now, tolerance)
    given = _signatures(_header(headers, "webhook-signature"))
    fits = False
    for secret in secrets:
        expected = _signature(key_of(secret), identity, timestamp, body).encode()
        for signature in given:
            fits |= hmac.compare_digest(expected, signature)
    if not fits:
        raise InvalidWebhook("no signature fits")
    return identity


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if not value:
        raise InvalidWebhook(f"{name} is missing")
    return value


def _check_time(timestamp: str, now: float, tolerance: float) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):  # noqa: PLR2004 - year 33658
        raise InvalidWebhook("webhook-timestamp is no number of seconds")
    if abs(now - int(timestamp)) > tolerance:
        raise InvalidWebhook("webhook-timestamp is too old or too new")


def _signatures(header: str) -> list[bytes]:
    """Return the signatures of our version; those of other versions are for others."""
    pairs = (part.partition(",") for part in header.split(" "))
    return [value.encode(errors="replace") for version, _, value in pairs if version == _VERSION]


def _signature(key: bytes, identity: str, timestamp: str, body: bytes) -> str:
    content = f"{identity}.{timestamp}.".encode(errors="surrogateescape") + body
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
