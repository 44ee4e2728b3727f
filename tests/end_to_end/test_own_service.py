"""examples/hello.py beside the running system: what the user of the chassis gets for 30 lines."""

import asyncio
import json
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aio_pika
import aiohttp
import asyncpg
import pytest
from aiormq.exceptions import ChannelAccessRefused

from stack.backends.connect import Backends, connect
from stack.backends.http import BackendError
from stack.credentials import VHOST
from stack.system import System as Stack
from tests.end_to_end.outside import Running
from tests.shared import Run
from weft.backends.loki import LogLine
from weft.backends.trace import Span, Trace
from weft.ids import uuid7

ROOT = Path(__file__).resolve().parents[2]
HELLO = ROOT / "examples" / "hello.py"
WEFT = Path(sys.executable).with_name("weft")
START_SECONDS = 120.0
DRAIN_SECONDS = 60.0
T = TypeVar("T")


@dataclass
class Own:
    """A service that `weft run` runs in the foreground, as in a terminal of its own."""

    process: subprocess.Popen[bytes]
    output: Path
    url: str = ""

    @property
    def said(self) -> str:
        return self.output.read_text()

    def interrupt(self) -> int:
        """Press Ctrl-C; return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(DRAIN_SECONDS)


@contextmanager
def run(system: Running, file: Path, output: Path) -> Iterator[Own]:
    """Give the service while it runs; what is left of it at the end is killed."""
    with output.open("wb") as written:
        process = subprocess.Popen(
            [WEFT, "run", file],
            env=system.environment,
            stdout=written,
            stderr=subprocess.STDOUT,
        )
    own = Own(process, output)
    try:
        end = time.monotonic() + START_SECONDS
        while "service ready" not in own.said:
            assert process.poll() is None, own.said
            assert time.monotonic() < end, own.said
            time.sleep(0.05)
        own.url = own.said.split("listens on ")[1].split(";")[0]
        yield own
    finally:
        process.kill()
        process.wait(DRAIN_SECONDS)


@pytest.fixture(scope="module")
def hello(system: Running, shared: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    """The example; a system that did not know it before has no more of it, nor of its dead."""
    mine = not Stack.load(system.environment).credentials.path("hello.broker-url").exists()
    with ExitStack() as stack:
        with shared.turn(alone=True):
            output = tmp_path_factory.mktemp("hello") / "output"
            own = stack.enter_context(run(system, HELLO, output))
        yield own
    if mine:
        with shared.turn(alone=True):
            assert system.weft("forget", "hello", "--yes").returncode == 0


@pytest.fixture
async def backends(system: Running) -> AsyncIterator[Backends]:
    async with connect(Stack.load(system.environment)) as clients:
        yield clients


async def eventually(ask: Callable[[], Awaitable[T]], what: str, seconds: float = 60) -> T:
    """Ask until there is an answer that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(BackendError):
            if answer := await ask():
                return answer
        await asyncio.sleep(0.2)
    raise AssertionError(f"not within {seconds} s: {what}")


def somebody() -> str:
    return f"anna-{secrets.token_hex(6)}"


async def greet(backends: Backends, own: Own, name: str) -> str:
    """Ask for a greeting; return its trace id."""
    async with backends.session.post(f"{own.url}/hello/{name}") as answer:
        assert answer.status == 202, await answer.text()
        assert await answer.json() == {"greeting": f"Hello, {name.title()}!"}
        return answer.headers["x-trace-id"]


async def counted(backends: Backends, own: Own, name: str) -> int:
    async with backends.session.get(f"{own.url}/hello/{name}") as answer:
        times: int = (await answer.json())["times"]
        return times


async def test_a_greeting_is_one_trace_from_the_request_to_the_table(
    hello: Own, backends: Backends
) -> None:
    trace_id = await greet(backends, hello, somebody())

    async def settled() -> Trace | None:
        trace = await backends.jaeger.settled(trace_id)
        return (
            trace if trace and any(span.name.startswith("ack ") for span in trace.spans) else None
        )

    trace = await eventually(settled, "the whole trace")
    assert trace.orphans == []
    assert {span.service for span in trace.spans} == {"hello"}
    assert [span for span in trace.spans if span.error] == []

    def under(parent: Span, name: str) -> Span:
        [span] = [
            one for one in trace.spans if one.name == name and one.parent_id == parent.span_id
        ]
        return span

    [root] = trace.roots
    assert (root.kind, root.name) == ("server", "POST /hello/{name}")
    own_function = under(root, "greeting")
    assert own_function.kind == "internal"
    assert own_function.attributes["code.function.name"] == "__main__.greeting"
    sent = under(root, "send weft.events:hello.greeted")
    handled = under(sent, "process hello.events")
    under(handled, "INSERT greetings")
    under(handled, "ack hello.events")


