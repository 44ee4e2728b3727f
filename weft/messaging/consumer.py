"""Consuming with bounded prefetch and concurrency, through outages of broker and dependencies."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

from aiormq.abc import AbstractConnection
from aiormq.exceptions import ChannelNotFoundEntity

from weft.errors import Unavailable
from weft.flags import faults
from weft.messaging.backoff import Backoff
from weft.messaging.broker import Broker
from weft.messaging.errors import TopologyError
from weft.messaging.meters import Meters
from weft.messaging.processing import Handler, Processing
from weft.messaging.publisher import Publisher
from weft.messaging.session import Session, open_session
from weft.messaging.talk import DEADLINE, LOST, why
from weft.telemetry import get_logger

_log = get_logger(__name__)

ResumeCheck = Callable[[], Awaitable[None]]


class Consumer:
    """A Component: gives each message of `queue` to `handler` and then acknowledges it.

    A handler that raises has spent an attempt of the message: it comes again after the queue's
    delays and is a dead letter after the last, unless its type is in `endless`. One that raises
    Unavailable has spent none: the consumer gives back what it holds and waits, with back-off,
    until `resume_check` passes (without one, only for the back-off). What raises Unparsable is a
    dead letter at once.

    At most `prefetch` messages are held and `concurrency` of them in hand. A handler that takes
    longer than `deadline` seconds has failed; `stop` gives those in hand `drain` seconds. Between
    `pause` and `resume` the messages are left to other consumers.
    """

    def __init__(
        self,
        broker: Broker,
        queue: str,
        handler: Handler,
        *,
        prefetch: int = 64,
        concurrency: int = 16,
        endless: Collection[str] = (),
        resume_check: ResumeCheck | None = None,
        publisher: Publisher | None = None,
        deadline: float = 30.0,
        drain: float = 10.0,
    ) -> None:
        self.name = f"{queue} consumer"
        self._broker = broker
        self._queue = queue
        self._processing = Processing(
            broker.queue(queue),
            handler,
            publisher or Publisher(broker),
            endless=endless,
            deadline=deadline,
        )
        self._prefetch = max(prefetch, concurrency)
        self._concurrency = concurrency
        self._resume_check = resume_check
        self._deadline = deadline
        self._drain = drain
        self._session: Session | None = None
        self._hands: set[asyncio.Task[None]] = set()
        self._away: Unavailable | None = None
        self._said = False
        self._pauses = Backoff(0.2)
        self._consuming = asyncio.Event()
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._supervisor: asyncio.Task[None] | None = None
        self._meters = Meters(queue)

    async def start(self) -> None:
        """Begin to consume and return when the broker delivers; at once if it is paused."""
        self._meters.limits(prefetch=self._prefetch, concurrency=self._concurrency)
        self._supervisor = asyncio.create_task(self._supervise(), name=self.name)
        if self._wanted.is_set():
            await self._consuming.wait()

    def pause(self) -> None:
        """Take nothing new until `resume`; what is not in hand goes back to its queue."""
        self._wanted.clear()
        if self._session is not None:
            self._session.end(None)

    def resume(self) -> None:
        """Take messages again."""
        self._wanted.set()

    async def check(self) -> None:
        """Raise Unavailable while there is no connection to consume on."""
        if self._supervisor is None or self._supervisor.done():
            raise Unavailable(self.name, "it does not run")
        self._broker.consuming.connection_now()

    async def stop(self) -> None:
        """Take nothing new, finish what is in hand within the drain time, give back the rest."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        session = self._session
        if session is not None:
            await self._let_go(session)
        _, late = await _wait(self._hands, self._drain)
        for hand in late:
            hand.cancel()
        await _wait(late, DEADLINE)
        if session is not None:
            await session.close()

    async def _supervise(self) -> None:
        backoff = Backoff()
        clock = asyncio.get_running_loop().time
        while True:
            await self._wanted.wait()
            connection = await self._broker.consuming.connection()
            since = clock()
            try:
                session = await self._begin(connection)
            except (*LOST, TopologyError, Unavailable) as error:
                await self._refused(connection, error)
                await asyncio.sleep(backoff.next())
                continue
            self._said = False
            if not self._wanted.is_set():
                session.end(None)
            away = await session.ended
            await self._let_go(session)
            if session.alive:
                await _wait(self._hands, self._deadline)
                await self._let_go(session)
                await session.close()
            if away is not None:
                await self._pause(away)
                continue
            if not self._wanted.is_set():
                continue
            if clock() - since > DEADLINE:
                backoff.reset()
            await asyncio.sleep(backoff.next())

    async def _begin(self, connection: AbstractConnection) -> Session:
        self._session = session = await open_session(connection)
        try:
            await session.consume(self._queue, self._prefetch, self._fill)
        except ChannelNotFoundEntity:
            await self._broker.declare()
            raise
        self._consuming.set()
        return session

    async def _refused(self, connection: AbstractConnection, error: BaseException) -> None:
        if self._session is not None:
            await self._session.close()
        if not connection.is_closed and not self._said:
            self._said = True
            facts = {"messaging.destination.name": self._queue, "weft.why": why(error)}
            _log.warning("consumer cannot consume", **facts)

    async def _let_go(self, session: Session) -> None:
        await session.cancel()
        while session.waiting:
            message = session.waiting.popleft()
            await self._processing.give_back(session, message)

    async def _pause(self, away: Unavailable) -> None:
        """Wait until the dependency is back; say its absence once, until a message went through."""
        self._meters.paused(flag=True)
        if self._away is None:
            facts = {"weft.component": away.dependency, "weft.why": away.why}
            _log.warning("consumer pauses", **{"messaging.destination.name": self._queue, **facts})
        self._away = away
        while True:
            await asyncio.sleep(self._pauses.next())
            if await self._may_resume():
                break
        self._meters.paused(flag=False)

    async def _may_resume(self) -> bool:
        if faults.CONSUMER_PAUSED in faults.ACTIVE:
            return False
        if self._resume_check is None:
            return True
        try:
            async with asyncio.timeout(DEADLINE):
                await self._resume_check()
        except Exception:  # noqa: BLE001 - any failure means: not yet
            return False
        return True

    def _fill(self) -> None:
        """Put a waiting message into a free hand."""
        session = self._session
        if session is None or not session.taking or not session.waiting:
            return
        if len(self._hands) < self._concurrency:
            hand = asyncio.create_task(self._hand(session))
            self._hands.add(hand)
            hand.add_done_callback(self._freed)
            self._meters.in_flight(len(self._hands))

    def _freed(self, hand: asyncio.Task[None]) -> None:
        self._hands.discard(hand)
        self._meters.in_flight(len(self._hands))
        self._fill()

    async def _hand(self, session: Session) -> None:
        while session.taking and session.waiting:
            if faults.CONSUMER_PAUSED in faults.ACTIVE:
                session.end(Unavailable("fault", faults.CONSUMER_PAUSED))
                return
            try:
                done = await self._processing.process(session, session.waiting.popleft())
            except Exception as error:  # noqa: BLE001 - the message must come again all the same
                _log.exception("consumer failed", error)
                session.end(None)
                return
            if done and self._away is not None:
                self._recovered(self._away)

    def _recovered(self, away: Unavailable) -> None:
        self._away = None
        self._pauses.reset()
        facts = {"messaging.destination.name": self._queue, "weft.component": away.dependency}
        _log.info("consumer goes on", **facts)


async def _wait(
    hands: set[asyncio.Task[None]], seconds: float
) -> tuple[set[asyncio.Task[None]], set[asyncio.Task[None]]]:
    """Wait for tasks; return those that ended in time and those that did not."""
    return await asyncio.wait(hands, timeout=seconds) if hands else (set(), set())
