"""Small parts of weft.postgres that need no server."""

import time
from typing import ClassVar
from uuid import UUID

import asyncpg
import pytest

from weft.errors import Unavailable, VersionConflict
from weft.ids import uuid7
from weft.messaging.message import Command, Event
from weft.postgres import inbox_days
from weft.postgres.address import Address
from weft.postgres.conflicts import retry_on_conflict
from weft.postgres.errors import TransactionConflict, translate
from weft.postgres.handlers import Handlers
from weft.postgres.horizon import Horizon
from weft.postgres.idempotency import KeyedRequest
from weft.postgres.signals import Signals

DAY = 86_400


class Do(Command, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "Do"


class Done(Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "done"


def test_an_address_says_where_and_nothing_secret() -> None:
    address = Address.of("postgresql://ann:hush@db.example:5433/orders", "postgres")
    assert address == Address("postgres", "db.example", 5433, "orders")
    assert "hush" not in repr(address)


def test_an_address_has_the_usual_defaults() -> None:
    assert Address.of("postgresql://", "p") == Address("p", "localhost", 5432, "postgres")


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError("refused"),
        TimeoutError(),
        asyncpg.ConnectionDoesNotExistError("gone"),
        asyncpg.QueryCanceledError("canceling statement due to statement timeout"),
        asyncpg.AdminShutdownError("terminating"),
        asyncpg.CannotConnectNowError("starting up"),
        asyncpg.TooManyConnectionsError("too many"),
        asyncpg.DiskFullError("full"),
        asyncpg.IdleInTransactionSessionTimeoutError("idle"),
    ],
)
def test_errors_of_an_absent_or_busy_server_are_unavailable(error: Exception) -> None:
    assert isinstance(translate(error, "postgres", closed=False), Unavailable)


def test_a_lost_race_is_a_conflict() -> None:
    error = asyncpg.DeadlockDetectedError("deadlock")
    assert isinstance(translate(error, "postgres", closed=False), TransactionConflict)


@pytest.mark.parametrize(
    "error",
    [asyncpg.UniqueViolationError("twice"), asyncpg.InterfaceError("2 arguments"), KeyError()],
)
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    assert translate(error, "postgres", closed=False) is error


def test_an_interface_error_on_a_closed_connection_is_unavailable() -> None:
    error = asyncpg.InterfaceError("connection is closed")
    assert isinstance(translate(error, "postgres", closed=True), Unavailable)


async def test_a_conflict_is_tried_again_until_it_is_gone() -> None:
    conflicts = [VersionConflict("s", 1), TransactionConflict("deadlock")]

    async def work() -> str:
        if conflicts:
            raise conflicts.pop()
        return "done"

    assert await retry_on_conflict(work) == "done"


async def test_a_conflict_that_stays_is_raised_after_the_last_try() -> None:
    calls = 0

    async def work() -> None:
        nonlocal calls
        calls += 1
        raise VersionConflict("s", 1)

    with pytest.raises(VersionConflict):
        await retry_on_conflict(work, tries=3)
    assert calls == 3


async def test_another_error_is_not_tried_again() -> None:
    calls = 0

    async def work() -> None:
        nonlocal calls
        calls += 1
        raise KeyError

    with pytest.raises(KeyError):
        await retry_on_conflict(work)
    assert calls == 1


def test_handlers_know_their_types_and_which_have_no_last_attempt() -> None:
    handlers = Handlers()

    @handlers.on(Do, endless=True)
    async def do(*_: object) -> None:
        return

    @handlers.on(Done)
    async def done(*_: object) -> None:
        return

    assert handlers.types == {"Do", "done"}
    assert handlers.endless == {"Do"}
    found = handlers.find("done")
    assert found is not None
    assert found.kind is Done
    assert handlers.find("other") is None
    handlers.gone("older")
    assert handlers.forgotten == {"older"}


def test_a_type_has_one_handler() -> None:
    handlers = Handlers()

    @handlers.on(Done)
    async def done(*_: object) -> None:
        return

    with pytest.raises(ValueError, match="has a handler"):
        handlers.on(Done)(done)


def test_the_time_of_an_identity_is_read_from_a_uuid7_alone() -> None:
    made = inbox_days.milliseconds(UUID(uuid7()))
    assert made is not None
    assert abs(made / 1000 - time.time()) < 5
    assert inbox_days.milliseconds(UUID("f47ac10b-58cc-4372-a567-0e02b2c3d479")) is None


@pytest.mark.parametrize(("days", "remembered"), [(-8, False), (-7, True), (2, True), (3, False)])
def test_the_inbox_remembers_seven_days_back_and_two_ahead(days: int, remembered: bool) -> None:
    now = 20_000 * DAY + 3600.0
    identity = UUID(int=int((now + days * DAY) * 1000) << 80 | 0x7 << 76 | 0b10 << 62)
    assert inbox_days.remembered(identity, now) is remembered


def test_the_horizon_ages_only_while_it_is_held() -> None:
    horizon = Horizon()
    assert horizon.age(100, 105) == 0.0
    time_passes_until(lambda: horizon.age(100, 106) > 0.0)
    assert horizon.age(103, 106) == 0.0
    assert horizon.age(107, 107) == 0.0


def time_passes_until(condition: object) -> None:
    end = time.monotonic() + 60
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end


def test_a_key_locks_by_its_whole_scope() -> None:
    def request(subject: str, path: str, key: str, body: bytes = b"") -> KeyedRequest:
        return KeyedRequest.of(subject=subject, method="POST", path=path, key=key, body=body)

    locks = {
        request("ann", "/v1/orders", "k").lock,
        request("bob", "/v1/orders", "k").lock,
        request("ann", "/v1/reports", "k").lock,
        request("ann", "/v1/orders", "l").lock,
    }
    assert len(locks) == 4
    assert all(-(2**63) <= lock < 2**63 for lock in locks)
    assert request("a", "b", "k", b"1").lock == request("a", "b", "k", b"2").lock


def test_signals_reach_who_is_connected_and_nobody_else() -> None:
    signals, heard = Signals(), []

    def listen() -> None:
        heard.append(1)

    signals.emit("outbox")
    signals.connect("outbox", listen)
    signals.emit("outbox")
    signals.emit("events")
    signals.disconnect("outbox", listen)
    signals.emit("outbox")
    assert heard == [1]
