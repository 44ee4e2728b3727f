"""docs/search.md: every query and command of it is run, and answers about the right things."""

import asyncio
import json
import math
import re
import secrets
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from typer.testing import CliRunner

from stack.backends.connect import Backends, connect
from stack.backends.http import BackendError
from stack.cli import app
from stack.system import System as Stack

PAGE = Path("docs/search.md").read_text(encoding="utf-8")
SCOPES = ("orders:read", "orders:write", "inventory:write")
TOKENS = ("tok_ok", "tok_declined", "tok_slow", "tok_flaky")
UNKNOWN = "01a208f8-5c8d-70cb-8247-aa19c2bb8542"
DEADLINE = 60.0
BLOCK = re.compile(r"^```(promql|logql|jaeger|sh)\n(.+?)^```$", re.MULTILINE | re.DOTALL)


class Running(Protocol):
    environment: dict[str, str]


def questions() -> dict[int, list[tuple[str, str]]]:
    """Number to (language, query), commands one by one."""
    found = {}
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        queries = []
        for language, text in BLOCK.findall(section):
            lines = text.splitlines() if language == "sh" else [text.strip()]
            queries += [(language, line) for line in lines]
        found[int(section.partition(".")[0])] = queries
    return found


QUESTIONS = questions()
ASKED = [(number, language, text) for number, all_ in QUESTIONS.items() for language, text in all_]

EXPECTED: dict[int, dict[str, list[str]]] = {
    1: {
        "promql": ["/v1/authorizations"],
        "logql": ["tok_slow"],
        "jaeger": ["tok_slow"],
        "sh": ["tok_slow"],
    },
    2: {key: ["tok_ok", "tok_declined", "unknown"] for key in ("logql", "jaeger", "sh")},
    3: {"logql": ["tok_flaky"], "promql": ["card_provider", "503"], "sh": ["tok_flaky"]},
    4: {"logql": ["tok_ok"], "jaeger": ["tok_ok"], "sh": ["ok_facts"]},
    5: {
        "promql": ["confirmed"],
        "jaeger": ["tok_ok"],
        "sh": ["tok_ok", "waiting for", "payments", "in all"],
    },
    6: {
        "promql": ["payment_declined"],
        "logql": ["payment_declined"],
        "sh": ["tok_declined", "payment_declined"],
    },
    7: {key: ["/v1/"] for key in ("promql", "logql", "sh")},
    8: {key: ["card_provider"] for key in ("promql", "logql", "sh")},
    9: {"promql": ["INSERT"], "jaeger": ["db.query.summary"], "sh": ["db_query_summary="]},
    10: {
        "promql": ["orders.events", "retried", "dead"],
        "logql": ["ReserveStock", "processed"],
        "sh": ["dead letters"],
    },
    11: {"promql": ["orders"], "sh": ["orders", "inventory", "payments"]},
    12: {
        "logql": ["unknown"],
        "promql": ["404"],
        "jaeger": ["unknown"],
        "sh": ["unknown"],
    },
    13: {"logql": ["tok_ok", "inventory"], "sh": ["request served", "orders"]},
    14: {"promql": ["orders"], "sh": ["see one: weft trace"]},
    15: {
        "promql": ["gateway", "payments"],
        "jaeger": ['"parent": "gateway", "child": "orders"', "card_provider"],
        "sh": ["gateway", "payments"],
    },
    16: {"logql": ["weft.change.start", "weft.change.deploy"], "sh": ["weft.change.start"]},
}
"""What each answer must have, in every query of a language: words, or the trace of an order."""


class Placed:
    """Orders of one user, by payment token, and a request of theirs for what is not there."""

    def __init__(self, user: str, traces: dict[str, str], order_id: str) -> None:
        self.user = user
        self.order_id = order_id
        self.traces = traces

    def fill_in(self, text: str) -> str:
        filled = text.replace("USER", self.user).replace("ORDER_ID", self.order_id)
        return filled.replace("TRACE_ID", self.traces["tok_ok"])

    def word(self, wanted: str) -> str:
        return {**self.traces, "ok_facts": self.order_id[-12:]}.get(wanted, wanted)


@pytest.fixture(scope="module")
def placed(system: Running) -> Placed:
    return asyncio.run(place(Stack.load(system.environment)))


