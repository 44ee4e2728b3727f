"""A plug-in of supervisord, which does not count by itself how often each program was started."""

from collections import Counter
from typing import Any

from supervisor import events


class StartCounter:
    """The methods of the namespace `weft` in supervisord's XML-RPC interface."""

    def __init__(self) -> None:
        self._starts: Counter[str] = Counter()
        events.subscribe(events.ProcessStateStartingEvent, self._started)
        events.subscribe(events.ProcessGroupRemovedEvent, self._removed)

    def starts(self) -> dict[str, int]:
        """Return the starts of each program since it was added."""
        return dict(self._starts)

    def _started(self, event: Any) -> None:
        self._starts[event.process.config.name] += 1

    def _removed(self, event: Any) -> None:
        del self._starts[event.group]


def make(supervisord: Any) -> StartCounter:
    """What the configuration names as the factory."""
    del supervisord
    return StartCounter()
