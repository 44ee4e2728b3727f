"""An audit names what is missing, and nothing where all is stored."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from stack.audit.auditing import audit
from stack.audit.collector import Flow
from stack.audit.counts import Measurements, Records, first, grown, series
from stack.audit.sample import Looked, compare
from stack.audit.verdict import Account, differences
from stack.backends.connect import Backends
from stack.backends.http import BackendAway, BackendSlow
from stack.backends.jaeger import Jaeger
from stack.backends.loki import Loki
from stack.backends.prometheus import Prometheus
from stack.system import System
from tests.ports import free_url
from weft.backends.loki import LogLine
from weft.backends.trace import Span, Trace
from weft.telemetry.instruments import consumer_messages, http_server_duration

PORTS = {8102: "inventory"}


def span(span_id: str, parent: str | None, service: str, kind: str, **attributes: Any) -> Span:
    return Span(
        trace_id="t",
        span_id=span_id,
        parent_id=parent,
        links=[],
        service=service,
        name="GET /v1/products/{sku}",
        kind=kind,
        start=1.0,
        duration=0.1,
        error=None,
        attributes={key.replace("__", "."): value for key, value in attributes.items()},
    )


def line(span_id: str, service: str) -> LogLine:
    return LogLine(
        nanoseconds=1,
        level="INFO",
        service=service,
        instance=f"{service}-0",
        message="request",
        facts={},
        trace_id="t",
        span_id=span_id,
    )


CALL = {"http__request__method": "GET", "server__port": 8102, "http__response__status_code": 200}
SPANS = [
    span("a", None, "gateway", "server"),
    span("b", "a", "gateway", "client", **CALL),
    span("c", "b", "inventory", "server"),
    span("d", "c", "inventory", "client", db__system__name="postgresql"),
]
LINES = [line("a", "gateway"), line("c", "inventory")]

WHOLE = Account(
    since=0.0,
    until=60.0,
    records=[
        Records(service="orders", signal="logs", started=9, sent=9, dropped=0, stored=9, margin=0),
        Records(service="orders", signal="traces", started=9, sent=9, dropped=0, stored=None),
    ],
    span_metrics={"orders": 9},
    measurements=[Measurements(instance="orders-0", metric="x", own=5, stored=5)],
    flows=[Flow(kind="spans", accepted=9, refused=0, sent=9, failed=0)],
    queued={"jaeger": 0},
    sample=[Looked(trace_id="t", stored_spans=4, stored_lines=2)],
)


def test_a_trace_with_all_its_spans_and_lines_is_whole() -> None:
    looked = compare("t", Trace("t", SPANS), LINES, PORTS)
    assert looked.whole
    assert (looked.stored_spans, looked.stored_lines) == (4, 2)


@pytest.mark.parametrize(
    ("gone", "told_by"), [("a", "gateway"), ("b", "a caller of inventory"), ("c", "inventory")]
)
def test_a_span_that_others_tell_of_is_missed_once(gone: str, told_by: str) -> None:
    left = [each for each in SPANS if each.span_id != gone]
    assert compare("t", Trace("t", left), LINES, PORTS).spans == (told_by,)


def test_what_a_killed_peer_took_with_it_is_told_by_its_caller() -> None:
    looked = compare("t", Trace("t", SPANS[:2]), LINES[:1], PORTS)
    assert looked.spans == ("inventory",)


def test_a_call_without_an_answer_or_to_a_stranger_needs_no_server() -> None:
    unanswered = span("b", "a", "gateway", "client", http__request__method="GET", server__port=8102)
    stranger = span("b", "a", "gateway", "client", **{**CALL, "server__port": 443})
    for call in (unanswered, stranger):
        assert compare("t", Trace("t", [SPANS[0], call]), LINES[:1], PORTS).whole


def test_a_request_without_its_log_line_is_missed_and_a_trace_that_is_not_there() -> None:
    assert compare("t", Trace("t", SPANS), LINES[:1], PORTS).lines == ("inventory",)
    assert compare("t", None, LINES, PORTS).spans == ("gateway", "inventory")


def test_nothing_is_missing_where_all_is_stored() -> None:
    assert differences(WHOLE) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"records": [msgspec.structs.replace(WHOLE.records[0], dropped=1)]}, "process"),
        ({"flows": [msgspec.structs.replace(WHOLE.flows[0], failed=1)]}, "collector"),
        ({"records": [msgspec.structs.replace(WHOLE.records[0], stored=8)]}, "loki"),
        ({"sample": [Looked(trace_id="t", stored_spans=3, spans=("orders",))]}, "jaeger"),
        ({"sample": [Looked(trace_id="t", stored_spans=3, lines=("orders",))]}, "loki"),
        ({"measurements": [Measurements(instance="a", metric="x", own=5, stored=4)]}, "prometheus"),
    ],
)
def test_each_place_of_the_way_is_named_where_one_is_missing(
    change: dict[str, Any], place: str
) -> None:
    found = differences(msgspec.structs.replace(WHOLE, **change))
    assert [(each.place, each.missing) for each in found] == [(place, 1)]


def test_the_first_place_of_the_way_comes_first() -> None:
    both = msgspec.structs.replace(
        WHOLE,
        measurements=[Measurements(instance="a", metric="x", own=5, stored=4)],
        records=[msgspec.structs.replace(WHOLE.records[0], dropped=2)],
    )
    assert [each.place for each in differences(both)] == ["process", "prometheus"]


def test_a_counter_grows_from_its_last_sample_before_and_from_zero_after_a_restart() -> None:
    points = [(90.0, 20.0), (99.0, 50.0), (105.0, 60.0), (110.0, 4.0), (115.0, 9.0)]
    assert grown(points, 100.0) == 19.0
    assert first(points, 100.0) == 99.0


def test_a_counter_that_begins_within_the_time_has_grown_by_its_first_sample() -> None:
    assert grown([(150.0, 7.0), (155.0, 9.0)], 100.0) == 9.0
    assert first([(150.0, 7.0)], 100.0) == 100.0
    assert grown([], 100.0) == 0.0


def test_instruments_are_asked_for_by_the_names_that_prometheus_gives_them() -> None:
    assert series(http_server_duration) == "http_server_request_duration_seconds_count"
    assert series(consumer_messages) == "weft_consumer_messages_total"


NO_LINES = json.dumps({"data": {"resultType": "streams", "result": []}})


@pytest.mark.parametrize("patience", [0.0, 60.0])
async def test_a_slow_backend_is_asked_again_one_that_is_away_is_told_at_once(
    tmp_path: Path, patience: float
) -> None:
    asked = 0

    async def slow_at_first(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if asked == 1:
            await asyncio.sleep(60)
        return web.Response(text=NO_LINES)

    app = web.Application()
    app.router.add_get("/loki/api/v1/query_range", slow_at_first)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        backends = Backends(
            System.load({"WEFT_HOME": str(tmp_path)}),
            session,
            Jaeger("jaeger", free_url(), session),
            Loki("loki", str(server.make_url("")), session, deadline=1.0),
            Prometheus("prometheus", free_url(), session),
        )
        with pytest.raises(BackendAway) as caught:
            await audit(backends, since=0.0, patience=patience)
    assert (type(caught.value), caught.value.name) == (
        (BackendAway, "prometheus") if patience else (BackendSlow, "loki")
    )
