"""One run: a system under load and faults, the time until all has settled, and the verdicts."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from tests.chaos import facts as reading
from tests.chaos.broker import Rabbit
from tests.chaos.customers import PLENTY, SCARCE, SUBJECTS, Asked, Customers
from tests.chaos.facts import Auditor, Facts
from tests.chaos.faults import Faults, Injected
from tests.chaos.invariants import Evidence, Verdict, judge
from tests.chaos.machine import Machine
from tests.chaos.schedule import LONG, Pace, schedule
from tests.running import System

SETTLE_SECONDS: Final = 60.0
"""What the system has after the last fault, with everything up again."""
UP_SECONDS: Final = 240.0
TOKEN_SECONDS: Final = 6 * 3600.0
INITIAL: Final = {**PLENTY, **SCARCE}
PRICES: Final = {sku: 199 + 101 * number for number, sku in enumerate(INITIAL)}
_SCOPES: Final = ("orders:read", "orders:write", "inventory:write")


@dataclass(frozen=True)
class Plan:
    """`rate` in orders a second; `deadline` of an order in seconds."""

    seed: int
    seconds: float
    rate: float = 5.0
    deadline: float = 30.0
    pace: Pace = LONG

    @property
    def settings(self) -> dict[str, str]:
        """What the system under test is started with."""
        return {
            "WEFT_TRAFFIC": "0",
            "WEFT_ORDER_DEADLINE": f"{self.deadline:g}s",
            "WEFT_ORDER_REPEAT": f"{self.deadline:g}s",
        }


@dataclass
class Outcome:
    """What a run came to. `up_after` and `settled_after` in seconds; None if it took too long."""

    plan: Plan
    asked: list[Asked] = field(default_factory=list)
    injected: list[Injected] = field(default_factory=list)
    restarts: dict[str, int] = field(default_factory=dict)
    up_after: float | None = None
    settled_after: float | None = None
    unsettled: dict[str, int] = field(default_factory=dict)
    facts: Facts = field(default_factory=Facts)
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def held(self) -> bool:
        """Whether everything came back, settled in time, and every invariant holds."""
        broken = any(verdict.violations for verdict in self.verdicts)
        return None not in (self.up_after, self.settled_after) and not broken


async def run(system: System, plan: Plan) -> Outcome:
    """Do it, on a system that was started with the plan's settings and has no orders yet."""
    machine = Machine(system.environment)
    signer = machine.stack.credentials.signer()
    tokens = {name: signer.mint(name, _SCOPES, TOKEN_SECONDS).token for name in SUBJECTS}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        rabbit = Rabbit(
            http,
            system.variables["WEFT_ADMIN_MANAGEMENT_URL"],
            system.variables["WEFT_ADMIN_BROKER_URL"].rpartition("/")[0],
        )
        auditor = Auditor(
            http,
            rabbit,
            database=system.variables["WEFT_ADMIN_DATABASE_URL"],
            gateway=system.url("gateway"),
            provider=system.url("card_provider"),
            provider_key=machine.stack.credentials.password("card-provider-key"),
            tokens=tokens,
        )
        await auditor.begin()
        await _stock(http, system.url("gateway"), tokens[SUBJECTS[0]])
        faults = Faults(machine, rabbit, plan.seed)
        customers = Customers(
            http, system.url("gateway"), tokens, seed=plan.seed, unfinished=auditor.unfinished
        )
        outcome = Outcome(plan)
        async with asyncio.TaskGroup() as both:
            trouble = both.create_task(
                faults.run(schedule(plan.seed, plan.seconds, plan.pace)), name="faults"
            )
            both.create_task(customers.run(rate=plan.rate, seconds=plan.seconds), name="customers")
        outcome.injected, outcome.asked = trouble.result(), customers.asked
        await faults.undo()
        await _wait(outcome, machine, auditor)
        outcome.facts = await auditor.facts()
        outcome.restarts = await machine.restarts()
        outcome.verdicts = judge(
            Evidence(
                asked=outcome.asked,
                initial=INITIAL,
                prices=PRICES,
                planted=faults.planted,
                confirmed=faults.confirmed,
                facts=outcome.facts,
            )
        )
    return outcome


async def _wait(outcome: Outcome, machine: Machine, auditor: Auditor) -> None:
    start = time.monotonic()
    late = await machine.all_ready(UP_SECONDS)
    outcome.up_after = None if late else time.monotonic() - start
    outcome.settled_after = await reading.settled(auditor, SETTLE_SECONDS)
    outcome.unsettled = await auditor.unsettled()


async def _stock(http: aiohttp.ClientSession, gateway: str, token: str) -> None:
    for sku, stock in INITIAL.items():
        amount = f"{PRICES[sku] // 100}.{PRICES[sku] % 100:02d}"
        product = {"name": sku, "price": {"amount": amount, "currency": "EUR"}, "stock": stock}
        async with http.put(
            f"{gateway}/v1/products/{sku}",
            json=product,
            headers={"Authorization": f"Bearer {token}"},
        ) as answer:
            answer.raise_for_status()
