"""Many messages in one, for exchanges that every instance hears: what a message costs there is the
protocol's own, on the way out and once more in each instance."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from weft.ids import uuid7
from weft.messaging.confirms import Outcome
from weft.messaging.message import Outgoing
from weft.messaging.publisher import Publisher, sending
from weft.messaging.wire import type_name

PACK: Final = "pack"
VERSION: Final = 1
MOST: Final = 64
"""Messages in one, at most."""
MOST_BYTES: Final = 96 * 1024
"""Bytes of the bodies in one, at most, unless there is only one of them."""


class News(msgspec.Struct, frozen=True):
    """A message as it was told to every instance: its body is JSON."""

    id: str
    body: msgspec.Raw
    headers: Mapping[str, Any]


_decode: Final = msgspec.json.Decoder(list[News]).decode
_TYPE: Final = type_name(PACK, VERSION)


class PackingPublisher:
    """Publishes by `publisher`; what goes to one of the `fanouts`, many at a time in one message.

    Each message keeps its identity, its headers and its span. Those of one fan-out stay in order;
    nothing is said about the order between exchanges.
    """

    def __init__(self, publisher: Publisher, fanouts: Collection[str]) -> None:
        self._publisher = publisher
        self._fanouts = frozenset(fanouts)

    async def publish_batch(
        self, messages: Sequence[Outgoing], *, traced: bool = True
    ) -> list[Outcome]:
        """Publish `messages` as Publisher does; those that are packed together fare alike."""
        others: list[int] = []
        told: dict[str, list[int]] = {}
        for index, message in enumerate(messages):
            fanout = message.exchange in self._fanouts
            (told.setdefault(message.exchange, []) if fanout else others).append(index)
        outcomes: list[Outcome] = [None] * len(messages)
        for indexes in (others, *told.values()):
            publish = self._publisher.publish_batch if indexes is others else self._pack
            found = await publish([messages[index] for index in indexes], traced=traced)
            for index, outcome in zip(indexes, found, strict=True):
                outcomes[index] = outcome
        return outcomes

    async def _pack(self, told: Sequence[Outgoing], *, traced: bool) -> list[Outcome]:
        """Publish messages of one fan-out."""
        if len(told) == 1:
            return await self._publisher.publish_batch(told, traced=traced)
        packs = list(_packs(told))
        calls = [sending(message) for message in told] if traced else []
        carriers: list[Mapping[str, Any]] = [call.carrier for call in calls] or [{}] * len(told)
        news = iter(
            News(message.id, msgspec.Raw(message.body), {**message.headers, **carrier})
            for message, carrier in zip(told, carriers, strict=True)
        )
        sent = [_packed(pack[0], [next(news) for _ in pack]) for pack in packs]
        found = await self._publisher.publish_batch(sent, traced=False)
        outcomes = [out for out, pack in zip(found, packs, strict=True) for _ in pack]
        for call, outcome in zip(calls, outcomes, strict=False):
            call.end(outcome)
        return outcomes


def unpacked(message_type: str | None, news: News) -> Sequence[News]:
    """Return what a message to every instance holds. Raises msgspec.DecodeError."""
    return _decode(news.body) if message_type == _TYPE else (news,)


def _packs(told: Sequence[Outgoing]) -> Iterator[list[Outgoing]]:
    """Share out messages, each pack within the bounds."""
    pack: list[Outgoing] = []
    size = 0
    for message in told:
        size += len(message.body)
        if pack and (len(pack) == MOST or size > MOST_BYTES):
            yield pack
            pack, size = [], len(message.body)
        pack.append(message)
    yield pack


def _packed(first: Outgoing, news: list[News]) -> Outgoing:
    return Outgoing(
        id=uuid7(),
        exchange=first.exchange,
        routing_key=first.routing_key,
        type=PACK,
        version=VERSION,
        body=msgspec.json.encode(news),
        correlation_id=first.correlation_id,
        at=first.at,
    )
