"""The real Alertmanager with the configuration of this project: what explains what."""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from stack import parts
from tests.integration.shop.kit import until
from tests.ports import free_port
from weft.alertmanager import HookBody
from weft.http import HttpServer, Reply, Request, Routes

CONFIG = Path(__file__).resolve().parents[2] / "alertmanager" / "alertmanager.yml"
KEY = "a key of the tests"
BROKER = {"alertname": "RabbitMQDown", "service_name": "rabbitmq", "severity": "critical"}
QUEUE = {
    "alertname": "ConsumerMissing",
    "service_name": "orders",
    "severity": "warning",
    "follows_from": "rabbitmq",
}
EITHER = {
    "alertname": "InstanceNotReady",
    "service_name": "payments",
    "severity": "critical",
    "follows_from": "rabbitmq postgres",
}
DATABASE = {
    "alertname": "SlowStatements",
    "service_name": "reports",
    "severity": "warning",
    "follows_from": "postgres",
}
"""The control: it has nothing to do with the broker."""
DATABASE_AWAY = DATABASE | {"alertname": "PostgreSQLDown", "severity": "critical"}


class Alertmanager:
    """The running process: `told` is what it told the notifier, by alert and status."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.told: list[tuple[str, str]] = []
        self._url = url
        self._http = http

    async def hook(self, request: Request, body: HookBody) -> Reply[None]:
        """Take what the notifier is told."""
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        self.told += [(one.labels["alertname"], one.status) for one in body.alerts]
        return Reply()

    async def begin(self, *alerts: dict[str, str]) -> None:
        """Let alerts fire."""
        await self._post(alerts, datetime.now(UTC) + timedelta(minutes=5))

    async def end(self, *alerts: dict[str, str]) -> None:
        """Let alerts end."""
        await self._post(alerts, datetime.now(UTC))

    async def held_back(self) -> set[str]:
        """Return the names of the alerts that others explain."""
        async with self._http.get(f"{self._url}/api/v2/alerts") as answer:
            known = await answer.json()
        return {one["labels"]["alertname"] for one in known if one["status"]["inhibitedBy"]}

    async def hears(self, name: str, status: str = "firing") -> None:
        """Wait until the notifier is told."""

        async def told() -> bool:
            return (name, status) in self.told

        await until(told)

    async def ready(self) -> bool:
        with suppress(aiohttp.ClientError):
            async with self._http.get(f"{self._url}/-/ready") as answer:
                return answer.status == 200
        return False

    async def _post(self, alerts: tuple[dict[str, str], ...], ends: datetime) -> None:
        body = [{"labels": labels, "endsAt": ends.isoformat()} for labels in alerts]
        async with self._http.post(f"{self._url}/api/v2/alerts", json=body) as answer:
            assert answer.status == 200, await answer.text()


@pytest.fixture
async def alertmanager(tmp_path: Path) -> AsyncIterator[Alertmanager]:
    """One with the configuration of this project, which tells this test instead of the notifier."""
    found = parts.find("alertmanager")
    assert found is not None, "Alertmanager is not installed: run `weft up` once"
    port, routes = free_port(), Routes()
    shutil.copy(CONFIG, tmp_path)
    async with aiohttp.ClientSession() as http:
        running = Alertmanager(f"http://127.0.0.1:{port}", http)
        routes.post("/hook", public=True, status=204)(running.hook)
        server = HttpServer("notifier", routes, port=0)
        await server.start()
        server.open()
        (tmp_path / "targets").mkdir()
        for receiver in ("notifier", "report_runner"):
            hook = f"http://127.0.0.1:{server.port}/hook"
            (tmp_path / "targets" / receiver).write_text(hook)
        (tmp_path / "targets" / "alerts-key").write_text(KEY)
        process = await asyncio.create_subprocess_exec(
            found.binaries["alertmanager"],
            f"--config.file={CONFIG.name}",
            f"--storage.path={tmp_path / uuid.uuid4().hex}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
            cwd=tmp_path,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await until(running.ready)
            yield running
        finally:
            process.terminate()
            await process.wait()
            await server.stop()


async def test_a_broker_that_is_down_holds_back_what_follows_from_it_and_nothing_else(
    alertmanager: Alertmanager,
) -> None:
    await alertmanager.begin(BROKER)
    await alertmanager.hears("RabbitMQDown")
    await alertmanager.begin(QUEUE, EITHER, DATABASE)
    await alertmanager.hears("SlowStatements")
    assert await alertmanager.held_back() == {"ConsumerMissing", "InstanceNotReady"}
    assert {name for name, _ in alertmanager.told} == {"RabbitMQDown", "SlowStatements"}

    await alertmanager.end(BROKER)
    for name in ("ConsumerMissing", "InstanceNotReady"):
        await alertmanager.hears(name)
    assert await alertmanager.held_back() == set()


async def test_without_the_broker_being_down_nothing_is_held_back(
    alertmanager: Alertmanager,
) -> None:
    await alertmanager.begin(QUEUE, DATABASE)
    for name in ("ConsumerMissing", "SlowStatements"):
        await alertmanager.hears(name)
    await alertmanager.begin(DATABASE_AWAY)
    await alertmanager.hears("PostgreSQLDown")
    assert await alertmanager.held_back() == {"SlowStatements"}
