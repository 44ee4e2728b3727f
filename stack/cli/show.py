"""What a person sees of the system's commands."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from stack import parts
from stack.building import Builder
from stack.launch import PortsTakenError
from stack.ports import Ports
from stack.program import Program
from stack.settings import HIGHEST_PORT_BASE
from stack.status import Entry

_MIB: Final = 1024 * 1024
_GB: Final = 10**9
_COLOURS: Final = {"ready": "green", "starting": "yellow", "failed": "red", "stopped": "dim"}
NO_GRAFANA: Final = "comes with compose, or with its release on the PATH or in WEFT_PARTS_DIR"
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def note(text: str) -> None:
    out.print(text, markup=False, soft_wrap=True)


def error(text: str) -> None:
    err.print(Text(text, style="red"), soft_wrap=True)


def failure(text: str, log: Path, lines: list[str]) -> None:
    """Show what failed, with the end of its log."""
    error(text)
    if lines:
        err.print(f"last lines of {log}:", markup=False, soft_wrap=True)
    for line in lines:
        err.print(f"  {line}", markup=False, soft_wrap=True)


def ports_taken(taken: PortsTakenError, ports: Ports) -> None:
    """Show who has the ports, and how to move."""
    for one in taken.taken:
        error(str(one))
    base = ports.free_base()
    move = f"WEFT_PORT_BASE={base} weft up" if base is not None else "WEFT_PORT_BASE"
    error(f"free it, or move all ports: {move} (0 to {HIGHEST_PORT_BASE})")


def all_ready(seconds: float) -> None:
    note(f"everything is ready after {seconds:.1f} s")


def welcome(ports: Ports, token: str, *, grafana: bool, traffic: bool) -> None:
    """Show the addresses, a token, and commands to try."""
    table = Table.grid(padding=(0, 2))
    for name, part in (
        ("API", "gateway"),
        ("Jaeger", "jaeger"),
        ("Prometheus", "prometheus"),
        ("Alertmanager", "alertmanager"),
        ("Loki", "loki"),
        ("RabbitMQ", "rabbitmq-management"),
    ):
        table.add_row(name, ports.url(part))
    table.add_row("Operations", f"{ports.url('gateway')}/ops")
    table.add_row("Grafana", ports.url("grafana") if grafana else NO_GRAFANA)
    if traffic:
        table.add_row("Traffic", "synthetic orders and reports; WEFT_TRAFFIC=0: none")
    out.print()
    out.print(table)
    out.print("\ntoken of the user demo, good for 12 hours:")
    note(token)
    out.print("\nplace an order:")
    note(
        f"curl -s {ports.url('gateway')}/v1/orders"
        f" -H 'Authorization: Bearer {token}' -H 'Idempotency-Key: '$(date +%s%N)"
        " -H 'Content-Type: application/json'"
        ' -d \'{"items": [{"sku": "SKU-0001", "quantity": 2}], "payment": {"token": "tok_ok"}}\''
    )
    out.print("\nsee what becomes of one:")
    note(f"{sys.argv[0]} tour")


def table(entries: list[Entry], total_bytes: int | None) -> None:
    """Show a line for each program; memory in MiB."""
    grid = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("name", "state", "pid", "port", "MiB", "up", "restarts", ""):
        right = heading in ("pid", "port", "MiB", "up", "restarts")
        grid.add_column(heading, justify="right" if right else "left", overflow="fold")
    for entry in entries:
        grid.add_row(*_row(entry))
    out.print(grid)
    if total_bytes is not None:
        note(f"\nall together, with the supervisor: {total_bytes / _MIB:.0f} MiB")


def _row(entry: Entry) -> list[str | Text]:
    name = entry.name if entry.instance is None else f"{entry.name}-{entry.instance}"
    word = "building" if (entry.detail or "").startswith("building") else entry.state
    alive = entry.pid is not None
    return [
        name,
        Text(word, style=_COLOURS[entry.state]),
        str(entry.pid) if alive else "",
        str(entry.port or ""),
        f"{entry.memory_bytes / _MIB:.0f}" if alive else "",
        _duration(entry.uptime_s) if alive else "",
        str(entry.restarts),
        Text(entry.detail or "", style="dim"),
    ]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def _minutes(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    return f"{minutes} minute{'s' if minutes > 1 else ''}"


class Start:
    """Shows a start: what is installed, and what is ready. Use it as a context manager."""

    def __init__(self, welcome: Callable[[], None]) -> None:
        self._welcome = welcome
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:3.0f} %"),
            TextColumn("{task.fields[step]}"),
            TimeElapsedColumn(),
            console=out,
        )
        self._task: TaskID | None = None
        self._name = ""
        self._installs = False

    def __enter__(self) -> Self:
        if out.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def will_install(self, plan: parts.Plan) -> None:
        self._installs = True
        names = ", ".join(plan.expected_seconds)
        note(f"to be installed, once: {names}")
        note(
            f"that takes up to {plan.needed_bytes / _GB:.1f} GB of {plan.free_bytes / _GB:.0f} GB "
            f"free disk, and about {_minutes(plan.total_seconds)}"
        )

    def installing(self, builder: Builder) -> None:
        progress = builder.progress
        if progress is None:
            return
        rest = len(builder.pending) - 1
        step = f"{progress.step}{f', then {rest} more' if rest else ''}"
        if self._name != progress.name:
            if not out.is_terminal:
                note(f"{progress.name}: {step}")
            self._end_task()
            self._task = self._bar.add_task(progress.name, total=1.0, step=step)
            self._name = progress.name
        if self._task is not None:
            self._bar.update(self._task, completed=progress.fraction, step=step)

    def installed(self, name: str) -> None:
        if name == self._name:
            self._end_task()
        note(f"{name} is installed")

    def ready(self, program: Program, seconds: float) -> None:
        note(f"{program.id} is ready after {seconds:.1f} s")

    def takes_orders(self) -> None:
        """While parts are still being built, say already now how to place one."""
        if self._installs and self._task is not None:
            note("orders are taken from now on, while the rest is built")
            self._welcome()

    def _end_task(self) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None
