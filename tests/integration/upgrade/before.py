"""Version N-1 of a small service: accounts that are credited, what it told of that, and heard."""

from collections.abc import Sequence
from typing import ClassVar

import weft
from weft.postgres import Projection, StoredEvent

SCHEMA = [
    """
    CREATE TABLE balances (account text PRIMARY KEY, euros bigint NOT NULL);
    CREATE TABLE heard (message_id uuid PRIMARY KEY, said_in int NOT NULL, by text NOT NULL);
    CREATE TABLE postings (generation int, account text, number bigint, euros bigint,
        PRIMARY KEY (generation, account, number))
    """,
]
BALANCE = """INSERT INTO balances (account, euros) VALUES ($1, $2)
ON CONFLICT (account) DO UPDATE SET euros = excluded.euros"""


class Credit(weft.Command, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "Credit"
    account: str
    euros: int


class Told(weft.Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "tally.told"
    account: str
    euros: int


class Credited(weft.Event, frozen=True, kw_only=True):
    message_type: ClassVar[str] = "Credited"
    euros: int


async def post(tx: weft.Transaction, events: Sequence[StoredEvent], generation: int) -> None:
    for event in events:
        euros = event.decode(Credited).euros
        await tx.execute(
            "INSERT INTO postings VALUES ($1, $2, $3, $4)",
            generation,
            event.stream,
            event.version,
            euros,
        )


def build(settings: weft.ServiceSettings) -> weft.Service:
    service = weft.Service("tally", settings, version="1")
    db = service.database(SCHEMA)
    log, take = weft.EventLog(db), weft.Handlers()

    @take.on(Credit)
    async def credit(tx: weft.Transaction, message: Credit, _: weft.Incoming) -> None:
        history = await log.read(tx, message.account)
        before = sum(event.decode(Credited).euros for event in history)
        told = Told(account=message.account, euros=message.euros)
        await log.append(
            tx,
            message.account,
            kind="account",
            expected=len(history),
            events=[Credited(euros=message.euros)],
            messages=[weft.outgoing(told, correlation_id=message.account)],
        )
        await tx.execute(BALANCE, message.account, before + message.euros)

    @take.on(Told)
    async def hear(tx: weft.Transaction, _: Told, incoming: weft.Incoming) -> None:
        heard = "INSERT INTO heard VALUES ($1, $2, 'before')"
        await tx.execute(heard, incoming.id, incoming.version)

    service.messages(db, take)
    service.add(Projection(db, "postings", post, tables=["postings"]))
    service.serve(weft.Routes())
    return service


if __name__ == "__main__":
    weft.run(build, weft.ServiceSettings)
