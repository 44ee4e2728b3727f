"""`make chaos TELEMETRY=1`: every telemetry part away or killed under load, then the audit.

Each backend in turn is killed and stays away; meanwhile the collector, or a service, is killed.
"""

import asyncio
import random
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from stack.audit import collector, counts
from stack.audit.auditing import audit
from stack.audit.sample import CALLER
from stack.audit.verdict import Account, Difference, differences
from stack.backends.connect import Backends, connect
from tests.chaos.machine import Machine
from tests.chaos.visitors import Answered, Visitors

BACKENDS: Final = ("jaeger", "loki", "prometheus")
COLLECTOR: Final = "otel-collector"
VICTIM: Final = "inventory"
ALL: Final = (*BACKENDS, COLLECTOR, VICTIM, "gateway", "orders", "payments")
SCOPES: Final = ("orders:read", "orders:write", "inventory:write")
UP_SECONDS: Final = 120.0
TOKEN_SECONDS: Final = 6 * 3600.0
IN_HAND: Final = 5.0
"""Seconds before a kill from which it explains a loss. It should be 0.2 s
(`weft/telemetry/fast/delivery.py`); on a busy machine its thread gets its turn later. The report
tells how old the oldest that was lost was."""
LATE: Final = 0.5
"""An answer may be read so much later than it was sent."""
PAUSE: Final = 1.0
PATIENCE: Final = 240.0
"""Seconds until the metrics of the outage are stored: the collector sends them in their order."""
_POLL: Final = 1.0


@dataclass(frozen=True)
class Plan:
    """`rate` in requests a second; each backend is away for `away` seconds."""

    rate: float = 200.0
    away: float = 120.0
    sample: int = 2000
    drain: float = 1800.0


@dataclass
class Outcome:
    """What a run came to. `kills` are (part, epoch seconds); `drained_after` in seconds."""

    plan: Plan
    kills: list[tuple[str, float]] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    failed: int = 0
    drained_after: float | None = None
    account: Account | None = None
    late: list[str] = field(default_factory=list)
    points_lost: int = 0
    """Requests that the killed service answered and that none of its metric points has."""

    @property
    def by_kill(self) -> Counter[str]:
        """Spans and log lines that the killed service had in its hands when it was killed."""
        return self._count(explained=True)

    @property
    def lost(self) -> Counter[str]:
        """Spans and log lines that are missing without such a cause."""
        return self._count(explained=False)

    @property
    def unexplained(self) -> list[Difference]:
        """Differences of the whole account, besides those of the sampled traces."""
        found = differences(self.account) if self.account else []
        return [each for each in found if "sampled" not in each.what]

    @property
    def held(self) -> bool:
        """Whether all is stored but for what a killed service had in its hands."""
        looked_at = self.account is not None and len(self.account.sample) > 0
        whole = not self.late and self.drained_after is not None and looked_at
        return whole and not self.lost and not self.unexplained

    def _count(self, *, explained: bool) -> Counter[str]:
        at = {one.trace_id: one for one in self.answered}
        counted: Counter[str] = Counter()
        for looked in self.account.sample if self.account else []:
            near = self._at_a_kill(at[looked.trace_id])
            for kind, missing in (("spans", looked.spans), ("log lines", looked.lines)):
                for service in missing:
                    hers = service == VICTIM or service.startswith(CALLER)
                    if (near and hers) is explained:
                        counted[f"{kind} of {service}"] += 1
        return counted

    def _at_a_kill(self, one: Answered) -> bool:
        if one.order:  # its messages are handled whenever
            return any(one.at - LATE < at < one.at + UP_SECONDS for at in self._killed)
        return any(at - IN_HAND < one.at < at + LATE for at in self._killed)

    @property
    def oldest(self) -> float:
        """How long before the kill the oldest request was answered that lost something by it."""
        lost = (
            {looked.trace_id for looked in self.account.sample if not looked.whole}
            if self.account
            else set()
        )
        ages = [
            min((at - one.at for at in self._killed if at > one.at - LATE), default=0.0)
            for one in self.answered
            if one.trace_id in lost and not one.order
        ]
        return max(ages, default=0.0)

    @property
    def _killed(self) -> list[float]:
        return [at for part, at in self.kills if part == VICTIM]


