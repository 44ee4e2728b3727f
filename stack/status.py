"""What `weft status` says: every program, what it is doing, and what it takes."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Literal

import psutil

from stack import backing, building, plan, processes, services
from stack.program import Kind, Program
from stack.supervisor import Process, Supervisor, SupervisorError
from stack.system import System

State = Literal["ready", "starting", "failed", "stopped"]
_PROBES_AT_ONCE: Final = 16


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One program. `detail` is why it is not ready; `uptime_s` in seconds."""

    name: str
    kind: Kind
    state: State
    instance: int | None = None
    detail: str | None = None
    pid: int | None = None
    port: int | None = None
    memory_bytes: int = 0
    uptime_s: float = 0.0
    restarts: int = 0

    def as_json(self) -> dict[str, Any]:
        fields = ("state", "pid", "port", "memory_bytes", "uptime_s", "restarts")
        entry: dict[str, Any] = {"name": self.name, "kind": self.kind}
        entry |= {field: getattr(self, field) for field in fields}
        if self.instance is not None:
            entry["instance"] = self.instance
        if self.detail is not None:
            entry["detail"] = self.detail
        return entry


def entries(system: System) -> list[Entry]:
    """Return an entry for each program that there should be, in the order of starting."""
    if not system.home.exists() or not system.credentials.exist():
        return [_never_started(name, "backing") for name in backing.NAMES] + [
            _never_started(service.name, "service") for service in services.SERVICES
        ]
    now_building = building.current(system.home)
    pending = now_building.pending if now_building else ()
    programs = plan.programs(system, without=pending)
    known = running(system)
    with ThreadPoolExecutor(_PROBES_AT_ONCE) as pool:
        found = list(pool.map(lambda one: _entry(one, known.get(one.id), pending), programs))
    there = {entry.name for entry in found}
    return found + [_absent(name, now_building) for name in backing.NAMES if name not in there]


def running(system: System) -> dict[str, Process]:
    """Return the programs' processes: from supervisord, or without it those that outlived it."""
    try:
        return Supervisor(system.home).processes()
    except SupervisorError:
        return _orphans(system)


def total_memory_bytes(system: System) -> int:
    """Return what the whole system takes, supervisord too."""
    return sum(processes.own_memory_bytes(one.process) for one in processes.marked(system.home))


def _orphans(system: System) -> dict[str, Process]:
    found = processes.roots(processes.marked(system.home))
    return {name: Process.orphan(name, process) for name, process in found.items()}


def _never_started(name: str, kind: Kind) -> Entry:
    return Entry(name=name, kind=kind, state="stopped", instance=0 if kind == "service" else None)


def _absent(name: str, now_building: building.Building | None) -> Entry:
    """A part that is not on this machine."""
    detail = now_building.of(name) if now_building else None
    if detail is None:
        return Entry(name=name, kind="backing", state="stopped", detail="is not installed")
    return Entry(name=name, kind="backing", state="starting", detail=detail)


def _entry(program: Program, process: Process | None, pending: Any) -> Entry:
    state, detail = _state(program, process)
    if state == "stopped" and pending:
        state, detail = "starting", "waits for what is being built"
    alive = process is not None and process.alive
    return Entry(
        name=program.name,
        kind=program.kind,
        instance=program.instance,
        state=state,
        detail=detail,
        pid=process.pid if process and alive else None,
        port=program.port or None,
        memory_bytes=_memory(process.pid) if process and alive else 0,
        uptime_s=round(process.uptime, 1) if process else 0.0,
        restarts=max(0, process.starts - 1) if process else 0,
    )


def _state(program: Program, process: Process | None) -> tuple[State, str | None]:
    if process is None or process.stopped:
        return "stopped", None
    if process.dying:
        return "failed", process.error or "ended soon after its start, and is tried again"
    if not process.alive:
        return "starting", "ended, and is started again"
    answer = program.why_not_ready()
    return ("ready", None) if answer is None else ("starting", answer)


def _memory(pid: int) -> int:
    try:
        return processes.memory_bytes(psutil.Process(pid))
    except psutil.Error:
        return 0
