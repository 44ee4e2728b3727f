"""What can go wrong with the database, in words that callers can act on."""

import asyncpg

from weft.errors import Unavailable, VersionConflict, WeftError
from weft.messaging.errors import Unparsable


class MigrationError(WeftError):
    """The schema files and what the database has recorded do not fit together."""


class TransactionConflict(WeftError):
    """Another transaction came between: a deadlock, or a migration under a prepared statement."""


class TransactionAborted(WeftError):
    """COMMIT was answered with ROLLBACK: a failed statement's error had been swallowed."""


class IdentityOutOfRange(Unparsable):
    """A message's identity is no UUIDv7 of the days that the inbox remembers."""


class KeyInProgress(WeftError):
    """Another request with this Idempotency-Key has not ended (409)."""


class KeyReused(WeftError):
    """This Idempotency-Key came with another body before (422)."""


CONFLICTS = (VersionConflict, TransactionConflict)
"""Errors that a new transaction may not meet again."""

_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # statement timeout, shutdown, starting up
    asyncpg.InsufficientResourcesError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby, or a server that is being failed over
    asyncpg.InternalClientError,  # the server's last word arrived just before the statement
    OSError,
    TimeoutError,
)
_LOST = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.InvalidCachedStatementError,  # another instance has migrated
)

FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""Whatever a statement can raise, TimeoutError (an OSError) included."""


def translate(error: BaseException, name: str, *, closed: bool) -> BaseException:
    """Return the error to raise in place of `error`; `closed`: the connection is gone."""
    if isinstance(error, _LOST):
        return TransactionConflict(str(error))
    if isinstance(error, _AWAY) or (closed and isinstance(error, asyncpg.InterfaceError)):
        return Unavailable(name, f"{type(error).__name__}: {error}".removesuffix(": "))
    return error
