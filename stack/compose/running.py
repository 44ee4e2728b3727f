"""What the `weft` command does with the containers."""

import json
from collections.abc import Sequence
from typing import Any, Final

from stack import addresses, backing, services
from stack.compose import engine, files
from stack.credentials import NoCredentialsError
from stack.home import write
from stack.lock import lock
from stack.settings import BASE_FILE
from stack.status import Entry, State
from stack.system import System

START_SECONDS: Final = 600
"""What all containers together may take to be healthy, once their images are here."""
_SHOWN: Final = (*backing.NAMES, *backing.OPTIONAL)
_REACHED: Final = {
    "WEFT_HOME",
    "WEFT_PORT_BASE",
    "WEFT_GATEWAY_URL",
    "WEFT_JAEGER_URL",
    "WEFT_PROMETHEUS_URL",
    "WEFT_ALERTMANAGER_URL",
    "WEFT_LOKI_URL",
    "WEFT_ADMIN_MANAGEMENT_URL",
    "WEFT_JWKS",
    "WEFT_SIGNING_KEY_FILE",
}
_STATES: Final[dict[str, State]] = {
    "running": "ready",
    "created": "starting",
    "restarting": "failed",
    "exited": "stopped",
    "dead": "failed",
    "paused": "stopped",
    "removing": "stopped",
}


def up(system: System) -> None:
    """Start what does not run yet, and return when everything is healthy.

    Raises ComposeError, BusyError, SettingsError.
    """
    engine.check()
    system.home.check_ours()
    system.home.make()
    with lock(system.home):
        system.credentials.make([service.name for service in services.SERVICES])
        services.remember(system)
        services.choose_traffic(system)
        write(system.home.path / BASE_FILE, str(system.ports.base))
        files.prepare(system)
        wait = ("--wait", "--wait-timeout", str(START_SECONDS))
        engine.run(system, "up", "--build", "--detach", "--remove-orphans", *wait)


def down(system: System) -> bool:
    """Stop and remove the containers, and keep their data; False if there were none."""
    if not _started(system):
        return False
    engine.run(system, "down", "--remove-orphans")
    files.variables_file(system).unlink()
    return True


def remove(system: System) -> None:
    """Remove the containers and their data. Raises ComposeError."""
    if system.credentials.exist():
        files.prepare(system)
        engine.run(system, "down", "--remove-orphans", "--volumes")


def environment(system: System) -> dict[str, str]:
    """Return what `weft env` prints: of the addresses, those that are published."""
    everything = addresses.environment(system)
    known = {name: value for name, value in everything.items() if name in _REACHED}
    return {**known, "WEFT_GRAFANA_URL": system.ports.url("grafana")}


def logs(system: System, names: Sequence[str], *, lines: int, follow: bool) -> None:
    """Show the last `lines` of each container's console. Raises ComposeError."""
    if not _started(system):
        raise NoCredentialsError("this system does not run: `weft up` starts it")
    more = ["--follow"] if follow else []
    engine.run(system, "logs", "--tail", str(lines), *more, "--", *names)


def entries(system: System) -> list[Entry]:
    """Return an entry for each part and service; of their processes the engine tells nothing."""
    listed = engine.ask(system, "ps", "--all", "--format", "json") if _started(system) else ""
    known = {one["Service"]: one for one in _listed(listed)}
    wanted = [(name, "backing") for name in _SHOWN]
    wanted += [(name, "service") for name, count in services.instances(system).items() if count]
    return [_entry(name, kind, known) for name, kind in wanted]


def _started(system: System) -> bool:
    return files.variables_file(system).exists()


def _listed(text: str) -> list[dict[str, Any]]:
    """One object a line; an array from Compose before 2.21."""
    if text.lstrip().startswith("["):
        listed: list[dict[str, Any]] = json.loads(text)
        return listed
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def _entry(name: str, kind: Any, known: dict[str, dict[str, Any]]) -> Entry:
    container = known.get(name, {})
    state, detail = _state(known, name)
    ports = [one["TargetPort"] for one in container.get("Publishers") or []]
    published = [one["PublishedPort"] for one in container.get("Publishers") or []]
    return Entry(
        name=name,
        kind=kind,
        instance=0 if kind == "service" else None,
        state=state,
        detail=detail,
        port=next((port for port in [*published, *ports] if port), None),
    )


def _state(known: dict[str, dict[str, Any]], name: str) -> tuple[State, str | None]:
    container = known.get(name)
    if container is None:
        return "stopped", None
    state = _STATES.get(container["State"], "failed")
    # The collector's image has nothing that could ask it: a container beside it does.
    health = known.get(f"{name}-probe", container).get("Health", "")
    if state == "ready" and health in ("starting", "unhealthy"):
        return "starting", str(container.get("Status") or health)
    if container["State"] == "exited" and container.get("ExitCode"):
        return "failed", f"ended with code {container['ExitCode']}"
    return state, None
