"""Version N of the same service: cents, notes in its messages, a column, a command."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import weft
from weft.messaging.message import Upcaster
from weft.postgres import Projection, StoredEvent

SCHEMA = [
    """
    CREATE TABLE balances (account text PRIMARY KEY, euros bigint NOT NULL);
    CREATE TABLE heard (message_id uuid PRIMARY KEY, said_in int NOT NULL, by text NOT NULL);
    CREATE TABLE postings (generation int, account text, number bigint, euros bigint,
        PRIMARY KEY (generation, account, number))
    """,
    # Expand: version N-1 goes on without it.
    "ALTER TABLE balances ADD COLUMN note text",
]
BALANCE = """INSERT INTO balances (account, euros, note) VALUES ($1, $2, $3)
ON CONFLICT (account) DO UPDATE
SET euros = excluded.euros, note = coalesce(excluded.note, balances.note)"""


def in_cents(old: dict[str, Any]) -> dict[str, Any]:
    return {**old, "cents": old["euros"] * 100}


class Credit(weft.Command, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "Credit"
    account: str
    euros: int
    note: str | None = None


class Bonus(weft.Command, frozen=True, kw_only=True):
    """Version N-1 has no handler for it."""

    message_type: ClassVar[str] = "Bonus"
    account: str
    euros: int


class Told(weft.Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "tally.told"
    message_version: ClassVar[int] = 2
    upcasters: ClassVar[Mapping[int, Upcaster]] = {1: in_cents}
    account: str
    euros: int  # until no version reads it any more
    cents: int


class Credited(weft.Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "Credited"
    message_version: ClassVar[int] = 2
    upcasters: ClassVar[Mapping[int, Upcaster]] = {1: in_cents}
    euros: int  # until no version reads it any more
    cents: int


async def post(tx: weft.Transaction, events: Sequence[StoredEvent], generation: int) -> None:
    for event in events:
        cents = event.decode(Credited).cents
        await tx.execute(
            "INSERT INTO postings VALUES ($1, $2, $3, $4)",
            generation,
            event.stream,
            event.version,
            cents // 100,
        )


def build(settings: weft.ServiceSettings) -> weft.Service:
    service = weft.Service("tally", settings, version="2")
    db = service.database(SCHEMA)
    log, take = weft.EventLog(db), weft.Handlers()

    async def add(tx: weft.Transaction, account: str, euros: int, note: str | None) -> None:
        history = await log.read(tx, account)
        before = sum(event.decode(Credited).cents for event in history)
        told = Told(account=account, euros=euros, cents=euros * 100)
        await log.append(
            tx,
            account,
            kind="account",
            expected=len(history),
            events=[Credited(euros=euros, cents=euros * 100)],
            messages=[weft.outgoing(told, correlation_id=account)],
        )
        await tx.execute(BALANCE, account, before // 100 + euros, note)

    @take.on(Credit)
    async def credit(tx: weft.Transaction, message: Credit, _: weft.Incoming) -> None:
        await add(tx, message.account, message.euros, message.note)

    @take.on(Bonus)
    async def bonus(tx: weft.Transaction, message: Bonus, _: weft.Incoming) -> None:
        await add(tx, message.account, message.euros, "bonus")

    @take.on(Told)
    async def hear(tx: weft.Transaction, message: Told, incoming: weft.Incoming) -> None:
        assert message.cents == message.euros * 100
        heard = "INSERT INTO heard VALUES ($1, $2, 'after')"
        await tx.execute(heard, incoming.id, incoming.version)

    service.messages(db, take)
    service.add(Projection(db, "postings", post, tables=["postings"]))
    service.serve(weft.Routes())
    return service


if __name__ == "__main__":
    weft.run(build, weft.ServiceSettings)