async def place(stack: Stack) -> Placed:
    user = f"search-{secrets.token_hex(6)}"
    async with connect(stack) as backends:
        gateway = backends.gateway(user, SCOPES)
        sku = f"SEARCH-{secrets.token_hex(4)}"
        product = {"name": "test", "price": {"amount": "1.00", "currency": "EUR"}, "stock": 100}
        put = await gateway.call(
            "PUT", f"/v1/products/{sku}", headers=gateway._headers, json=product
        )
        assert put.status == 201, put.body
        orders = {token: await gateway.place(sku, 1, token) for token in TOKENS}
        missing = await gateway.call("GET", f"/v1/orders/{UNKNOWN}", headers=gateway._headers)
        assert missing.status == 404
        for order in orders.values():
            last = [state async for state in gateway.follow(order.order_id)][-1]
            assert last.finished
    traces = {token: order.trace_id for token, order in orders.items()}
    traces["unknown"] = missing.headers["x-trace-id"]
    return Placed(user, traces, orders["tok_ok"].order_id)


@pytest.fixture(autouse=True)
def of_the_system(system: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in system.environment.items():
        monkeypatch.setenv(name, value)


async def promql(backends: Backends, text: str) -> Any:
    found = await backends.prometheus.query(text)
    return [[one.labels, one.value] for one in found if not math.isnan(one.value)]


async def logql(backends: Backends, text: str) -> Any:
    now = time.time()
    counts = text.startswith(("sum", "topk"))
    params = {"query": text, "limit": "5000"}
    if counts:
        params["time"] = str(int(now * 1e9))
    else:
        params |= {"start": str(int((now - 3 * 3600) * 1e9)), "end": str(int((now + 1) * 1e9))}
    path = "/loki/api/v1/query" if counts else "/loki/api/v1/query_range"
    return (await backends.loki.get(path, dict, params=params))["data"]["result"]


async def jaeger(backends: Backends, text: str) -> Any:
    path, _, query = text.partition("?")
    params = [tuple(pair.split("=", 1)) for pair in query.split("&") if pair]
    params.append(("endTs", str(int(time.time() * 1000))))
    return (await backends.jaeger.get(path, dict, params=params))["data"]


ASK = {"promql": promql, "logql": logql, "jaeger": jaeger}


def answer_of(stack: Stack, language: str, text: str) -> str:
    if language == "sh":
        program, *arguments = shlex.split(text)
        assert program == "weft"
        done = CliRunner().invoke(app, arguments, env={"COLUMNS": "300"})
        return done.output if done.exit_code == 0 else ""

    async def ask() -> Any:
        async with connect(stack) as backends:
            return await ASK[language](backends, text)

    try:
        return json.dumps(asyncio.run(ask()))
    except BackendError as error:
        return str(error)


def until(look: Callable[[], str], words: list[str]) -> Iterator[str]:
    """Yield the words that are still missing at the end."""
    end = time.monotonic() + DEADLINE
    answer = look()
    while time.monotonic() < end and not all(word in answer for word in words):
        time.sleep(0.5)
        answer = look()
    yield from (f"{word} in {answer[:2000]}" for word in words if word not in answer)


def test_the_page_has_fifteen_questions_or_more_each_with_a_query_and_a_command() -> None:
    assert list(QUESTIONS) == list(range(1, len(EXPECTED) + 1))
    assert len(QUESTIONS) >= 15
    for number, queries in QUESTIONS.items():
        languages = {language for language, _ in queries}
        assert "sh" in languages
        assert languages & {"promql", "logql", "jaeger"}
        assert languages == EXPECTED[number].keys()


@pytest.mark.parametrize(
    ("number", "language", "text"),
    ASKED,
    ids=[f"{number} {language} {text[:30]}" for number, language, text in ASKED],
)
def test_every_query_and_command_of_the_page_answers_about_the_right_things(
    system: Running, placed: Placed, number: int, language: str, text: str
) -> None:
    stack = Stack.load(system.environment)
    wanted = [placed.word(word) for word in EXPECTED[number][language]]
    filled = placed.fill_in(text)
    missing = list(until(lambda: answer_of(stack, language, filled), wanted))
    assert not missing