async def test_its_log_line_is_found_by_the_trace_and_has_its_facts(
    hello: Own, backends: Backends
) -> None:
    name = somebody()
    trace_id = await greet(backends, hello, name)

    async def line() -> LogLine | None:
        lines = await backends.loki.of_trace(
            trace_id, since=time.time() - 60, until=time.time() + 60
        )
        return next((line for line in lines if line.message == "greeting counted"), None)

    found = await eventually(line, "the log line")
    assert (found.service, found.facts["hello_name"]) == ("hello", name)


@pytest.mark.parametrize(
    "metric",
    [
        "http_server_request_duration_seconds_count",
        "db_client_operation_duration_seconds_count",
        "messaging_process_duration_seconds_count",
        "weft_consumer_messages_total",
        "weft_event_loop_lag_seconds",
    ],
)
async def test_its_metrics_are_in_prometheus(hello: Own, backends: Backends, metric: str) -> None:
    await greet(backends, hello, somebody())

    async def there() -> bool:
        return bool(await backends.prometheus.query(f'{metric}{{service_name="hello"}}'))

    await eventually(there, metric)


async def poison(backends: Backends, trace_id: str) -> str:
    """Send hello what it cannot read, with a secret in it; return the message's identity."""
    broker = await aio_pika.connect(backends.system.credentials.broker_url("weft_admin", VHOST))
    identity = uuid7()
    async with broker:
        channel = await broker.channel()
        events = await channel.get_exchange("weft.events", ensure=False)
        message = aio_pika.Message(
            b'{"name": 7, "token": "tok_hello"}',
            message_id=identity,
            type="hello.greeted.v1",
            headers={"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"},
        )
        await events.publish(message, "hello.greeted")
    return identity


