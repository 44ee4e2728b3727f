"""reports and report_runner as processes on real parts; sales are rows of orders' own schema."""

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import aiohttp
import asyncpg
import msgspec

from services.report_runner.requestor import Requestor
from tests.integration.shop.kit import Keys, Running, environment, until
from weft.http import HttpClient, TokenSigner
from weft.postgres import Database
from weft.settings import Secret

ROOT = Path(__file__).resolve().parents[3]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = "a key of alertmanager's"
FIRST = date(2026, 1, 1)
COLUMNS = ["generation", "order_id", "line", "sold_at", "sku", "name", "quantity"]
COLUMNS += ["price_minor", "currency"]
USER = ("reports:read", "reports:write")


async def read_model(url: str) -> None:
    """Make orders' schema, with a live generation of sales: 40 days, two products a day."""
    database = Database(url, schema=ROOT / "services" / "orders" / "schema")
    await database.start()
    await database.stop()
    connection = await asyncpg.connect(url)
    await connection.execute(
        "INSERT INTO weft.projections (name, generation, live) VALUES ('sales', 1, true)"
        " ON CONFLICT DO NOTHING"
    )
    generation = await connection.fetchval(
        "SELECT generation FROM weft.projections WHERE name = 'sales' AND live"
    )
    rows = [
        (generation, uuid.uuid4(), line, _noon(day), f"SKU-{line}", "Tea", day + 1, 250, "EUR")
        for day in range(40)
        for line in (1, 2)
    ]
    await connection.copy_records_to_table(
        "sales",
        records=rows,
        columns=COLUMNS,
    )
    await connection.close()


def _noon(day: int) -> datetime:
    return datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=day)


class Shop:
    """What the tests share: where everything is, a user's calls, and a look at the rows."""

    def __init__(self, keys: Keys, signer: TokenSigner, urls: dict[str, str], folder: Path) -> None:
        self.keys = keys
        self.urls = urls
        self.folder = folder
        self.artifacts = folder / "artifacts"
        self._signer = signer
        self._started = 0
        self._running: list[Running] = []
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))

    async def close(self) -> None:
        for service in reversed(self._running):
            await service.end()
        await self.session.close()

    async def reports(self, **settings: str) -> Running:
        """Start reports."""
        return await self._start(
            "reports",
            WEFT_DATABASE_URL=self.urls["reports"],
            WEFT_BROKER_URL=self.urls["broker"],
            WEFT_WEBHOOK_KEY="a key of the tests",
            WEFT_REPORT_LEASE="5s",
            **settings,
        )

    async def runner(self, *reports: Running, **settings: str) -> Running:
        """Start a report_runner, which knows these instances of reports."""
        return await self._start(
            "report_runner",
            WEFT_DATABASE_URL=self.urls["report_runner"],
            WEFT_BROKER_URL=self.urls["broker"],
            WEFT_ORDERS_READER_DATABASE_URL=self.urls["orders"],
            WEFT_REPORTS_URL=" ".join(each.url for each in reports),
            WEFT_REPORT_RUNNER_TOKEN=self._token(),
            **{
                "WEFT_REPORT_AGAIN_IN": "100ms",
                "WEFT_ALERTS_KEY": KEY,
                "WEFT_REPORT_MIN_WORKERS": "1",
                **settings,
            },
        )

    async def gateway(self, *reports: Running) -> Running:
        """Start a gateway in front of reports; whom else it needs is played by them, too."""
        urls = " ".join(each.url for each in reports)
        return await self._start(
            "gateway",
            WEFT_REPORTS_URL=urls,
            WEFT_ORDERS_URL=reports[0].url,
            WEFT_INVENTORY_URL=reports[0].url,
        )

    @asynccontextmanager
    async def requestor(self, reports: Running) -> AsyncIterator[Requestor]:
        """What a runner speaks with reports by."""
        client = HttpClient(reports.url, name="reports")
        await client.start()
        yield Requestor(client, Secret(self._token()), runner="a test")
        await client.stop()

    def _token(self) -> str:
        return self._signer.mint("report_runner", ("reports:run",), 3600).token

    async def _start(self, name: str, **settings: str) -> Running:
        self._started += 1
        given = {
            "WEFT_JWKS": str(self.keys.path),
            "WEFT_REPORT_WEBHOOK_SECRET": SECRET,
            "WEFT_ARTIFACTS_URL": self.artifacts.as_uri(),
            **settings,
        }
        service = Running(name, environment(**given), self.folder / f"{name}-{self._started}.log")
        self._running.append(service)
        await service.start()
        await service.ready()
        return service

    def user(self, reports: Running, *scopes: str) -> "User":
        """A user that nobody else is; `scopes` beside the usual ones."""
        subject = f"user-{uuid.uuid4().hex}"
        token = self._signer.mint(subject, (*USER, *scopes), 3600).token
        return User(self, reports.url, subject, {"Authorization": f"Bearer {token}"})

    async def rows(self, which: str, sql: str, *args: Any) -> Sequence[asyncpg.Record]:
        connection = await asyncpg.connect(self.urls[which])
        try:
            found: Sequence[asyncpg.Record] = await connection.fetch(sql, *args)
            return found
        finally:
            await connection.close()


