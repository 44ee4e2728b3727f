"""Attribute sets that repeat: made once, and encoded once."""

from collections.abc import Mapping
from typing import Any

from weft.telemetry import wire

SPAN_ATTRIBUTE = b"\x4a"
LOG_ATTRIBUTE = b"\x32"


class Labels:
    """Attributes of few different values: of a metric's point, and of what tells of the same call.

    Each combination of values has one instance, kept by whoever makes them (an `lru_cache`).
    """

    __slots__ = ("attributes", "in_log", "in_span", "key", "names", "series")

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        self.attributes = {k: v for k, v in attributes.items() if v not in (None, "")}
        self.names = frozenset(self.attributes)
        self.key = frozenset(self.attributes.items())
        pairs = wire.pairs(self.attributes)
        self.in_span = wire.repeated(SPAN_ATTRIBUTE, pairs)
        self.in_log = wire.repeated(LOG_ATTRIBUTE, pairs)
        self.series: dict[Any, Any] = {}
        """The series of these labels, by instrument."""


NONE = Labels({})
