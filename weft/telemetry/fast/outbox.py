"""Encoded spans and log records on their way out of this process."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from opentelemetry.sdk.resources import Resource

from weft.telemetry.accounting import SIGNALS, Signal
from weft.telemetry.fast import encode


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
    """Collects what one instrumentation scope has made."""

    __slots__ = ("_runs", "after", "before")

    def __init__(self, name: str, version: str, url: str, attributes: Mapping[str, Any]) -> None:
        self.before, self.after = encode.scope(name, version, url, attributes)
        self._runs: list[tuple[int, bytes]] = []

    def put(self, *items: bytes) -> None:
        """Add spans or log records, as a run of bytes: many small objects would be looked at often.

        It takes no lock.
        """
        self._runs.append((len(items), b"".join(items)))

    def take(self) -> tuple[int, list[bytes]]:
        """Return how many items there are, and the runs of them; begin anew."""
        runs = self._runs[:]
        del self._runs[: len(runs)]
        return sum(items for items, _ in runs), [run for _, run in runs]


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
            filled, count = [], 0
            for scope in list(self._scopes[signal].values()):
                items, runs = scope.take()
                if items:
                    filled.append((scope.before, runs, scope.after))
                    count += items
            if filled:
                slices.append(Slice(signal, count, encode.request(self._resource, filled)))
        return slices
