"""What Locust loads: customers, the stages, and the report at the end."""

import time
from pathlib import Path
from typing import Any, Final

from locust import LoadTestShape, events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from benchmarks.load import page, target
from benchmarks.load.backlog import Backlog
from benchmarks.load.customer import Customer
from benchmarks.load.journal import Journal
from benchmarks.load.options import OPTIONS
from benchmarks.load.plan import Plan
from benchmarks.load.search import Search, Stage
from benchmarks.load.usage import Usage

__all__ = ["Customer", "Stages"]

_SPAWN_SECONDS: Final = 2.0
_SPAWN_MOST: Final = 100.0
"""Users a second: Locust warns above."""


class Stages(LoadTestShape):
    """Asks the plan for the number of users, once a second."""

    run: "Run | None" = None

    def reset_time(self) -> None:
        """Begin anew: the start button was pressed."""
        self.run = None

    def tick(self) -> tuple[int, float] | None:
        """Return users and users to start a second; None ends the run."""
        if self.runner is None:
            return None
        if self.run is None:
            self.run = Run(self.runner.environment)
        users = self.run.plan.users()
        return None if users is None else (users, _spawn_rate(users, self.runner.user_count))


def _spawn_rate(users: int, now: int) -> float:
    return min(_SPAWN_MOST, max(1.0, abs(users - now) / _SPAWN_SECONDS))


@events.init_command_line_parser.add_listener
def _options(parser: LocustArgumentParser) -> None:
    group = parser.add_argument_group("Weft's stages")
    for name, default, about in OPTIONS:
        group.add_argument(name, type=type(default), default=default, help=about)


class Run:
    """One press of the start button."""

    def __init__(self, environment: Environment) -> None:
        options = environment.parsed_options
        if options is None:
            raise RuntimeError("Locust runs without a command line")
        self.folder = Path(options.report)
        self.details = bool(options.html_file)
        self.target = target.prepare(str(environment.host))
        self.journal = Journal()
        self.search = Search(
            first=options.first_rate,
            highest=options.highest_rate,
            stages=options.stages,
            limit=options.p99,
        )
        self.plan = Plan(
            self.search,
            self.journal,
            Usage(),
            Backlog(self.target.collector),
            seconds=options.stage_seconds,
            clock=time.monotonic,
            say=_say,
        )
        Customer.target, Customer.journal = self.target, self.journal
        print(page.HEADER, flush=True)  # noqa: T201 - this is a command

    def end(self) -> None:
        written = page.write(
            self.folder, self.search, self.journal.slowest, self.target, details=self.details
        )
        print(page.verdict(self.search), f"report: {written}", sep="\n", flush=True)  # noqa: T201


def _say(stage: Stage) -> None:
    print(page.line(stage), flush=True)  # noqa: T201 - this is a command


@events.test_stop.add_listener
def _stop(environment: Environment, **_: Any) -> None:
    if run := _run(environment):
        run.end()


@events.quitting.add_listener
def _quit(environment: Environment, **_: Any) -> None:
    """What the system refuses beyond its knee is no failure of the command; no knee is one."""
    run = _run(environment)
    environment.process_exit_code = 0 if run and run.search.knee() else 1


def _run(environment: Environment) -> Run | None:
    shape = environment.shape_class
    return shape.run if isinstance(shape, Stages) else None
