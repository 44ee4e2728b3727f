"""Waking the background tasks of this process when there is something for them to do."""

from collections.abc import Callable


class Signals:
    """Callbacks by name. Emitting costs nothing where nobody listens."""

    def __init__(self) -> None:
        self._callbacks: dict[str, list[Callable[[], None]]] = {}

    def connect(self, name: str, callback: Callable[[], None]) -> None:
        """Call `callback` on each `emit(name)`."""
        self._callbacks.setdefault(name, []).append(callback)

    def disconnect(self, name: str, callback: Callable[[], None]) -> None:
        """Undo `connect`."""
        self._callbacks[name].remove(callback)

    def emit(self, name: str) -> None:
        """Call all callbacks of `name`."""
        for callback in self._callbacks.get(name, ()):
            callback()
