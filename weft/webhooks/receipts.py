"""Knowing a webhook again that came before: at-least-once delivery becomes one effect."""

from typing import Final

from weft.postgres import Transaction

_RECORD: Final = (
    "INSERT INTO weft.webhook_receipts (source, id) VALUES ($1, $2) ON CONFLICT DO NOTHING"
)


async def first_receipt(tx: Transaction, *, source: str, id: str) -> bool:  # noqa: A002 - the specification's own word
    """Record that the webhook `id` of `source` takes effect in `tx`; False if it did before.

    Waits for another transaction that handles the same one. Receipts are kept for 7 days, more
    than the longest schedule of a sender.
    """
    return await tx.execute(_RECORD, source, id) == "INSERT 0 1"