async def letters(system: Running, *arguments: str) -> str:
    """Run `weft dead-letters`; return what it printed."""
    done = await asyncio.to_thread(system.weft, "dead-letters", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def shown(system: Running, identity: str) -> dict[str, Any] | None:
    """The dead letter as `show` has it, once it is there."""
    done = await asyncio.to_thread(system.weft, "dead-letters", "show", identity, "--json")
    found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return found[0] if found else None


async def test_a_poison_message_is_a_dead_letter_and_stops_nobody(
    hello: Own, backends: Backends
) -> None:
    identity = await poison(backends, secrets.token_hex(16))
    management = backends.system.credentials.management_url()

    async def dead() -> bool:
        path = f"/api/queues/{VHOST}/hello.events.dead/get"
        ask = {"count": 100, "ackmode": "ack_requeue_true", "encoding": "auto"}
        async with backends.session.post(management + path, json=ask) as answer:
            return identity in await answer.text()

    await eventually(dead, "the dead letter")
    name = somebody()
    await greet(backends, hello, name)

    async def handled() -> bool:
        return await counted(backends, hello, name) == 1

    await eventually(handled, "the next message")


@pytest.mark.timeout(300)  # each `weft` is a process of its own
async def test_an_operator_sees_replays_and_drops_its_dead_letters(
    system: Running, hello: Own, backends: Backends
) -> None:
    del hello
    trace_id = secrets.token_hex(16)
    identity = await poison(backends, trace_id)
    letter = await eventually(lambda: shown(system, identity), "the dead letter")
    assert letter["body"] == '{"name":7,"token":"***"}'
    assert (letter["queue"], letter["message_type"]) == ("hello.events", "hello.greeted.v1")
    assert (letter["reason"], letter["attempts"], letter["replays"]) == ("unparsable", 1, 0)
    assert letter["trace_id"] == trace_id

    groups = json.loads(await letters(system, "list", "--queue", "hello.events", "--json"))
    [group] = [one for one in groups if one["group"] == letter["group"]]
    assert (group["queue"], group["error_type"]) == ("hello.events", "Unparsable")
    assert group["count"] >= 1

    assert "hello.events: 1 sent back" in await letters(system, "replay", identity)

    async def traced() -> Trace | None:
        trace = await backends.jaeger.trace(trace_id)
        attempts = [one for one in trace.spans if one.name == handling] if trace else []
        return trace if len(attempts) == 2 else None

    handling = "process hello.events"
    trace = await eventually(traced, "the trace with both attempts")
    [sent] = [span for span in trace.spans if span.service == "operator"]
    assert sent.name == "send hello.direct:hello.events"
    assert [one.name for one in trace.spans if one.parent_id == sent.span_id] == [handling]

    again = await eventually(lambda: shown(system, identity), "the letter that died again")
    assert (again["trace_id"], again["replays"]) == (trace_id, 1)
    assert "hello.events: 1 deleted" in await letters(system, "drop", identity, "--yes")


async def test_it_may_not_touch_what_belongs_to_others(hello: Own, backends: Backends) -> None:
    del hello
    credentials = backends.system.credentials
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(credentials.database_url("hello", "orders"))
    broker = await aio_pika.connect(credentials.broker_url("hello", VHOST))
    async with broker:
        channel = await broker.channel()
        with pytest.raises(ChannelAccessRefused):
            await (await channel.get_queue("orders.events", ensure=False)).get(fail=False)
        channel = await broker.channel()
        events = await channel.get_exchange("weft.events", ensure=False)
        with pytest.raises(ChannelAccessRefused):
            await events.publish(aio_pika.Message(b"{}"), "order.confirmed")


def test_it_is_given_none_of_the_systems_secrets(hello: Own) -> None:
    given = Path(f"/proc/{hello.process.pid}/environ").read_text().split("\0")
    names = {line.partition("=")[0] for line in given}
    assert names >= {"WEFT_DATABASE_URL_FILE", "WEFT_BROKER_URL_FILE", "WEFT_JWKS"}
    assert not {name for name in names if "ADMIN" in name or "SIGNING" in name}
    assert "WEFT_DATABASE_URL" not in names
    assert not {name for name in names if name.startswith("WEFT_ORDERS_DATABASE")}


def hello_as(file: Path) -> Path:
    """Write the example as a service of another name."""
    file.write_text(HELLO.read_text().replace('"hello', f'"{file.stem}'))
    return file


@pytest.mark.alone
async def test_ctrl_c_drains_it_and_what_it_accepted_is_counted_once(
    system: Running, backends: Backends, tmp_path: Path
) -> None:
    file = hello_as(tmp_path / "second.py")
    names = [somebody() for _ in range(60)]
    accepted = []

    async def ask(own: Own, name: str) -> None:
        with suppress(aiohttp.ClientError):
            async with backends.session.post(f"{own.url}/hello/{name}") as answer:
                if answer.status == 202:
                    accepted.append(name)
                if len(accepted) == 10:
                    own.process.send_signal(signal.SIGINT)

    with run(system, file, tmp_path / "first") as own:
        await asyncio.gather(*(ask(own, name) for name in names))
        assert own.process.wait(DRAIN_SECONDS) == 0
        assert "service stopped" in own.said
        assert "did not drain in time" not in own.said
    assert len(accepted) >= 10

    with run(system, file, tmp_path / "again") as own:

        async def all_counted() -> bool:
            times = [await counted(backends, own, name) for name in accepted]
            return times == [1] * len(accepted)

        await eventually(all_counted, "every accepted greeting")
        assert own.interrupt() == 0
    assert system.weft("forget", "second", "--yes").returncode == 0


@pytest.mark.alone
async def test_what_is_forgotten_leaves_nothing_behind(
    system: Running, backends: Backends, tmp_path: Path
) -> None:
    with run(system, hello_as(tmp_path / "third.py"), tmp_path / "output") as own:
        await greet(backends, own, somebody())
        assert own.interrupt() == 0
    done = system.weft("forget", "third", "--yes")
    assert done.returncode == 0, done.stderr

    credentials = backends.system.credentials
    for kind in ("queues", "exchanges", "permissions"):
        path = f"/api/{kind}/{VHOST}" if kind != "permissions" else "/api/permissions"
        async with backends.session.get(credentials.management_url() + path) as answer:
            assert "third" not in await answer.text()
    admin = await asyncpg.connect(credentials.database_url("weft_admin", "postgres"))
    try:
        names = "SELECT datname FROM pg_database UNION ALL SELECT rolname FROM pg_roles"
        assert "third" not in {row[0] for row in await admin.fetch(names)}
    finally:
        await admin.close()
    assert not [one.name for one in backends.system.home.secrets.iterdir() if "third" in one.name]
    assert system.weft("forget", "third", "--yes").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("examples/nobody.py",), 2, "does not exist"),
        ((str(HELLO), "--name", "orders"), 2, "--name orders: expected one that the system does"),
        ((str(HELLO), "--name", "no name"), 2, "--name no name: expected a-z"),
    ],
)
def test_what_cannot_be_run_says_why(
    system: Running, arguments: tuple[str, ...], code: int, why: str
) -> None:
    done = system.weft("run", *arguments)
    assert done.returncode == code
    assert why in " ".join((done.stdout + done.stderr).replace("│", "").split())
