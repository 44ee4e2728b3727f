"""Tells the customer, by webhook, how pending authorisations ended."""

import asyncio
import contextlib
import random
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from services.card_provider import store
from services.card_provider.domain import Habits, Status
from services.card_provider.store import Notice
from weft.errors import Unavailable
from weft.http import HttpClient
from weft.postgres import Database
from weft.settings import Secret
from weft.telemetry import attach, detach, get_logger
from weft.webhooks import sign

PATH: Final = "/v1/webhooks/card-provider"
SCAN: Final = 0.25
"""Seconds between two looks for what is due."""
LEASE: Final = 15.0
"""Seconds after which another instance tells what this one has claimed."""
AT_ONCE: Final = 32
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
"""Seconds after which a notice that was not taken is told again, at first and at most."""
AGAIN: Final = 0.5
"""Seconds after which a webhook that was taken comes a second time."""

log = get_logger(__name__)


class Notices:
    """Component: tells what is due. The customer may be away; that is no fault of the provider."""

    def __init__(self, db: Database, client: HttpClient, secret: Secret, habits: Habits) -> None:
        self.name = "notices"
        self._db = db
        self._client = client
        self._secret = secret
        self._habits = habits
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to tell."""
        await self._client.start()
        self._task = asyncio.create_task(self._run(), name=self.name)

    async def check(self) -> None:
        """Raise Unavailable if nothing is told any more."""
        if self._task is None or self._task.done():
            raise Unavailable(self.name, "not running")

    async def stop(self) -> None:
        """Tell nothing more; what was not taken is told after the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._client.stop()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(Unavailable):
                due = await store.claim_notices(self._db, limit=AT_ONCE, lease=LEASE)
                await asyncio.gather(*(self._tell(notice) for notice in due))
            await asyncio.sleep(SCAN * random.uniform(0.8, 1))

    async def _tell(self, notice: Notice) -> None:
        times = self._habits.times(notice.payment_id)
        again_in = await self._told(notice, times) if times else None
        await store.settle_notice(self._db, notice, again_in=again_in)

    async def _told(self, notice: Notice, times: int) -> float | None:
        """Call the webhook; return the seconds until the next time, None after the last."""
        token = attach(notice.carrier)
        try:
            taken = await self._post(notice)
            if not taken:
                log.warning("webhook was not taken", **{"weft.payment.id": notice.payment_id})
        finally:
            detach(token)
        if not taken:
            return pause(notice.attempts)
        return AGAIN if notice.attempts < times else None

    async def _post(self, notice: Notice) -> bool:
        body = msgspec.json.encode(_body(notice))
        identity = f"{notice.payment_id}.{Status.AUTHORIZED}"
        headers = sign(self._secret, id=identity, body=body) | {"Content-Type": "application/json"}
        try:
            response = await self._client.request("POST", PATH, body=body, headers=headers)
        except Unavailable:
            return False
        return 200 <= response.status < 300  # noqa: PLR2004 - any success


def pause(attempts: int) -> float:
    """Return the seconds to wait after the `attempts`th try: doubled each time, with jitter."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempts - 1, 16)) * random.uniform(0.5, 1)


def _body(notice: Notice) -> dict[str, Any]:
    """Say what was decided, as it was: meanwhile the payment may have been captured or voided."""
    return {
        "type": "authorization.updated",
        "timestamp": datetime.now(UTC).isoformat(),
        "data": {"payment_id": notice.payment_id, "status": Status.AUTHORIZED},
    }