class User:
    """A user of reports, and what his channel holds."""

    def __init__(self, shop: Shop, url: str, subject: str, headers: dict[str, str]) -> None:
        self._shop = shop
        self._url = url
        self.subject = subject
        self.headers = headers

    async def post(
        self, body: dict[str, Any], key: str | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        headers = self.headers | {"Idempotency-Key": key or uuid.uuid4().hex}
        url = f"{self._url}/v1/reports"
        async with self._shop.session.post(url, json=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None), dict(answer.headers)

    async def ask(self, days: int = 31, **body: Any) -> str:
        status, answer, _ = await self.post(wanted(days) | body)
        assert status == 202, answer
        return str(answer["report_id"])

    async def call(self, method: str, path: str) -> tuple[int, bytes, dict[str, str]]:
        url = f"{self._url}{path}"
        async with self._shop.session.request(method, url, headers=self.headers) as answer:
            return answer.status, await answer.read(), dict(answer.headers)

    async def see(self, report_id: str) -> dict[str, Any]:
        url = f"{self._url}/v1/reports/{report_id}"
        async with self._shop.session.get(url, headers=self.headers) as answer:
            assert answer.status == 200, await answer.text()
            seen: dict[str, Any] = await answer.json()
            return seen

    async def in_state(self, report_id: str, *states: str) -> dict[str, Any]:
        async def probe() -> dict[str, Any] | None:
            seen = await self.see(report_id)
            return seen if seen["status"] in states else None

        return await until(probe)

    async def ended(self, report_id: str) -> dict[str, Any]:
        return await self.in_state(report_id, "finished", "failed", "expired", "cancelled")

    async def told(self, report_id: str) -> list[tuple[str, dict[str, Any]]]:
        """What the user's channel was told of a report, in order."""

        rows = await self._shop.rows(
            "reports",
            "SELECT type, data::text FROM channel_messages WHERE subject = $1 AND id = $2"
            " ORDER BY seq",
            self.subject,
            report_id,
        )
        return [(row["type"], msgspec.json.decode(row["data"])) for row in rows]

    async def ends_told(self, report_id: str) -> list[str]:
        ends = {"report.finished", "report.failed", "report.expired", "report.cancelled"}
        return [kind for kind, _ in await self.told(report_id) if kind in ends]


class Held:
    """Nobody reads the sales while this is entered: a report that reads them takes that long."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._url = shop.urls["orders"]

    async def __aenter__(self) -> Self:
        self._connection = await asyncpg.connect(self._url)
        self._transaction = self._connection.transaction()
        await self._transaction.start()
        await self._connection.execute("LOCK TABLE sales IN ACCESS EXCLUSIVE MODE")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transaction.rollback()
        await self._connection.close()

    async def waiting(self) -> int:
        """How many reports wait for the sales, as another connection sees it: that of a
        transaction does not change."""
        (row,) = await self._shop.rows(
            "orders",
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock' AND query LIKE '%FROM read_v1.sales%'",
        )
        return int(row["count"])

    async def reached(self, count: int = 1) -> None:
        async def probe() -> bool:
            return await self.waiting() >= count

        await until(probe)


def wanted(days: int = 31, first: date = FIRST) -> dict[str, Any]:
    return {"kind": "sales", "from": str(first), "to": str(first + timedelta(days=days))}
