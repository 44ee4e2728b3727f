"""Which function handles which message, in the transaction of its effect."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from weft.messaging.message import Incoming, Message
from weft.postgres.transaction import Transaction

M = TypeVar("M", bound=Message)
Function = Callable[[Transaction, M, Incoming], Awaitable[None]]
ManyFunction = Callable[[Transaction, Sequence[tuple[M, Incoming]]], Awaitable[None]]


class Handler(msgspec.Struct, frozen=True):
    """A message class and what is done with it: with one message, or (`many`) with several."""

    kind: type[Message]
    function: Callable[..., Awaitable[None]]
    together: bool = False
    many: bool = False


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
            self._add(Handler(kind, function, together), endless=endless)
            return function

        return register

    def on_many(
        self, kind: type[M], *, endless: bool = False
    ) -> Callable[[ManyFunction[M]], ManyFunction[M]]:
        """Decorate `async fn(tx, messages)`: it handles all of `kind` that are in hand at once.

        `messages` are pairs of message and incoming, one or more, each new and given once. One
        statement for all of them is what makes this faster than `together`; else it is the same.
        What fails is tried again message by message. The transaction has no `cause`, and belongs to
        the trace of the first message.
        """

        def register(function: ManyFunction[M]) -> ManyFunction[M]:
            self._add(Handler(kind, function, together=True, many=True), endless=endless)
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

    def _add(self, handler: Handler, *, endless: bool) -> None:
        name = handler.kind.message_type
        if name in self._handlers:
            raise ValueError(f"{name} has a handler already")
        self._handlers[name] = handler
        if endless:
            self._endless.add(name)
