"""The notifier as a process, on the real database, with keys and channels of the test's own."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.shop.kit import Keys, Running, environment

KEY = "alerts-key-" + secrets.token_hex(8)
"""What Alertmanager authenticates with here."""


class Notifier:
    """The running process, and its callers."""

    def __init__(self, running: Running, keys: Keys, http: aiohttp.ClientSession) -> None:
        self.running = running
        self._keys = keys
        self._http = http

    async def hook(self, body: Any, key: str = KEY) -> tuple[int, Any]:
        """POST to the webhook; return the status and the answer."""
        headers = {"Authorization": f"Bearer {key}"}
        url = f"{self.running.url}/hooks/alertmanager"
        async with self._http.post(url, json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def inbox(self, scope: str = "ops", query: str = "") -> Any:
        """Return the page, or the status if it is not 200."""
        url = f"{self.running.url}/ops/inbox{query}"
        async with self._http.get(url, headers=self._keys.header(scope)) as answer:
            return await answer.json() if answer.status == 200 else answer.status

    async def notices(self) -> list[dict[str, Any]]:
        """Return the messages, the newest first."""
        found: list[dict[str, Any]] = (await self.inbox())["notices"]
        return found


Begin = Callable[..., Awaitable[Notifier]]


@pytest.fixture
async def begin(database_url: str, tmp_path: Path) -> AsyncIterator[Begin]:
    """Start the notifier with the channels of a TOML text and other settings."""
    running: list[Running] = []
    keys = Keys(tmp_path)
    async with aiohttp.ClientSession() as http:

        async def start(channels: str = "", **settings: str) -> Notifier:
            file = tmp_path / "channels"
            file.write_text(channels)
            file.chmod(0o600)
            chosen = environment(
                WEFT_DATABASE_URL=database_url,
                WEFT_ALERTS_KEY=KEY,
                WEFT_JWKS=str(keys.path),
                WEFT_NOTIFIER_CHANNELS_FILE=str(file),
                **settings,
            )
            one = Running("notifier", chosen, tmp_path / f"notifier-{len(running)}.log")
            running.append(one)
            await one.start()
            await one.ready()
            return Notifier(one, keys, http)

        yield start
        for one in running:
            await one.end()


def alert(
    status: str = "firing", *, name: str = "DeadLetters", start: int = 0, **more: Any
) -> dict[str, Any]:
    """An alert as Alertmanager tells it; `start` is in seconds after an hour."""
    return {
        "status": status,
        "labels": {"alertname": name, "severity": "warning", "service_name": "orders"}
        | more.get("labels", {}),
        "annotations": {"summary": "3 messages are dead", "runbook": f"docs/runbooks/{name}.md"},
        "startsAt": f"2026-11-26T00:{start // 60:02}:{start % 60:02}.123456789Z",
        "endsAt": "2026-11-26T01:00:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
        "generatorURL": "http://127.0.0.1:9090/graph",
        "fingerprint": more.get("fingerprint", "c4bd3c6a43ab8f5b"),
    }


def hook(*alerts: dict[str, Any], group: str = "{}:{}", version: str = "4") -> dict[str, Any]:
    """A group of alerts as Alertmanager posts it."""
    return {
        "version": version,
        "groupKey": group,
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "notifier",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://127.0.0.1:9093",
        "alerts": list(alerts),
    }
