"""Encoded spans and log records on their way out of this process."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from opentelemetry.sdk.resources import Resource

from weft.telemetry.fast import encode

Signal = Literal["traces", "logs"]
SIGNALS: tuple[Signal, ...] = ("traces", "logs")


class Slice(NamedTuple):
    """A whole OTLP request: `items` spans or log records, with their resource."""

    signal: Signal
    items: int
    body: bytes

    @classmethod
    def joined(cls, pieces: Sequence["Slice"]) -> "Slice":
        """Return slices of one signal as one: requests after each other are one request."""
        if len(pieces) == 1:
            return pieces[0]
        body = b"".join(piece.body for piece in pieces)
        return cls(pieces[0].signal, sum(piece.items for piece in pieces), body)


class Scope:
    """Collects what one instrumentation scope has made. Appending takes no lock."""

    __slots__ = ("after", "before", "items")

    def __init__(self, name: str, version: str, url: str, attributes: Mapping[str, Any]) -> None:
        self.before, self.after = encode.scope(name, version, url, attributes)
        self.items: list[bytes] = []


class Outgoing:
    """The scopes of both signals."""

    def __init__(self, resource: Resource) -> None:
        self._resource = encode.EncodedResource(resource)
        self._scopes: dict[Signal, dict[Any, Scope]] = {signal: {} for signal in SIGNALS}

    def scope(
        self,
        signal: Signal,
        name: str,
        version: str = "",
        url: str = "",
        attributes: Mapping[str, Any] | None = None,
    ) -> Scope:
        """Return a scope's collection."""
        key = (name, version, url, frozenset(attributes.items()) if attributes else None)
        found = self._scopes[signal].get(key)
        if found is None:
            made = Scope(name, version, url, attributes or {})
            found = self._scopes[signal].setdefault(key, made)
        return found

    def take(self) -> list[Slice]:
        """Return what has come together, and begin anew. Called by one thread."""
        slices = []
        for signal in SIGNALS:
            filled = []
            for scope in list(self._scopes[signal].values()):
                items = scope.items[:]
                del scope.items[: len(items)]
                if items:
                    filled.append((scope.before, items, scope.after))
            if filled:
                count = sum(len(items) for _, items, _ in filled)
                slices.append(Slice(signal, count, encode.request(self._resource, filled)))
        return slices
