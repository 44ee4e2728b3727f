"""Which function handles which message, in the transaction of its effect."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from weft.messaging.message import Incoming, Message
from weft.postgres.transaction import Transaction

M = TypeVar("M", bound=Message)
Function = Callable[[Transaction, M, Incoming], Awaitable[None]]


class Handler(msgspec.Struct, frozen=True):
    """A message class and what is done with it."""

    kind: type[Message]
    function: Function[Any]
    together: bool = False


class Handlers:
    """A registry of handlers, filled by decorators."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        self._endless: set[str] = set()
        self._gone: set[str] = set()

    def on(
        self, kind: type[M], *, endless: bool = False, together: bool = False
    ) -> Callable[[Function[M]], Function[M]]:
        """Decorate `async fn(tx, message, incoming)`: it handles messages of the class `kind`.

        Its effect belongs into `tx`. With `endless` it is tried again until it succeeds, for
        compensations and whatever else has no way back. With `together` its transaction may be
        shared with other messages: it is faster, and a conflict of one is tried again for all.
        """

        def register(function: Function[M]) -> Function[M]:
            if kind.message_type in self._handlers:
                raise ValueError(f"{kind.message_type} has a handler already")
            self._handlers[kind.message_type] = Handler(kind, function, together)
            if endless:
                self._endless.add(kind.message_type)
            return function

        return register

    def gone(self, *message_types: str) -> None:
        """Pass over messages that an earlier version handled: its bindings stay at the broker."""
        self._gone.update(message_types)

    def find(self, message_type: str) -> Handler | None:
        """Return the handler of a message type."""
        return self._handlers.get(message_type)

    @property
    def types(self) -> frozenset[str]:
        """All message types with a handler."""
        return frozenset(self._handlers)

    @property
    def endless(self) -> frozenset[str]:
        """The types without a last attempt."""
        return frozenset(self._endless)

    @property
    def forgotten(self) -> frozenset[str]:
        """The types that are passed over."""
        return frozenset(self._gone)

    @property
    def kinds(self) -> tuple[type[Message], ...]:
        """All message classes with a handler, in the order of registration."""
        return tuple(handler.kind for handler in self._handlers.values())
