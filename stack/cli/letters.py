"""How dead letters look: as a table of groups, one by one, or as JSON."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

import msgspec
from aio_pika.abc import AbstractIncomingMessage
from rich.text import Text

from stack.cli import show
from stack.cli.output import Printer
from weft.messaging.dead_letters import Done
from weft.messaging.letters import Contents, Letter, contents


class Shown(msgspec.Struct, frozen=True):
    """A letter, and what is in it where that was asked for."""

    letter: Letter
    contents: Contents | None


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Letters of a queue that have type and error in common. `error` is the newest one's."""

    group: str
    queue: str
    message_type: str
    reason: str
    error_type: str
    error: str
    count: int
    oldest: str | None
    newest: str | None


def shown(letter: Letter, message: AbstractIncomingMessage, *, opening: bool) -> Shown:
    return Shown(letter, contents(message) if opening else None)


def grouped(found: Sequence[Letter]) -> list[Group]:
    """Return the groups, by queue, the largest first."""
    members: dict[tuple[str, str], list[Letter]] = defaultdict(list)
    for letter in found:
        members[letter.queue, letter.group].append(letter)
    groups = [_group(letters) for letters in members.values()]
    return sorted(groups, key=lambda group: (group.queue, -group.count, group.group))


def show_groups(found: Sequence[Letter], *, as_json: bool) -> None:
    groups = grouped(found)
    printer = Printer()
    if as_json:
        printer.json(msgspec.to_builtins(groups))
        return
    if not groups:
        printer.line(Text("no dead letters", "dim"))
        return
    head = f"{'group':<10}{'count':>6}  {'oldest':<20} {'newest':<20} {'queue':<20} type: error"
    printer.line(Text(head, "dim"))
    for group in groups:
        row = Text(f"{group.group:<10}", "bold").append(f"{group.count:>6}  ", "red")
        row.append(f"{group.oldest or '-':<20} {group.newest or '-':<20} ")
        row.append(f"{group.queue:<20} ", "cyan").append(f"{group.message_type}: ")
        row.append(" ".join(filter(None, (group.error_type or group.reason, group.error))))
        printer.line(row)
    printer.line(Text("see one: weft dead-letters show GROUP", "dim"))


def show_all(found: Sequence[Shown], *, as_json: bool) -> None:
    printer = Printer()
    if as_json:
        printer.json([_json(one) for one in found])
        return
    for one in found:
        for name, value in _json(one).items():
            if name == "headers" and isinstance(value, dict):
                for header, text in value.items():
                    _field(printer, f"  {header}", text)
            elif value not in (None, "", 0):
                _field(printer, name, value)
        printer.line("")


def show_done(what: str, done: Done) -> None:
    """Say how many letters of which queue it was done with."""
    counts: dict[str, int] = defaultdict(int)
    for letter in done.letters:
        counts[letter.queue] += 1
    for queue, count in sorted(counts.items()):
        show.note(f"{queue}: {count} {what}")
    if not counts:
        show.note(f"0 {what}")


def _group(letters: list[Letter]) -> Group:
    times = sorted(letter.failed_at for letter in letters if letter.failed_at)
    last = letters[-1]
    return Group(
        group=last.group,
        queue=last.queue,
        message_type=last.type,
        reason=last.reason,
        error_type=last.error_type,
        error=last.error,
        count=len(letters),
        oldest=_when(times[0]) if times else None,
        newest=_when(times[-1]) if times else None,
    )


def _json(one: Shown) -> dict[str, object]:
    letter = one.letter
    document: dict[str, object] = {
        "id": letter.id,
        "group": letter.group,
        "queue": letter.queue,
        "message_type": letter.type,
        "reason": letter.reason,
        "error_type": letter.error_type,
        "error": letter.error,
        "attempts": letter.attempts,
        "replays": letter.replays,
        "failed_at": _when(letter.failed_at) if letter.failed_at else None,
        "trace_id": letter.trace_id,
        "correlation_id": letter.correlation_id,
    }
    return document | (msgspec.to_builtins(one.contents) if one.contents else {})


def _field(printer: Printer, name: str, value: object) -> None:
    printer.line(Text(f"{name:<24} ", "dim").append(str(value), "default"), cut=False)


def _when(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
