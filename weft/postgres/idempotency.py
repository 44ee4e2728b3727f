"""Idempotency-Key: the answer to a request is stored in the transaction of its effect."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Self

import msgspec

from weft.postgres.conflicts import retry_on_conflict
from weft.postgres.database import Database
from weft.postgres.errors import KeyInProgress, KeyReused
from weft.postgres.transaction import Transaction

_LOCK = "SELECT pg_try_advisory_xact_lock($1)"
_FIND = (
    "SELECT body_hash, status, body FROM weft.idempotency_keys"
    " WHERE subject = $1 AND method = $2 AND path = $3 AND key = $4"
    " AND created_at > now() - interval '24 hours'"
)
_STORE = (
    "INSERT INTO weft.idempotency_keys (subject, method, path, key, body_hash, status, body)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (subject, method, path, key) DO UPDATE"
    " SET body_hash = $5, status = $6, body = $7, created_at = now()"
)


class StoredAnswer(msgspec.Struct, frozen=True):
    """What the first request with this key was answered. `replayed`: it was found, not made now."""

    status: int
    body: bytes
    replayed: bool = False


Work = Callable[[Transaction], Awaitable[StoredAnswer]]


class KeyedRequest(msgspec.Struct, frozen=True):
    """A request with an Idempotency-Key. Its scope is (subject, method, path)."""

    subject: str
    method: str
    path: str
    key: str
    body_hash: bytes

    @classmethod
    def of(cls, *, subject: str, method: str, path: str, key: str, body: bytes) -> Self:
        """Describe a request by the bytes of its body."""
        return cls(subject, method, path, key, hashlib.sha256(body).digest())

    @property
    def lock(self) -> int:
        """A number for the advisory lock that stands for the key: 64 bits of a hash, signed."""
        text = msgspec.json.encode((self.subject, self.method, self.path, self.key))
        return int.from_bytes(hashlib.sha256(text).digest()[:8], signed=True)


class IdempotencyKeys:
    """Keys are kept for 24 hours and then deleted by the database's maintenance."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def answer(self, request: KeyedRequest, work: Work) -> StoredAnswer:
        """Return the stored answer, or run `work(tx)` and store its answer with its effect.

        `work` is run again in a new transaction when it lost against another one. Raises
        KeyInProgress, KeyReused and what `work` raises; then nothing is stored.
        """

        async def once() -> StoredAnswer:
            async with self._db.transaction() as tx:
                found = await self.begin(tx, request)
                if found is not None:
                    return found
                made = await work(tx)
                await self.store(tx, request, status=made.status, body=made.body)
                return made

        return await retry_on_conflict(once)

    async def begin(self, tx: Transaction, request: KeyedRequest) -> StoredAnswer | None:
        """Return the stored answer, or None: go on, and store one in the same transaction.

        Raises KeyInProgress while another transaction works on the same key, KeyReused if the key
        came with another body.
        """
        if not await tx.fetchval(_LOCK, request.lock):
            raise KeyInProgress(f"a request with the key {request.key!r} has not ended")
        row = await tx.fetchrow(_FIND, request.subject, request.method, request.path, request.key)
        if row is None:
            return None
        if row["body_hash"] != request.body_hash:
            raise KeyReused(f"the key {request.key!r} was used with another body")
        return StoredAnswer(row["status"], row["body"], replayed=True)

    async def store(
        self, tx: Transaction, request: KeyedRequest, *, status: int, body: bytes
    ) -> None:
        """Store the answer to `request`, for which `begin` returned None in `tx`."""
        await tx.execute(
            _STORE,
            request.subject,
            request.method,
            request.path,
            request.key,
            request.body_hash,
            status,
            body,
        )
