"""The commands against a running system: what they say is what is there."""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import aio_pika
import aiohttp
import asyncpg
import psutil
import pytest
from aiormq.exceptions import ChannelAccessRefused

from stack import backing, services

SERVICES = [each.name for each in services.SERVICES if each.name != services.TRAFFIC]
SHIPPED = [*backing.NAMES]


class Running(Protocol):
    environment: dict[str, str]

    def weft(self, *arguments: str, seconds: float = 100) -> subprocess.CompletedProcess[str]: ...
    def url(self, name: str) -> str: ...


def _status(system: Running) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(system.weft("status", "--json").stdout)
    return entries


def _entry(system: Running, name: str, instance: int = 0) -> dict[str, Any] | None:
    return next(
        (
            one
            for one in _status(system)
            if one["name"] == name and one.get("instance", 0) == instance
        ),
        None,
    )


async def _until(ask: Callable[[], Awaitable[bool]], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if await ask():
            return True
        await asyncio.sleep(0.5)
    return False


async def _get(url: str, **parameters: str) -> Any:
    async with aiohttp.ClientSession() as session, session.get(url, params=parameters) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


def test_status_names_every_program_and_every_one_is_ready(system: Running) -> None:
    # What an earlier test has stopped may be there again and not yet ready: Loki takes its time.
    waited = system.weft("status", "--wait", "60")
    assert waited.returncode == 0, waited.stdout
    entries = _status(system)
    names = {entry["name"] for entry in entries}
    assert names >= {*SERVICES, *backing.NAMES}
    assert {entry["name"]: entry["state"] for entry in entries} == dict.fromkeys(names, "ready")
    for entry in entries:
        assert psutil.pid_exists(entry["pid"])
        assert entry["memory_bytes"] > 1_000_000
        assert entry["uptime_s"] > 0
        assert (entry["kind"] == "service") == ("instance" in entry)


def test_the_pid_of_the_broker_is_the_process_that_is_the_broker(system: Running) -> None:
    entry = _entry(system, "rabbitmq")
    assert entry is not None
    assert psutil.Process(entry["pid"]).name() == "beam.smp"


def test_env_leads_to_databases_that_only_their_owners_may_open(system: Running) -> None:
    variables = json.loads(system.weft("env", "--json").stdout)

    async def opens(url: str) -> bool:
        try:
            connection = await asyncpg.connect(url, timeout=5)
        except asyncpg.InsufficientPrivilegeError:
            return False
        await connection.close()
        return True

    async def both() -> tuple[bool, bool]:
        own = variables["WEFT_ORDERS_DATABASE_URL"]
        others = urlunsplit(urlsplit(own)._replace(path="/payments"))
        return await opens(own), await opens(others)

    assert asyncio.run(both()) == (True, False)


async def test_a_database_role_has_the_timeouts_that_protect_the_horizon(system: Running) -> None:
    variables = json.loads(system.weft("env", "--json").stdout)
    connection = await asyncpg.connect(variables["WEFT_ORDERS_DATABASE_URL"], timeout=5)
    try:
        assert await connection.fetchval("SHOW idle_in_transaction_session_timeout") == "5s"
        assert await connection.fetchval("SHOW statement_timeout") == "10s"
    finally:
        await connection.close()


async def test_a_broker_user_cannot_touch_another_services_queues(system: Running) -> None:
    variables = json.loads(system.weft("env", "--json").stdout)
    connection = await aio_pika.connect(variables["WEFT_INVENTORY_BROKER_URL"], timeout=5)
    async with connection:
        channel = await connection.channel()
        with pytest.raises(ChannelAccessRefused):
            await channel.declare_queue("payments.commands", passive=False, durable=True)
        channel = await connection.channel()
        exchange = await channel.get_exchange("weft.events", ensure=False)
        with pytest.raises(ChannelAccessRefused):
            await exchange.publish(aio_pika.Message(b"{}"), routing_key="order.confirmed")


def test_a_shell_can_take_what_env_prints(system: Running) -> None:
    script = f"{system.weft('env').stdout}\necho $WEFT_GATEWAY_URL"
    said = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == system.url("gateway")


def test_a_token_says_what_was_asked_for(system: Running) -> None:
    said = json.loads(
        system.weft(
            *("token", "--subject", "alice", "--scope", "orders:read", "--scope", "ops"),
            *("--ttl", "15m", "--json"),
        ).stdout
    )
    assert said["subject"] == "alice"
    assert said["scopes"] == ["orders:read", "ops"]
    assert said["expires_at"].endswith("Z")
    assert said["token"].count(".") == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("token", "--subject", "a", "--scope", "orders:steal"),
        ("token", "--subject", "a", "--ttl", "soon"),
        ("token", "--subject", " "),
        ("scale", "kitchen", "2"),
        ("scale", "orders", "-1"),
        ("sing",),
    ],
)
def test_a_wrong_argument_is_exit_code_2(system: Running, arguments: tuple[str, ...]) -> None:
    done = system.weft(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


async def test_every_target_of_prometheus_is_up(system: Running) -> None:
    async def all_up() -> bool:
        said = await _get(f"{system.url('prometheus')}/api/v1/query", query="up")
        up = {one["metric"]["service_name"]: one["value"][1] for one in said["data"]["result"]}
        scraped = {*SERVICES, "rabbitmq", "otel-collector", "jaeger", "loki", "alertmanager"}
        return scraped <= up.keys() and set(up.values()) == {"1"}

    assert await _until(all_up)


async def test_the_depth_of_each_queue_is_a_metric(system: Running) -> None:
    async def known() -> bool:
        said = await _get(
            f"{system.url('prometheus')}/api/v1/query", query="rabbitmq_detailed_queue_messages"
        )
        return "weft.unrouted" in {one["metric"]["queue"] for one in said["data"]["result"]}

    assert await _until(known)


@pytest.mark.parametrize("part", SHIPPED)
async def test_the_logs_of_every_backing_part_reach_loki(system: Running, part: str) -> None:
    async def there() -> bool:
        said = await _get(
            f"{system.url('loki')}/loki/api/v1/query_range",
            query=f'{{service_name="{part}"}} | severity_text != ""',
            since="24h",
            limit="5",
        )
        return bool(said["data"]["result"])

    assert await _until(there)


async def test_only_three_labels_are_indexed(system: Running) -> None:
    said = await _get(f"{system.url('loki')}/loki/api/v1/labels", since="24h")
    assert set(said["data"]) == {
        "service_name",
        "service_namespace",
        "deployment_environment_name",
    }


@pytest.mark.alone
async def test_a_service_that_is_killed_is_back_and_counted(system: Running) -> None:
    before = _entry(system, "payments")
    assert before is not None
    os.kill(before["pid"], signal.SIGKILL)

    async def back() -> bool:
        now = _entry(system, "payments")
        return now is not None and now["state"] == "ready" and now["pid"] != before["pid"]

    assert await _until(back)
    after = _entry(system, "payments")
    assert after is not None
    assert after["restarts"] == before["restarts"] + 1


@pytest.mark.alone
@pytest.mark.timeout(240)
async def test_a_service_runs_as_many_instances_as_were_asked_for(system: Running) -> None:
    prometheus = f"{system.url('prometheus')}/api/v1/query"
    try:
        assert system.weft("scale", "inventory", "2", seconds=120).returncode == 0
        second = _entry(system, "inventory", 1)
        first = _entry(system, "inventory", 0)
        assert first is not None
        assert second is not None
        assert second["state"] == "ready"
        assert second["port"] == first["port"] + 100

        async def scraped() -> bool:
            said = await _get(prometheus, query='up{service_instance_id="inventory-1"}')
            return [one["value"][1] for one in said["data"]["result"]] == ["1"]

        assert await _until(scraped)
        gateway = _entry(system, "gateway")
        assert gateway is not None
        token = system.weft("token", "--subject", "instances").stdout.strip()

        async def asked() -> bool:
            """The gateway has heard of the second one, and sends it requests."""
            headers = {"Authorization": f"Bearer {token}"}
            async with (
                aiohttp.ClientSession(headers=headers) as session,
                session.get(f"{system.url('gateway')}/v1/products") as answer,
            ):
                assert answer.status == 200
            connections = psutil.Process(gateway["pid"]).net_connections("tcp")
            return second["port"] in {one.raddr.port for one in connections if one.raddr}

        assert await _until(asked)
    finally:
        assert system.weft("scale", "inventory", "1", seconds=120).returncode == 0
    assert _entry(system, "inventory", 1) is None


@pytest.mark.alone
@pytest.mark.timeout(240)
async def test_instances_of_the_gateway_share_its_port(system: Running) -> None:
    try:
        assert system.weft("scale", "gateway", "2", seconds=120).returncode == 0
        ports = {one["port"] for one in _status(system) if one["name"] == "gateway"}
        pids = {one["pid"] for one in _status(system) if one["name"] == "gateway"}
        assert len(ports) == 1
        assert len(pids) == 2
    finally:
        assert system.weft("scale", "gateway", "1", seconds=120).returncode == 0


@pytest.mark.alone
def test_a_second_up_changes_nothing_that_runs(system: Running) -> None:
    before = {(one["name"], one.get("instance")): one["pid"] for one in _status(system)}
    done = system.weft("up", seconds=120)
    assert done.returncode == 0, done.stderr
    assert "curl" in done.stdout
    after = {(one["name"], one.get("instance")): one["pid"] for one in _status(system)}
    assert after == before


def test_logs_shows_the_files_of_the_programs_that_were_named(system: Running) -> None:
    said = system.weft("logs", "orders", "postgres", "-n", "2").stdout
    assert {line.split()[0] for line in said.splitlines()} <= {"orders-0", "postgres"}
    assert "postgres" in said
    assert Path(system.environment["WEFT_HOME"], "logs", "postgres.log").exists()
