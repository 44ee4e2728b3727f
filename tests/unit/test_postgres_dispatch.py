"""Order within a key, whatever the broker answers."""

import asyncio
from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from weft.errors import Unavailable, WeftError
from weft.messaging.errors import Rejected, Unroutable
from weft.messaging.message import Outgoing
from weft.postgres.dispatch import Dispatched, Row, dispatch

Answer = Callable[[str], WeftError | None]
KEYS = st.sampled_from([None, "a", "b", "c"])
ANSWERS = st.sampled_from(
    [None, None, None, Unroutable("e", "k"), Rejected("e", "k"), Unavailable("broker", "away")]
)


def row(number: int, key: str | None) -> Row:
    message = Outgoing(
        id=str(number),
        exchange="e",
        routing_key="k",
        type="t",
        version=1,
        body=b"",
        correlation_id="c",
        at=0.0,
    )
    return Row(number, key, 0, message)


class Broker:
    """Answers each message once, as it is told."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.stored: list[str] = []
        self.batches = 0

    async def publish_batch(self, messages: Sequence[Outgoing]) -> list[WeftError | None]:
        self.batches += 1
        outcomes = [self._answer(message.id) for message in messages]
        for message, outcome in zip(messages, outcomes, strict=True):
            if outcome is None:
                self.stored.append(message.id)
        return outcomes


def publish(rows: Sequence[Row], answer: Answer) -> tuple[Dispatched, Broker]:
    broker = Broker(answer)
    return asyncio.run(dispatch(broker, rows, allowed=lambda: True)), broker


@given(st.lists(st.tuples(KEYS, ANSWERS), max_size=30))
def test_nothing_of_a_key_overtakes_a_row_that_is_not_stored(
    plan: list[tuple[str | None, WeftError | None]],
) -> None:
    rows = [row(number, key) for number, (key, _) in enumerate(plan)]
    result, broker = publish(rows, lambda identity: plan[int(identity)][1])
    for key in ("a", "b", "c"):
        own = [one.id for one in rows if one.key == key]
        stored = [int(identity) for identity in broker.stored if plan[int(identity)][0] == key]
        assert stored == own[: len(stored)]
    assert sorted(one.id for one in result.confirmed) == sorted(map(int, broker.stored))
    named = [one.id for one in (*result.confirmed, *result.waiting)]
    named += [one.id for one, _ in result.refused]
    assert len(set(named)) == len(named)


@given(st.lists(st.tuples(KEYS, st.booleans()), max_size=30))
def test_while_the_broker_is_there_every_row_ends_in_one_list(
    plan: list[tuple[str | None, bool]],
) -> None:
    rows = [row(number, key) for number, (key, _) in enumerate(plan)]
    result, _ = publish(
        rows, lambda identity: None if plan[int(identity)][1] else Rejected("e", "k")
    )
    named = [one.id for one in (*result.confirmed, *result.waiting)]
    named += [one.id for one, _ in result.refused]
    assert sorted(named) == [one.id for one in rows]


def test_rows_without_a_key_and_the_first_of_each_key_go_out_together() -> None:
    rows = [row(1, None), row(2, "a"), row(3, None), row(4, "b")]
    result, broker = publish(rows, lambda _: None)
    assert broker.batches == 1
    assert [one.id for one in result.confirmed] == [1, 2, 3, 4]


def test_rows_behind_a_refused_one_wait() -> None:
    rows = [row(1, "a"), row(2, "a"), row(3, "a"), row(4, "b")]
    result, broker = publish(
        rows, lambda identity: Unroutable("e", "k") if identity == "1" else None
    )
    assert [one.id for one, _ in result.refused] == [1]
    assert [one.id for one in result.waiting] == [2, 3]
    assert broker.stored == ["4"]


def test_when_the_broker_goes_away_the_rest_is_left_as_it_was() -> None:
    rows = [row(1, "a"), row(2, "a")]
    result, _ = publish(rows, lambda _: Unavailable("broker", "away"))
    assert result.away is not None
    assert (result.confirmed, result.refused, result.waiting) == ([], [], [])


async def test_without_the_lease_nothing_is_published() -> None:
    broker = Broker(lambda _: None)
    result = await dispatch(broker, [row(1, None)], allowed=lambda: False)
    assert broker.batches == 0
    assert result.confirmed == []


async def test_a_lease_lost_between_two_waves_stops_the_second() -> None:
    broker = Broker(lambda _: None)
    result = await dispatch(broker, [row(1, "a"), row(2, "a")], allowed=lambda: broker.batches == 0)
    assert [one.id for one in result.confirmed] == [1]
