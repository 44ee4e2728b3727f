"""Takes what is told of alerts: news go into the inbox and to the channels, the rest is dropped."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from services.notifier import domain, store
from services.notifier.channels import Channel
from services.notifier.domain import Alert, Notice
from weft.alertmanager import digest
from weft.ids import uuid7
from weft.postgres import Database, Transaction
from weft.telemetry import counter, current_carrier, get_logger

log = get_logger(__name__)
_notices = counter("weft.notifier.notices", "{notice}", "Messages put into the inbox, by status.")


class Inbox:
    """The inbox of one database. `storm_limit` is how many messages a channel takes in a minute."""

    def __init__(
        self,
        db: Database,
        channels: Sequence[Channel],
        *,
        storm_limit: int,
        now: Callable[[], datetime],
    ) -> None:
        self._db = db
        self._channels = channels
        self._storm_limit = storm_limit
        self._now = now
        self.filled: Final = asyncio.Event()
        """Set when there is something to deliver."""

    async def take(self, group_key: str, alerts: Sequence[Alert]) -> bool:
        """Take a group of alerts; return whether people are told. Raises Unavailable."""
        group = digest(group_key)
        async with self._db.transaction() as tx:
            await store.lock_group(tx, group)
            now = self._now()
            news = await self._remember(tx, group, alerts, now)
            if not news and not domain.is_reminder(alerts, await store.told_at(tx, group), now):
                return False
            told = domain.notice(uuid7(), now, list(alerts))
            await self._put(tx, group, told, [c for c in self._channels if c.wants(told)])
        return True

    async def is_firing(self, group_key: str) -> bool:
        """Whether people believe that something of the group fires. Raises Unavailable."""
        return await store.is_firing(self._db, digest(group_key))

    async def count_held(self, channel: Channel) -> None:
        """Tell a channel how many messages a storm held back, once it is over."""
        async with self._db.transaction() as tx:
            now = self._now()
            held = await store.count_held(tx, channel.name, now)
            if held:
                told = Notice(
                    identity=uuid7(),
                    at=now,
                    status="firing",
                    severity="warning",
                    title=f"{held} more messages are in the inbox: there were too many at once",
                    alerts=[],
                )
                await self._put(tx, f"storm {channel.name}", told, [channel])

    async def _remember(
        self, tx: Transaction, group: str, alerts: Sequence[Alert], now: datetime
    ) -> bool:
        """Keep what was heard; return whether any of it is news."""
        known = await store.known(tx, group)
        news = False
        for alert in alerts:
            before = known.get(alert.fingerprint)
            news |= domain.is_news(alert, before, now)
            if domain.is_worth_keeping(alert, before, now):
                await store.remember(tx, group, alert, now)
        return news

    async def _put(
        self, tx: Transaction, group: str, told: Notice, channels: Sequence[Channel]
    ) -> None:
        names = [channel.name for channel in channels]
        carrier, limit = current_carrier(), self._storm_limit
        await store.put(tx, group, told, names, carrier=carrier, storm_limit=limit)
        tx.on_commit(lambda: self._arrived(told))

    def _arrived(self, told: Notice) -> None:
        _notices.add(1, {"status": told.status})
        log.event(
            "weft.change.alert",
            "notice in the inbox",
            **{"weft.notice.title": told.title, "weft.notice.status": told.status},
        )
        self.filled.set()
