"""PostgreSQL: what is durable in a service, and what makes its effects happen exactly once.

Database and Transaction run statements (both are an Executor). EventLog, Outbox, Deadlines and
IdempotencyKeys write in the transaction of the effect they belong to. Relay, DeadlineScanner and
Projection are components that work on what was written. Handlers and exactly_once turn messages
into effects. The chassis' tables are in the schema `weft`, the service's own in `public`.
"""

from weft.postgres.conflicts import retry_on_conflict
from weft.postgres.database import Database
from weft.postgres.deadline_scanner import DeadlineScanner
from weft.postgres.deadlines import Deadlines
from weft.postgres.errors import (
    IdentityOutOfRange,
    KeyInProgress,
    KeyReused,
    MigrationError,
    TransactionConflict,
)
from weft.postgres.event_log import EventLog, StoredEvent
from weft.postgres.executor import Executor
from weft.postgres.handlers import Handlers
from weft.postgres.idempotency import IdempotencyKeys, KeyedRequest, StoredAnswer
from weft.postgres.inbox import exactly_once
from weft.postgres.leases import Lease
from weft.postgres.migrations import Schema
from weft.postgres.outbox import Outbox
from weft.postgres.projections import Projection
from weft.postgres.relay import Relay
from weft.postgres.transaction import Transaction
from weft.postgres.woken import Woken

__all__ = [
    "Database",
    "DeadlineScanner",
    "Deadlines",
    "EventLog",
    "Executor",
    "Handlers",
    "IdempotencyKeys",
    "IdentityOutOfRange",
    "KeyInProgress",
    "KeyReused",
    "KeyedRequest",
    "Lease",
    "MigrationError",
    "Outbox",
    "Projection",
    "Relay",
    "Schema",
    "StoredAnswer",
    "StoredEvent",
    "Transaction",
    "TransactionConflict",
    "Woken",
    "exactly_once",
    "retry_on_conflict",
]
