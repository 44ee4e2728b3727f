"""Several messages in one transaction: whoever comes while one commits shares the next."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context, copy_context
from uuid import UUID

from weft.errors import Unavailable
from weft.messaging.message import Incoming, Message
from weft.postgres.handlers import Handler
from weft.postgres.transaction import Transaction

LIMIT = 50
"""Messages in one transaction at most."""


class Delivery:
    """A decoded message on its way to its handler, in the context it was delivered in."""

    def __init__(
        self, incoming: Incoming, identity: UUID, message: Message, handler: Handler
    ) -> None:
        self.incoming = incoming
        self.identity = identity
        self.handler = handler
        self._message = message
        self._context: Context | None = None
        self.fresh: asyncio.Future[bool] | None = None

    async def run(self, tx: Transaction) -> None:
        """Handle the message in `tx`; its statements belong to its own trace."""
        if self.handler.many:
            await self.run_for(tx, [self])
            return
        tx.cause = self.incoming.id
        await self._do(self.handler.function(tx, self._message, self.incoming))

    async def run_for(self, tx: Transaction, group: Sequence["Delivery"]) -> None:
        """Handle `group` at once, in this delivery's trace; its handler takes many."""
        tx.cause = None
        await self._do(self.handler.function(tx, [(one._message, one.incoming) for one in group]))  # noqa: SLF001 - of this class

    async def _do(self, work: Awaitable[None]) -> None:
        if self._context is None:
            await work
        else:
            await asyncio.create_task(_awaited(work), context=self._context)

    def set_aside(self) -> asyncio.Future[bool]:
        """Remember the present context for a later `run`; return where its result will be."""
        self._context = copy_context()
        self.fresh = asyncio.get_running_loop().create_future()
        return self.fresh


class Gathering:
    """Hands deliveries to `handle` in groups, which returns the identities that were new.

    A group that fails is handled once more one by one, so that a message answers for its own
    failure alone. At most one group is in hand.
    """

    def __init__(self, handle: Callable[[Sequence[Delivery]], Awaitable[set[UUID]]]) -> None:
        self._handle = handle
        self._waiting: list[Delivery] = []
        self._task: asyncio.Task[None] | None = None

    async def add(self, delivery: Delivery) -> bool:
        """Return whether the message was new, once it is committed; raises what its handler did."""
        future = delivery.set_aside()
        self._waiting.append(delivery)
        if self._task is None:
            self._task = asyncio.create_task(self._work(), context=Context())
        return await future

    async def _work(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:LIMIT], self._waiting[LIMIT:]
                if group := [one for one in group if not _given_up(one)]:
                    await self._together(group)
        finally:
            self._task = None

    async def _together(self, group: list[Delivery]) -> None:
        try:
            fresh = await self._handle(group)
        except Exception as error:  # noqa: BLE001 - it goes to those who wait for it
            if len(group) == 1 or isinstance(error, Unavailable):
                for one in group:
                    _fail(one, error)
                return
            for one in group:
                await self._together([one])
        else:
            for one in group:
                _succeed(one, fresh=one.identity in fresh)
                fresh.discard(one.identity)


def _given_up(delivery: Delivery) -> bool:
    return delivery.fresh is None or delivery.fresh.done()


def _succeed(delivery: Delivery, *, fresh: bool) -> None:
    if delivery.fresh is not None and not delivery.fresh.done():
        delivery.fresh.set_result(fresh)


def _fail(delivery: Delivery, error: Exception) -> None:
    if delivery.fresh is not None and not delivery.fresh.done():
        delivery.fresh.set_exception(error)


async def _awaited(work: Awaitable[None]) -> None:
    await work
