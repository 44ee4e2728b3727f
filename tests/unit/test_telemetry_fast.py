"""What the fast engine is told arrives once, also what ends in the middle of its work."""

import gc
import weakref
from collections.abc import Callable, ItemsView
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.sampling import DEFAULT_ON

from weft.telemetry import record
from weft.telemetry.calls import ServerCall
from weft.telemetry.fast.engine import BATCH, FastEngine
from weft.telemetry.fast.outbox import Outgoing
from weft.telemetry.fast.providers import Loggers, Tracers
from weft.telemetry.fast.signals import Signals
from weft.telemetry.sampling import EdgeSampler


class Told:
    """An engine with all that it tells."""

    def __init__(self) -> None:
        resource = Resource({"service.name": "s"})
        self._outgoing = Outgoing(resource)
        tracers = Tracers(
            self._outgoing, lambda _: None, resource=resource, sampler=EdgeSampler(DEFAULT_ON)
        )
        loggers = Loggers(self._outgoing, lambda _: None, resource=resource)
        self.engine = FastEngine(tracers, Signals(self._outgoing, loggers))

    def paths(self) -> tuple[list[Any], list[Any]]:
        """Return url.path of all spans and of all log records that are there by now."""
        self.engine.drain()
        spans: list[Any] = []
        records: list[Any] = []
        for piece in self._outgoing.take():
            if piece.signal == "traces":
                request = ExportTraceServiceRequest.FromString(piece.body)
                found = [each for r in request.resource_spans for each in r.scope_spans[0].spans]
                spans += map(_path, found)
            else:
                lines = ExportLogsServiceRequest.FromString(piece.body)
                found = [each for r in lines.resource_logs for each in r.scope_logs[0].log_records]
                records += map(_path, found)
            assert piece.items == len(found)
        return spans, records


def _path(told: Any) -> str:
    (found,) = [each.value.string_value for each in told.attributes if each.key == "url.path"]
    return str(found)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    made = Told()
    monkeypatch.setattr(record, "_engine", made.engine)
    return made


def served(path: str) -> ServerCall:
    call = record.http_server("GET", path, port=80, headers={})
    call.status = 200
    return call


def test_runs_of_calls_and_single_ones_are_counted(told: Told) -> None:
    for number in range(BATCH + 2):
        served(str(number)).end()
    call = served("fails")
    call.end(OSError())
    spans, records = told.paths()
    assert sorted(spans) == sorted(records) == sorted(["fails", *map(str, range(BATCH + 2))])
    assert told.paths() == ([], [])


class _Interrupting(dict[str, Any]):
    """A fact; where it is encoded, others end, as calls in generators that are collected do."""

    def __init__(self, end: Callable[[], object]) -> None:
        super().__init__(a=1)
        self._end = end

    def items(self) -> ItemsView[str, Any]:
        end, self._end = self._end, lambda: None
        end()
        return super().items()


def test_calls_that_end_while_others_are_told_are_told_once(told: Told) -> None:
    others = [served(f"other {number}") for number in range(2 * BATCH)]

    def end() -> None:
        others[-1].end(OSError())
        for other in reversed(others):
            other.end()

    for number in range(BATCH):
        call = served(str(number))
        if number == BATCH // 2:
            call.set("weft.interrupting", _Interrupting(end))
        call.end()
    expected = [*map(str, range(BATCH)), *(f"other {n}" for n in range(2 * BATCH))]
    spans, records = told.paths()
    assert sorted(spans) == sorted(records) == sorted(expected)


def test_what_a_call_needed_is_gone_when_it_is_told_without_a_garbage_collection(
    told: Told,
) -> None:
    gc.disable()
    try:
        call = served("/x")
        needed = weakref.ref(call.context)
        call.end()
        del call
        assert told.paths() == (["/x"], ["/x"])
        assert needed() is None
    finally:
        gc.enable()
