"""`make chaos SEED=n MINUTES=10`: a system of its own, load and faults, and what came of it."""

import argparse
import asyncio
import logging
import random
import shutil
import signal
import sys
from pathlib import Path

from tests.chaos import report, telemetry
from tests.chaos.run import Plan, run
from tests.chaos.schedule import schedule
from tests.running import System, own_system

LONGEST_MINUTES = 120.0


def main() -> int:
    """Return 0 if every invariant holds, 1 if one does not."""
    options = _options()
    plan = Plan(options.seed, options.minutes * 60, rate=options.rate)
    if options.schedule:
        for fault in schedule(plan.seed, plan.seconds, plan.pace):
            _say(f"{fault.at:9.3f} {fault.kind:<20} {', '.join(fault.targets)} {fault.seconds:g}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the system is stopped all the same
    if options.telemetry:
        return _telemetry(options)
    folder = options.report / f"seed-{plan.seed}"
    _say(f"chaos: SEED={plan.seed} MINUTES={options.minutes:g}")
    logging.disable()  # the AMQP library tells of each connection that chaos has taken away
    with own_system(plan.settings, port_base=options.port_base, whole=False) as system:
        held = False
        try:
            outcome = asyncio.run(run(system, plan))
            written, held = report.save(outcome, folder), outcome.held
        finally:
            if not held:
                _keep_logs(system, folder)
    _say(f"{report.text(outcome)}\nreport: {written}")
    return 0 if held else 1


def _telemetry(options: argparse.Namespace) -> int:
    plan = telemetry.Plan(rate=options.requests, away=options.away)
    _say(f"chaos of the telemetry: {plan.rate:g} requests a second, {plan.away:g} s away each")
    with own_system(port_base=options.port_base) as system:
        outcome = asyncio.run(telemetry.run(system.environment, system.url("gateway"), plan))
    folder: Path = options.report / "telemetry"
    folder.mkdir(parents=True, exist_ok=True)
    text = telemetry.text(outcome)
    (folder / "report.txt").write_text(text, encoding="utf-8")
    _say(f"{text}\nreport: {folder / 'report.txt'}")
    return 0 if outcome.held else 1


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is a command


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=5.0, help="orders a second")
    parser.add_argument("--port-base", type=int, help="else the first that is free")
    parser.add_argument("--report", type=Path, default=Path("dist") / "chaos", help="its folder")
    parser.add_argument("--telemetry", action="store_true", help="take away its parts instead")
    parser.add_argument("--requests", type=float, default=200.0, help="a second, with --telemetry")
    parser.add_argument("--away", type=float, default=120.0, help="seconds of each backend")
    parser.add_argument("--schedule", action="store_true", help="print the faults, do nothing")
    options = parser.parse_args()
    if not 0 < options.minutes <= LONGEST_MINUTES or options.rate <= 0:
        parser.error(f"expected minutes up to {LONGEST_MINUTES:g} and a positive rate")
    return options


def _keep_logs(system: System, folder: Path) -> None:
    """A broken invariant is looked into: what the services said stays."""
    logs = Path(system.environment["WEFT_HOME"]) / "logs"
    shutil.copytree(logs, folder / "logs", dirs_exist_ok=True)


if __name__ == "__main__":
    sys.exit(main())
