"""Webhooks by the Standard Webhooks specification: signed, verified, delivered, received once.

Webhooks is the component that sends: `send` stores a webhook in the transaction that caused it.
`verify` and `first_receipt` are for who receives.
"""

from weft.webhooks.delivery import Target, Webhooks
from weft.webhooks.endpoints import Endpoint
from weft.webhooks.guard import UnsafeAddress, check_url
from weft.webhooks.receipts import first_receipt
from weft.webhooks.schedule import NEARBY, STANDARD, Schedule
from weft.webhooks.signature import (
    TOLERANCE,
    InvalidWebhook,
    check_secret,
    key_of,
    sign,
    verify,
)

__all__ = [
    "NEARBY",
    "STANDARD",
    "TOLERANCE",
    "Endpoint",
    "InvalidWebhook",
    "Schedule",
    "Target",
    "UnsafeAddress",
    "Webhooks",
    "check_secret",
    "check_url",
    "first_receipt",
    "key_of",
    "sign",
    "verify",
]
