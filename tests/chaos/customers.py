"""Customers: what they order, how they behave, and what they were answered."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

TOKENS: Final = {
    "tok_ok": 64,
    "tok_declined": 9,
    "tok_slow": 6,
    "tok_flaky": 8,
    "tok_down": 4,
    "tok_async": 9,
}
BEHAVIOURS: Final = {"retries": 55, "gives up": 10, "twins": 15, "again": 15, "changed": 5}
"""How a customer uses an Idempotency-Key.

retries: the same request until it is answered. gives up: one request, whatever comes of it.
twins: two requests at the same time. again: once more after the answer. changed: once more, with
other content, which must be refused.
"""
SUBJECTS: Final = tuple(f"chaos-{number}" for number in range(8))
PLENTY: Final = {f"CHAOS-{number:02d}": 1_000_000 for number in range(16)}
SCARCE: Final = {f"CHAOS-SCARCE-{number}": 40 for number in range(4)}
SCARCELY: Final = 0.12
"""Share of order lines that ask for what there is little of."""
TRIES: Final = 25
LONGEST_PAUSE: Final = 6.0
ANSWER_SECONDS: Final = 12.0
AT_ONCE: Final = 60
"""Customers at once at most."""
MOST_OPEN: Final = 60
"""Orders without an end, at most: while there are more nobody comes in, so that what is measured is
the system under faults, not one that is overloaded."""
_LOOK: Final = 0.5
ACCEPTED: Final = 202


@dataclass(frozen=True)
class Wish:
    """What one customer asks for. `key` is the Idempotency-Key, of `subject`."""

    subject: str
    key: str
    behaviour: str
    body: dict[str, Any]


@dataclass
class Asked:
    """A wish, and all answers to it: each status, and the order ids of those that accepted."""

    wish: Wish
    statuses: list[int] = field(default_factory=list)
    order_ids: set[str] = field(default_factory=set)
    changed_statuses: list[int] = field(default_factory=list)


def wishes(seed: int) -> Iterator[Wish]:
    """An endless row of wishes, the same for a seed."""
    chance = random.Random(seed)
    number = 0
    while True:
        number += 1
        lines = [_line(chance) for _ in range(chance.choice((1, 1, 2, 3)))]
        items = [{"sku": sku, "quantity": many} for sku, many in dict(lines).items()]
        (token,) = chance.choices(list(TOKENS), list(TOKENS.values()))
        (behaviour,) = chance.choices(list(BEHAVIOURS), list(BEHAVIOURS.values()))
        body = {"items": items, "payment": {"token": token}}
        yield Wish(chance.choice(SUBJECTS), f"chaos-{seed}-{number}", behaviour, body)


def _line(chance: random.Random) -> tuple[str, int]:
    scarce = chance.random() < SCARCELY
    return chance.choice(list(SCARCE if scarce else PLENTY)), chance.randint(1, 3)


class Customers:
    """Order at `rate` a second at the gateway at `url`; `tokens` by subject.

    `unfinished` counts the orders that have no end yet; where it cannot tell, it gives None.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        url: str,
        tokens: dict[str, str],
        *,
        seed: int,
        unfinished: Callable[[], Awaitable[int | None]],
    ) -> None:
        self._http = http
        self._unfinished = unfinished
        self._url = f"{url}/v1/orders"
        self._tokens = tokens
        self._wishes = wishes(seed)
        self._chance = random.Random(seed)
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._open = True
        self.asked: list[Asked] = []

    async def run(self, *, rate: float, seconds: float) -> None:
        """Come in for so long; return when the last one has an answer, or has given up."""
        end = _now() + seconds
        async with asyncio.TaskGroup() as shop:
            door = shop.create_task(self._watch())
            while _now() < end:
                await asyncio.sleep(self._chance.expovariate(rate))
                if self._open and not self._turn.locked():
                    asked = Asked(next(self._wishes))
                    self.asked.append(asked)
                    shop.create_task(self._serve(asked))
            door.cancel()

    async def _watch(self) -> None:
        while True:
            count = await self._unfinished()
            self._open = count is None or count < MOST_OPEN
            await asyncio.sleep(_LOOK)

    async def _serve(self, asked: Asked) -> None:
        async with self._turn:
            match asked.wish.behaviour:
                case "gives up":
                    await self._post(asked, asked.wish.body)
                case "twins":
                    await asyncio.gather(self._insist(asked), self._insist(asked))
                case "again":
                    await self._insist(asked)
                    await asyncio.sleep(self._chance.uniform(0, 3))
                    await self._insist(asked)
                case "changed":
                    await self._insist(asked)
                    await self._change(asked)
                case _:
                    await self._insist(asked)

    async def _insist(self, asked: Asked) -> None:
        """Ask with the same key until it is accepted, for TRIES times at most."""
        for attempt in range(TRIES):
            if await self._post(asked, asked.wish.body) == ACCEPTED:
                return
            longest = min(LONGEST_PAUSE, 0.25 * 2.0**attempt)
            await asyncio.sleep(longest * self._chance.uniform(0.5, 1))

    async def _change(self, asked: Asked) -> None:
        if not asked.order_ids:
            return
        body = {**asked.wish.body, "payment": {"token": "tok_changed"}}
        status, _ = await self._send(asked.wish, body)
        asked.changed_statuses.append(status)

    async def _post(self, asked: Asked, body: dict[str, Any]) -> int:
        status, answer = await self._send(asked.wish, body)
        asked.statuses.append(status)
        if status == ACCEPTED:
            asked.order_ids.add(answer["order_id"])
        return status

    async def _send(self, wish: Wish, body: dict[str, Any]) -> tuple[int, Any]:
        """The status and what was said; 0 if there was no answer."""
        headers = {
            "Authorization": f"Bearer {self._tokens[wish.subject]}",
            "Idempotency-Key": wish.key,
        }
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        try:
            async with self._http.post(
                self._url, json=body, headers=headers, timeout=timeout
            ) as answer:
                return answer.status, await answer.json(content_type=None)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return 0, None


def _now() -> float:
    return asyncio.get_running_loop().time()
