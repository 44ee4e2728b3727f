"""What Grafana asks of the backends: the queries of every panel, with its variables filled in."""

import asyncio
import json
import math
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from stack.backends.connect import Backends

FOLDER = Path("grafana")
LOOKBACK = 600.0
INTERVAL = 60
MACROS = {
    "$__rate_interval": "1m",
    "$__auto": "1m",
    "$__range": "10m",
    "$__interval": f"{INTERVAL}s",
    "$before": "10s",
}


@dataclass(frozen=True)
class Answer:
    """What a query gave: for each series, line or row its labels and its highest finite value."""

    labels: list[dict[str, str]]
    values: list[float]

    def seen(self, label: str) -> set[str]:
        return {one[label] for one in self.labels if label in one}


@dataclass(frozen=True)
class Query:
    """One query of one panel, or of a variable or an annotation of a dashboard."""

    dashboard: str
    title: str
    target: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.dashboard}: {self.title}"

    @property
    def source(self) -> str:
        return str(self.target["datasource"]["uid"])


def dashboards() -> dict[str, dict[str, Any]]:
    """Return every dashboard by the name of its file."""
    files = sorted((FOLDER / "dashboards").glob("*.json"))
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}


def panels() -> list[Query]:
    """Return every query of every panel."""
    return [
        Query(name, panel["title"], target)
        for name, board in dashboards().items()
        for panel in board["panels"]
        for target in panel.get("targets", [])
    ]


def filled_in(text: str, variables: Mapping[str, str]) -> str:
    """Put in what Grafana puts in: macros of time, and the variables of the dashboard."""
    for macro, value in MACROS.items():
        text = text.replace(macro, value)
    for name, value in variables.items():
        text = text.replace(f"${{{name}:sqlstring}}", f"'{value}'").replace(f"${name}", value)
    now = time.time()
    text = re.sub(
        r"\$__timeGroupAlias\((\w+), \w+\)",
        rf'floor(extract(epoch FROM \1) / {INTERVAL}) * {INTERVAL} AS "time"',
        text,
    )
    text = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 >= '{_at(now - LOOKBACK)}'", text)
    text = text.replace("$__timeFrom()", f"'{_at(now - LOOKBACK)}'")
    assert "$" not in text, f"a variable that is not filled in: {text}"
    return text


def _at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


class Asker:
    """Asks the backends as Grafana would; `database` is the reader's connection."""

    def __init__(self, backends: Backends, database: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._backends = backends
        self._database = database
        self._ask: dict[str, Callable[[dict[str, Any]], Awaitable[Answer]]] = {
            "prometheus": self._prometheus,
            "loki": self._loki,
            "jaeger": self._jaeger,
            "orders": self._orders,
        }

    async def __call__(self, source: str, target: Any, variables: Mapping[str, str]) -> Answer:
        """Return what a query gives now; BackendError or PostgresError if it is refused."""
        return await self._ask[source](_filled(target, variables))

    async def _prometheus(self, target: dict[str, Any]) -> Answer:
        now = time.time()
        params = {"query": target["expr"], "end": f"{now:.3f}", "step": "5"}
        params["start"] = f"{now - LOOKBACK:.3f}"
        body = await self._backends.prometheus.get("/api/v1/query_range", dict, params=params)
        labels, values = [], []
        for series in body["data"]["result"]:
            finite = [float(value) for _, value in series["values"] if math.isfinite(float(value))]
            if finite:
                labels.append(series["metric"])
                values.append(max(finite))
        return Answer(labels, values)

    async def _loki(self, target: dict[str, Any]) -> Answer:
        now = time.time()
        params = {
            "query": target["expr"],
            "start": str(int((now - LOOKBACK) * 1e9)),
            "end": str(int((now + 1) * 1e9)),
            "limit": str(target.get("maxLines", 1000)),
        }
        body = await self._backends.loki.get("/loki/api/v1/query_range", dict, params=params)
        result = body["data"]["result"]
        labels = [one.get("metric") or one.get("stream") or {} for one in result]
        return Answer(labels, [1.0 for _ in result])

    async def _jaeger(self, target: dict[str, Any]) -> Answer:
        now = time.time()
        match target.get("queryType"):
            case "search":
                asked = {key: target[key] for key in ("operation",) if key in target}
                params = {"service": target["service"], "limit": str(target["limit"]), **asked}
                params |= {"start": str(int((now - LOOKBACK) * 1e6)), "end": str(int(now * 1e6))}
                found = await self._backends.jaeger.get("/api/traces", dict, params=params)
                return _traces(found["data"])
            case "dependencyGraph":
                params = {"endTs": str(int(now * 1e3)), "lookback": str(int(LOOKBACK * 1e3))}
                found = await self._backends.jaeger.get("/api/dependencies", dict, params=params)
                edges = found["data"] or []
                labels = [{"edge": f"{one['parent']} {one['child']}"} for one in edges]
                return Answer(labels, [float(one["callCount"]) for one in edges])
            case _:
                path = f"/api/traces/{target['query']}"
                return _traces((await self._backends.jaeger.get(path, dict))["data"])

    async def _orders(self, target: dict[str, Any]) -> Answer:
        rows = await self._database.fetch(target["rawSql"])
        labels = [{key: str(value) for key, value in row.items()} for row in rows]
        return Answer(labels, [1.0 for _ in rows])


def _filled(target: Any, variables: Mapping[str, str]) -> dict[str, Any]:
    asked = {"rawSql": target} if isinstance(target, str) else dict(target)
    for key in ("expr", "rawSql", "query", "service"):
        if isinstance(asked.get(key), str):
            asked[key] = filled_in(asked[key], variables)
    return asked


def _traces(data: list[dict[str, Any]]) -> Answer:
    processes = [process for trace in data for process in trace["processes"].values()]
    return Answer([{"service": one["serviceName"]} for one in processes], [1.0 for _ in processes])


async def until_all(
    checks: Mapping[str, Callable[[], Awaitable[str]]], seconds: float
) -> dict[str, str]:
    """Ask again and again until nothing is wrong any more; return what is wrong, by name.

    A check gives "" when all is well, else what is not.
    """
    wrong: dict[str, str] = dict.fromkeys(checks, "not asked")
    end = time.monotonic() + seconds
    while wrong and time.monotonic() < end:
        told = await asyncio.gather(*(checks[name]() for name in wrong))
        wrong = {name: what for name, what in zip(wrong, told, strict=True) if what}
        await asyncio.sleep(1 if wrong else 0)
    return wrong