async def run(environment: dict[str, str], gateway: str, plan: Plan) -> Outcome:
    """Do it, on a running system that nobody else uses meanwhile."""
    machine, outcome = Machine(environment), Outcome(plan)
    token = machine.stack.credentials.signer().mint("chaos", SCOPES, TOKEN_SECONDS).token
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        connect(machine.stack, connections=8) as backends,
        aiohttp.ClientSession(connector=connector) as http,
    ):
        visitors = Visitors(http, gateway, await _product(http, gateway, token), token)
        began = time.time()
        over = asyncio.Event()
        async with asyncio.TaskGroup() as both:
            both.create_task(visitors.run(rate=plan.rate, until=over), name="visitors")
            await _faults(machine, plan, outcome)
            over.set()
        outcome.answered, outcome.failed = visitors.answered, visitors.failed
        outcome.late = await machine.all_ready(UP_SECONDS, ALL)
        outcome.drained_after = await _drained(backends, plan.drain)
        chosen = random.sample(visitors.answered, min(plan.sample, len(visitors.answered)))
        outcome.account = await audit(
            backends, since=began, trace_ids=[one.trace_id for one in chosen], patience=PATIENCE
        )
        outcome.points_lost = await _points_lost(backends, outcome, began)
    return outcome


async def _faults(machine: Machine, plan: Plan, outcome: Outcome) -> None:
    await asyncio.sleep(PAUSE)
    for backend, struck in zip(BACKENDS, (COLLECTOR, COLLECTOR, VICTIM), strict=True):
        await _kill(machine, outcome, backend)
        await machine.stop(backend)
        await asyncio.sleep(plan.away / 2)
        await _kill(machine, outcome, struck)
        await asyncio.sleep(plan.away / 2)
        await machine.start(backend)
    await _kill(machine, outcome, VICTIM)
    await asyncio.sleep(PAUSE)


async def _kill(machine: Machine, outcome: Outcome, name: str) -> None:
    await machine.kill(name)
    outcome.kills.append((name, time.time()))


async def _drained(backends: Backends, seconds: float) -> float | None:
    """Wait until no exporter of the collector has anything in its queue, by two looks."""
    begun = time.monotonic()
    empty = 0
    while time.monotonic() < begun + seconds:
        waiting = await collector.queued(backends)
        # Its own metrics are always on their way to Prometheus.
        left = [name for name, many in waiting.items() if many and "prometheus" not in name]
        empty = empty + 1 if waiting and not left else 0
        if empty > 1:
            return time.monotonic() - begun
        await asyncio.sleep(_POLL)
    return None


async def _points_lost(backends: Backends, outcome: Outcome, began: float) -> int:
    """Requests for the product that inventory answered, less those that its metric has."""
    looks = sum(not one.order for one in outcome.answered)
    series = f'http_server_request_duration_seconds_count{{service_name="{VICTIM}"}}'
    lines = await backends.prometheus.lines(series, began - counts.BEFORE, time.time())
    return max(0, looks - round(sum(counts.grown(line.points, began) for line in lines)))


async def _product(http: aiohttp.ClientSession, gateway: str, token: str) -> str:
    sku = f"CHAOS-{secrets.token_hex(6)}"
    product = {"name": sku, "price": {"amount": "1.00", "currency": "EUR"}, "stock": 1_000_000}
    async with http.put(
        f"{gateway}/v1/products/{sku}", json=product, headers={"Authorization": f"Bearer {token}"}
    ) as answer:
        answer.raise_for_status()
    return sku


def text(outcome: Outcome) -> str:
    """The outcome as a page of text."""
    return "\n".join(_lines(outcome)) + "\n"


def _lines(outcome: Outcome) -> Iterator[str]:
    plan, account = outcome.plan, outcome.account
    yield f"telemetry: {plan.rate:g} requests a second, each backend {plan.away:g} s away"
    killed = Counter(part for part, _ in outcome.kills)
    yield f"killed: {', '.join(f'{name} {many} times' for name, many in killed.items())}"
    yield f"requests completed: {len(outcome.answered)}, not completed: {outcome.failed}"
    yield f"queues empty after: {outcome.drained_after}"
    yield from (f"not ready: {name}" for name in outcome.late)
    if account is not None:
        for row in account.records:
            yield f"  {row.service} {row.signal}: started {row.started}, stored {row.stored}"
        spans = sum(looked.stored_spans for looked in account.sample)
        lines = sum(looked.stored_lines for looked in account.sample)
        yield f"sample: {len(account.sample)} traces, {spans} spans, {lines} log lines stored"
    for what, many in outcome.by_kill.items():
        yield f"lost by the kill of {VICTIM}: {many} {what}"
    yield f"the oldest of them was answered {outcome.oldest:.1f} s before the kill"
    yield f"lost by the kill of {VICTIM}: {outcome.points_lost} requests in its metrics"
    for what, many in outcome.lost.items():
        yield f"LOST: {many} {what}"
    for each in outcome.unexplained:
        yield f"LOST: {each.missing} at {each.place}: {each.what}"
    yield "nothing else is missing" if outcome.held else "NOT ALL IS STORED"
