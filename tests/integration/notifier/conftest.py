"""The notifier as a process, on the real database, with keys and channels of the tests' own."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from tests.backing import database
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

    async def notices(self, name: str) -> list[dict[str, Any]]:
        """Return the messages about the alert of that name, the newest first."""
        found = (await self.inbox(query="?limit=200"))["notices"]
        return [
            notice
            for notice in found
            if any(alert["labels"]["alertname"] == name for alert in notice["alerts"])
        ]


Begin = Callable[..., Awaitable[Notifier]]


@pytest.fixture(scope="module")
async def begin(
    parts: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Begin]:
    """Start the notifier with the channels of a TOML text and other settings."""
    running: list[Running] = []
    folder = tmp_path_factory.mktemp("notifier")
    keys = Keys(folder)
    async with aiohttp.ClientSession() as http, database(parts) as url:

        async def start(channels: str = "", **settings: str) -> Notifier:
            file = folder / f"channels-{len(running)}"
            file.write_text(channels)
            chosen = environment(
                WEFT_DATABASE_URL=url,
                WEFT_ALERTS_KEY=KEY,
                WEFT_JWKS=str(keys.path),
                WEFT_NOTIFIER_CHANNELS_FILE=str(file),
                **settings,
            )
            one = Running("notifier", chosen, folder / f"notifier-{len(running)}.log")
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
    """An alert as Alertmanager tells it; `start` is in seconds after midnight."""
    return {
        "status": status,
        "labels": {"alertname": name, "severity": "warning", "service_name": "orders"}
        | more.get("labels", {}),
        "annotations": {"summary": "3 messages are dead", "runbook": f"docs/runbooks/{name}.md"}
        | more.get("annotations", {}),
        "startsAt": f"2026-11-26T00:{start // 60:02}:{start % 60:02}.123456789Z",
        "endsAt": "2026-11-26T01:00:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
        "generatorURL": "http://127.0.0.1:9090/graph",
        "fingerprint": more.get("fingerprint", "c4bd3c6a43ab8f5b"),
    }


def hook(*alerts: dict[str, Any], group: str = "", version: str = "4") -> dict[str, Any]:
    """A group of alerts as Alertmanager posts it; it is called after its first alert."""
    return {
        "version": version,
        "groupKey": group or alerts[0]["labels"]["alertname"],
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "notifier",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://127.0.0.1:9093",
        "alerts": list(alerts),
    }
