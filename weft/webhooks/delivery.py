"""Sending webhooks: at least once, with the same id each time, until somebody takes them."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from weft.errors import Unavailable
from weft.messaging.backoff import Backoff
from weft.postgres import Database, Executor
from weft.postgres.woken import Woken
from weft.settings import Secret
from weft.telemetry import attach, counter, current_carrier, detach, gauge, get_logger
from weft.webhooks import endpoints, stored
from weft.webhooks.posting import GONE, Answer, Poster
from weft.webhooks.schedule import NEARBY, STANDARD, Schedule
from weft.webhooks.signature import sign
from weft.webhooks.stored import Claimed

SIGNAL: Final = "webhooks"
"""Emitted in this process after a webhook was stored."""
TIMEOUT: Final = 15.0
AT_ONCE: Final = 64
EACH: Final = 8
"""Attempts under way: in all, and to one endpoint, so that a slow one holds up only itself."""
MAX_BODY: Final = 256 * 1024
_LEASE_MORE: Final = 15.0
_POLL: Final = 1.0
_OTHERS_AT_WORK: Final = 0.05
_COUNT_EVERY: Final = 5.0

log = get_logger(__name__)
_deliveries = counter(
    "weft.webhooks.attempts", "{attempt}", "Attempts at webhooks, by what came of them."
)

Keys = Callable[[str], Sequence[Secret]]


class Target(msgspec.Struct, frozen=True):
    """A service of the mesh that takes our webhooks, and what they are signed with.

    `others` are where further instances of it take them: attempts go to all in turn.
    """

    url: str
    secrets: Sequence[Secret]
    schedule: Schedule = NEARBY
    others: Sequence[str] = ()

    def at(self, attempt: int) -> str:
        """Return where the attempt of this number (from 0) goes."""
        urls = (self.url, *self.others)
        return urls[attempt % len(urls)]


class Webhooks(Woken):
    """Component: stores webhooks in the transaction of their cause, and sends them.

    `targets` are by name. `keys` gives the secrets of the endpoint that a customer registered;
    its addresses are guarded unless `private`. An attempt that its process did not live to record
    is made again by any instance once its lease is over, so who receives must know an id again.
    """

    def __init__(
        self,
        db: Database,
        targets: Mapping[str, Target] | None = None,
        *,
        keys: Keys | None = None,
        schedule: Schedule = STANDARD,
        timeout: float = TIMEOUT,
        private: bool = False,
        name: str = "webhooks",
    ) -> None:
        super().__init__(db, SIGNAL, name=name)
        self._targets = dict(targets or {})
        self._keys = keys
        self._schedule = schedule
        self._lease = timeout + _LEASE_MORE
        self._poster = Poster(timeout=timeout, connections=AT_ONCE, private=private)
        self._under_way: dict[asyncio.Task[None], str] = {}
        self._waiting = (0, 0.0)
        self._count_at = 0.0

    async def send(self, where: Executor, target: str, *, id: str, type: str, data: Any) -> None:  # noqa: A002 - the specification's own words
        """Store a webhook to one of the targets; it is sent once `where` has committed.

        The body is `{"type", "timestamp", "data"}`; the trace that is current now goes on. The same
        `id` again is no second webhook; nor is anything stored for a target that answered 410
        since the last start. Raises ValueError for a body beyond 256 KiB or an unknown target.
        """
        if target not in self._targets:
            raise ValueError(f"{target} is none of the targets")
        await self._store(where, "endpoint", target, id, type, data)

    async def tell(self, where: Executor, owner: str, *, id: str, type: str, data: Any) -> int:  # noqa: A002 - the same
        """Store a webhook to each endpoint that `owner` has for `type`; return how many."""
        return await self._store(where, "owner", owner, id, type, data)

    async def start(self) -> None:
        """Begin in the background."""
        await self._put_targets()
        await self._poster.start()
        gauge("weft.webhooks.pending", "{webhook}", "Webhooks not taken yet.", self._pending)
        gauge("weft.webhooks.age", "s", "Age of the oldest webhook not taken yet.", self._age)
        await super().start()

    async def stop(self) -> None:
        """Begin no attempt any more and finish those under way."""
        try:
            await super().stop()
            await asyncio.gather(*self._under_way)
        finally:
            for one in self._under_way:
                one.cancel()
            await self._poster.stop()

    async def _put_targets(self) -> None:
        backoff = Backoff()
        while True:
            try:
                for name, target in self._targets.items():
                    await endpoints.put(self._db, name, target.url)
            except Unavailable:
                await asyncio.sleep(backoff.next())
            else:
                return

    async def _store(
        self, where: Executor, whose: str, name: str, identity: str, kind: str, data: Any
    ) -> int:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        body = msgspec.json.encode({"type": kind, "timestamp": now, "data": data})
        if len(body) > MAX_BODY:
            raise ValueError(f"the body of a webhook may have {MAX_BODY} bytes")
        carrier = msgspec.json.encode(current_carrier()).decode()
        added = await stored.add(where, whose, name, identity, kind, body, carrier)
        if added:
            where.on_commit(lambda: self._db.signals.emit(SIGNAL))
        return added

    async def _round(self) -> None:
        self._wake.clear()
        await self._count()
        room = AT_ONCE - len(self._under_way)
        due_in = await stored.due_in(self._db)
        if due_in is None or due_in > 0 or room == 0:
            await self._sleep(_POLL if due_in is None or room == 0 else min(due_in, _POLL))
            return
        busy = Counter(self._under_way.values())
        claimed = await stored.claim(self._db, busy, each=EACH, limit=room, lease=self._lease)
        for one in claimed:
            task = asyncio.create_task(self._deliver(one), context=Context())
            self._under_way[task] = one.endpoint
            task.add_done_callback(self._done)
        if not claimed:
            await self._sleep(_OTHERS_AT_WORK * random.uniform(1, 2))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.pop(task, None)
        self._wake.set()

    async def _deliver(self, one: Claimed) -> None:
        token = attach(one.carrier)
        try:
            began = time.perf_counter()
            answer = await self._attempt(one)
            await self._settle(one, answer, time.perf_counter() - began)
        except Unavailable as error:
            # Its lease ends, and it is sent once more.
            log.warning("attempt not recorded", **_facts(one), **{"weft.why": error.why})
        except Exception as error:
            log.exception("sending a webhook failed", error, **_facts(one))
        finally:
            detach(token)

    async def _attempt(self, one: Claimed) -> Answer:
        target = None if one.guarded else self._targets.get(one.endpoint)
        url, attempt = one.url, one.attempts - 1
        if target is not None:
            secrets, url = target.secrets, target.at(attempt)
        elif one.guarded and self._keys is not None:
            secrets = self._keys(one.endpoint)
        else:
            return Answer(None, "this instance has no secret for the endpoint")
        headers = sign(secrets, id=one.id, body=one.body) | {"Content-Type": "application/json"}
        return await self._poster.post(url, headers, one.body, guarded=one.guarded, attempt=attempt)

    async def _settle(self, one: Claimed, answer: Answer, seconds: float) -> None:
        state, again_in = self._follows(one, answer)
        if answer.status == GONE:
            await endpoints.disable(self._db, one.endpoint, "it answered 410")
            log.warning("webhook endpoint disabled", **_facts(one))
        await stored.settle(self._db, one, answer, state=state, again_in=again_in, seconds=seconds)
        outcome = "retried" if state == "pending" else state
        _deliveries.add(1, {"weft.webhook.outcome": outcome})
        facts = _facts(one) | {"weft.webhook.outcome": outcome}
        if answer.status is not None:
            facts["http.response.status_code"] = answer.status
        if answer.taken:
            log.info("webhook delivered", **facts)
        else:
            log.warning("webhook not taken", **facts, **{"weft.why": answer.error or "its status"})

    def _follows(self, one: Claimed, answer: Answer) -> tuple[str, float]:
        """Return the webhook's state from now on, and the seconds until the next attempt."""
        if answer.taken:
            return "delivered", 0.0
        target = self._targets.get(one.endpoint)
        pause = (target.schedule if target else self._schedule).pause_after(one.tries)
        if pause is None or answer.status == GONE:
            return "failed", 0.0
        return "pending", max(pause, answer.retry_after)

    async def _count(self) -> None:
        if time.monotonic() >= self._count_at:
            self._count_at = time.monotonic() + _COUNT_EVERY
            self._waiting = await stored.pending(self._db)

    def _pending(self) -> float:
        return self._waiting[0]

    def _age(self) -> float:
        return self._waiting[1]


def _facts(one: Claimed) -> dict[str, Any]:
    return {
        "weft.webhook.id": one.id,
        "weft.webhook.endpoint": one.endpoint,
        "weft.webhook.type": one.type,
        "weft.webhook.attempt": one.attempts,
    }
