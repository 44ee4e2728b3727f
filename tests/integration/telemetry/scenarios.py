"""Everything that people do with telemetry, for `test_conformance.py`: one program, two engines.

Ids are counted, not drawn, so that both engines give the same ones.
"""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

from elasticsearch import AsyncElasticsearch
from elasticsearch import ConnectionError as NotThere
from opentelemetry import baggage, context, metrics, propagate, trace
from opentelemetry._logs import SeverityNumber, get_logger_provider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode

from weft.telemetry import fact, get_logger, record, traced
from weft.telemetry.calls import ServerCall
from weft.telemetry.console import Console
from weft.telemetry.options import TelemetryOptions
from weft.telemetry.setup import Telemetry

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
UNSAMPLED = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-00"}
FAR = {"namespace": "orders", "host": "127.0.0.1", "port": 5432}

Scenario = Callable[[], Any]
SCENARIOS: list[Scenario] = []
lib = trace.get_tracer(
    "a.library", "1.2", schema_url="https://schemas/1", attributes={"kind": "of"}
)
log = get_logger("scenario")


def scenario(function: Scenario) -> Scenario:
    SCENARIOS.append(function)
    return function


def serve(status: int = 200, **options: Any) -> ServerCall:
    options = {"port": 8101, "headers": {"user-agent": "curl/8"}, "client": "10.0.0.1", **options}
    call = record.http_server("POST", "/v1/orders/17", **options)
    call.route = "/v1/orders/{order_id}"
    call.status = status
    return call


def _raised(error: Exception) -> Exception:
    try:
        raise error  # noqa: TRY301 - that is all it is for
    except Exception as caught:  # noqa: BLE001 - so that it has a stack
        return caught


# Calls of the chassis.


@scenario
def served() -> None:
    for status in (200, 404, 500):
        with serve(status) as call:
            call.request_bytes, call.response_bytes = 17, 200_000
            call.set("weft.order.id", "17")
            call.set("nothing", None)


@scenario
def served_without_a_route_or_a_status() -> None:
    call = record.http_server("GET", "/täg?ü", port=1, headers={}, scheme="https")
    call.end()


@scenario
def a_handler_that_raises() -> None:
    with contextlib.suppress(RuntimeError), serve(0):
        raise RuntimeError("boom")
    call = serve(500)
    call.end(_raised(KeyError("k")))
    call.end()


@scenario
async def a_client_that_goes_away() -> None:
    async def handle() -> None:
        call = serve()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            call.status = 499
            call.end()
            raise

    task = asyncio.create_task(handle())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@scenario
async def a_cancellation_that_nobody_foresaw() -> None:
    async def handle() -> None:
        with serve(0):
            await asyncio.sleep(60)

    task = asyncio.create_task(handle())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@scenario
def probes() -> None:
    for status in (200, 503):
        with serve(status, traced=False) as call:
            call.set("weft.dependencies.away", "x")


@scenario
def continued_traces() -> None:
    for headers in (PARENT, UNSAMPLED, {**PARENT, "tracestate": "a=1,b=2"}):
        with serve(headers=headers):
            with record.http_client("GET", "/x", host="h", port=1) as call:
                call.status = 200
            log.info("inside", carrier=str(sorted(call.carrier.items())))


@scenario
def a_traceparent_that_is_none() -> None:
    for text in ("", "00-" + "0" * 32 + "-b7ad6b7169203331-01", "zz", "ff-" + TRACE + "-1-01"):
        with serve(headers={"traceparent": text}):
            pass


@scenario
def a_stranger_at_the_edge() -> None:
    outside = {
        **UNSAMPLED,
        "baggage": "user=eve",
        "tracestate": ",".join(f"k{n}=v" for n in range(20)),
    }
    with (
        serve(headers=outside, trusted=False) as call,
        record.http_client("GET", "/x", host="h", port=1, url="http://h:1/x", attempt=2) as inner,
    ):
        inner.status = 404
        log.info("carried", carrier=str(sorted(call.carrier.items())))


@scenario
def a_client_that_fails() -> None:
    with serve():
        for error in (OSError("refused"), TimeoutError()):
            call = record.http_client("GET", "/x/{id}", host="h", port=1)
            call.end(error)


@scenario
def messages() -> None:
    with serve():
        sent = record.send(
            exchange="weft.events",
            routing_key="order.placed",
            message_type="order.placed",
            message_id="m-1",
            body_bytes=12,
            conversation="c",
        )
        sent.end()
    for outcome, error in (("processed", None), ("retried", ValueError("no"))):
        call = record.process(
            queue="orders.events",
            routing_key="order.placed",
            message_type="order.placed",
            message_id="m-1",
            body_bytes=12,
            carrier=sent.carrier,
            conversation="c",
            attempt=2,
        )
        fact("weft.order.id", "17")
        call.outcome = outcome
        done = record.settle(queue="orders.events", message_id="m-1", operation="ack", parent=call)
        done.end()
        call.end(error)
    call = record.process(
        queue="q",
        routing_key="",
        message_type="",
        message_id="",
        body_bytes=0,
        carrier={},
    )
    call.end()


@scenario
def a_message_that_is_sent_from_a_stored_context_and_refused() -> None:
    sent = record.send(
        exchange="",
        routing_key="q",
        message_type="T",
        message_id="m",
        body_bytes=1,
        parent={**PARENT, "baggage": "a=b"},
    )
    log.info("carried", carrier=str(sorted(sent.carrier.items())))
    sent.end(ConnectionError("closed"))


class _SqlError(Exception):
    sqlstate = "23505"


@scenario
def statements() -> None:
    record.sql("SELECT 1", **FAR).end()
    with serve():
        record.sql("SELECT a FROM t WHERE b = $1", **FAR).end()
        record.sql("INSERT INTO t VALUES ($1)", **FAR).end(_SqlError("twice"))
        record.sql("UPDATE t SET a = 1", **FAR).end(OSError("gone"))


@traced
def _own(fail: bool) -> None:
    fact("from.below", 1)
    if fail:
        raise LookupError("not there")


@traced
def _numbers() -> Iterator[int]:
    for number in range(3):
        with lib.start_as_current_span(f"number {number}"):
            yield number


@traced
async def _later() -> AsyncIterator[int]:
    yield 1
    await asyncio.sleep(0)
    yield 2


@scenario
async def own_functions() -> None:
    with serve():
        _own(fail=False)
        with contextlib.suppress(LookupError):
            _own(fail=True)
        assert list(_numbers()) == [0, 1, 2]
        for number in _numbers():
            if number:
                break
        assert [number async for number in _later()] == [1, 2]
    _own(fail=False)


# What is done with the current span.


@scenario
def attributes_of_the_current_span() -> None:
    with serve() as call:
        span = trace.get_current_span()
        span.set_attribute("text", "ä" * 300)
        span.set_attribute("whole", -5)
        span.set_attribute("big", 1 << 62)
        span.set_attribute("half", 0.5)
        span.set_attribute("flag", True)
        span.set_attributes({"again": 1, "more": "x"})
        span.set_attribute("again", 2)
        call.set("weft.order.id", "18")


@scenario
def attributes_of_odd_kinds() -> None:
    with serve() as call:
        span = trace.get_current_span()
        many: dict[str, Any] = {
            "list": ["a", "b"],
            "mixed": [1, "a", None],
            "tuple": (1.5, 2.5),
            "map": {"a": {"b": 1}},
            "bytes": b"\x00\xff",
            "none": None,
            "object": Ellipsis,
            "too big": 1 << 80,
            "lone": "\ud800",
            "": "no key",
        }
        for key, value in many.items():
            span.set_attribute(key, value)
        call.set("fact list", ["x"])
        call.set("fact object", Ellipsis)
        call.set("fact lone", "\ud800")


@scenario
def attributes_that_the_call_sets_too() -> None:
    with serve() as call:
        trace.get_current_span().set_attribute("http.route", "mine")
        trace.get_current_span().set_attribute("url.scheme", "mine")
        call.set("server.port", 1)
        call.set("http.route", "a fact")


@scenario
def too_many_of_everything() -> None:
    with serve() as call:
        span = trace.get_current_span()
        for number in range(150):
            span.set_attribute(f"a{number}", number)
            span.add_event(f"e{number}")
            span.add_link(SpanContext(1, number + 1, is_remote=False))
        call.set("weft.order.id", "19")
    with serve() as call:
        for number in range(150):
            call.set(f"f{number}", number)


@scenario
def events_and_links() -> None:
    with serve():
        span = trace.get_current_span()
        span.add_event("plain")
        span.add_event("full", {"a": 1, "list": ["x"], "odd": Ellipsis}, timestamp=1_000)
        span.add_link(SpanContext(5, 6, is_remote=True), {"why": "because"})
        span.add_link(SpanContext(7, 8, is_remote=False))
        span.add_link(SpanContext(0, 0, is_remote=False))
        span.record_exception(ValueError("seen"), {"extra": 1})


@scenario
def names_and_statuses() -> None:
    with serve():
        trace.get_current_span().update_name("mine")
    with serve(500):
        trace.get_current_span().set_status(StatusCode.OK)
    with serve():
        trace.get_current_span().set_status(StatusCode.ERROR, "because")
        trace.get_current_span().set_status(StatusCode.UNSET)
    with serve():
        trace.get_current_span().set_status(Status(StatusCode.ERROR, "one"), "two")
    with contextlib.suppress(OSError), serve(0):
        trace.get_current_span().set_status(Status(StatusCode.OK))
        raise OSError


@scenario
async def a_task_that_outlives_its_request() -> None:
    async def later() -> None:
        await asyncio.sleep(0)
        await gone.wait()
        span = trace.get_current_span()
        span.set_attribute("too", "late")
        span.add_event("too late")
        span.update_name("too late")
        span.set_status(StatusCode.ERROR)
        fact("too", "late")
        with lib.start_as_current_span("after the end"):
            log.info("after the end", recording=span.is_recording())

    gone = asyncio.Event()
    with serve():
        task = asyncio.create_task(later())
        await asyncio.sleep(0)
    gone.set()
    await task


@scenario
def a_span_that_its_user_ends() -> None:
    with serve() as call:
        span = trace.get_current_span()
        span.set_attribute("before", 1)
        span.end()
        span.end()
        span.set_attribute("after", 1)
        call.set("weft.order.id", "20")
        log.info("ended", recording=span.is_recording())
    with serve():
        trace.get_current_span().end(end_time=1)


@scenario
async def a_token_that_is_reset_elsewhere() -> None:
    async def elsewhere(token: Any) -> None:
        context.detach(token)

    logging.getLogger("opentelemetry.context").disabled = True
    with serve():
        token = context.attach(baggage.set_baggage("a", "1"))
        await asyncio.create_task(elsewhere(token))
        with lib.start_as_current_span("still below"):
            pass
    logging.getLogger("opentelemetry.context").disabled = False


@scenario
def a_span_used_as_a_context_manager() -> None:
    with (
        contextlib.suppress(ValueError),
        serve(),
        trace.use_span(trace.get_current_span(), record_exception=True),
    ):
        raise ValueError("through")


# Spans of libraries.


@scenario
def a_library_below_and_above() -> None:
    with lib.start_as_current_span("above", kind=SpanKind.CONSUMER, attributes={"a": 1}):
        with (
            serve(headers=_carrier()),
            lib.start_as_current_span(
                "below", links=[Link(SpanContext(9, 9, is_remote=True), {"l": 1})]
            ),
        ):
            record.sql("SELECT 1", **FAR).end()
        with record.http_client("GET", "/y", host="h", port=1):
            lib.start_span("not current").end()


def _carrier() -> dict[str, str]:
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


@scenario
def a_library_that_fails() -> None:
    with serve(), contextlib.suppress(ZeroDivisionError), lib.start_as_current_span("fails"):
        raise ZeroDivisionError("0")
    with (
        contextlib.suppress(ZeroDivisionError),
        serve(),
        lib.start_span("fails quietly", record_exception=False),
    ):
        raise ZeroDivisionError


@scenario
def a_span_in_a_generator() -> None:
    def numbers() -> Iterator[int]:
        with lib.start_as_current_span("generator"):
            yield 1
            yield 2

    with serve():
        for _ in numbers():
            lib.start_span("between").end()


@scenario
async def tasks_at_once() -> None:
    async def one(number: int) -> None:
        with lib.start_as_current_span(f"task {number}"):
            await asyncio.sleep(0)
            record.sql(f"SELECT {number}", **FAR).end()

    with serve():
        await asyncio.gather(*map(one, range(3)))


@scenario
def a_thread() -> None:
    with serve():
        here = context.get_current()

        def there() -> None:
            context.attach(here)
            trace.get_current_span().set_attribute("thread", "set")
            with lib.start_as_current_span("in a thread"):
                pass

        with ThreadPoolExecutor(1) as pool:
            pool.submit(there).result()


@scenario
def a_root_of_its_own() -> None:
    with (
        serve(),
        lib.start_as_current_span("root", context.Context()),
        record.http_client("GET", "/z", host="h", port=1),
    ):
        pass
    outer = NonRecordingSpan(SpanContext(77, 78, is_remote=True))
    with trace.use_span(outer), record.http_client("GET", "/w", host="h", port=1):
        pass


@scenario
def baggage_goes_along() -> None:
    with serve(headers={**PARENT, "baggage": "tenant=blue,x=1"}):
        log.info("baggage", tenant=str(baggage.get_baggage("tenant")), out=str(_carrier()))


@scenario
def a_websocket() -> None:
    call = serve(101)
    above = context.get_current()
    call.end()
    for number in range(2):
        token = context.attach(above)
        with lib.start_as_current_span(f"message {number}"):
            log.info("received", number=number)
        context.detach(token)


# Log records.


@scenario
def records() -> None:
    log.debug("not shown")
    log.info("plain", text="x", number=1, none=None)
    log.event("weft.change.start", "begun", number=1)
    with serve():
        log.warning("within", flag=False, many=[1, 2], odd=Ellipsis)
        log.exception("failed", _raised(RuntimeError("told")), a=1)
    logging.getLogger("a.library").warning("by %s", "logging")
    logging.getLogger("a.library").info("not shown either")
    api = get_logger_provider().get_logger(
        "api", version="2", schema_url="https://schemas/2", attributes={"s": 1}
    )
    api.emit(
        body={"a": [1, {"b": None}]},
        severity_number=SeverityNumber.ERROR2,
        attributes={"x": 1.5},
        event_name="happened",
        timestamp=5,
        observed_timestamp=6,
    )
    for number in range(2):
        log.info("many", **{f"k{n}": n for n in range(126 + 2 * number)})


@scenario
def instruments_of_ones_own() -> None:
    meter = metrics.get_meter("mine", "1")
    meter.create_counter("c", "{x}").add(2, {"a": "b"})
    meter.create_histogram("h", "s").record(0.3)
    meter.create_up_down_counter("u").add(-1)
    meter.create_observable_gauge("g", [lambda _: [metrics.Observation(4, {"k": "v"})]])


# A library that nobody here wrote.


@scenario
async def a_library_with_spans_of_its_own() -> None:
    logging.getLogger("elastic_transport").setLevel("CRITICAL")  # it tells durations
    async with AsyncElasticsearch("http://127.0.0.1:1", max_retries=0) as elastic:
        with serve(503), contextlib.suppress(NotThere):
            await elastic.info()


class CountedIds(IdGenerator):
    """1, 2, 3 ..."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def generate_span_id(self) -> int:
        return next(self._numbers)

    def generate_trace_id(self) -> int:
        return next(self._numbers) << 64


class Choosy(Sampler):
    """Every decision there is, by the span's name."""

    def should_sample(
        self,
        parent_context: Any,  # noqa: ARG002 - the interface has them all
        trace_id: int,  # noqa: ARG002
        name: str,
        kind: Any = None,
        attributes: Any = None,
        links: Any = None,  # noqa: ARG002
        trace_state: Any = None,  # noqa: ARG002
    ) -> SamplingResult:
        if name.startswith("SELECT"):
            return SamplingResult(Decision.DROP)
        if kind is SpanKind.CLIENT:
            return SamplingResult(Decision.RECORD_ONLY, attributes)
        state = trace.TraceState([("choosy", str(len(attributes or ())))])
        return SamplingResult(Decision.RECORD_AND_SAMPLE, {**(attributes or {}), "s": 1}, state)

    def get_description(self) -> str:
        return "choosy"


def main() -> None:
    telemetry = Telemetry(
        "scenarios",
        version="1",
        instance=0,
        environment="test",
        console=Console("off"),
        level="info",
        engine="fast" if sys.argv[1] == "fast" else "sdk",
        options=TelemetryOptions(
            id_generator=CountedIds(),
            resource=Resource({"own": "resource"}, "https://schemas/r"),
            sampler=Choosy() if os.environ.get("CHOOSY") else None,
        ),
    )
    for each in SCENARIOS:
        found = context.attach(context.Context())
        result = each()
        if asyncio.iscoroutine(result):
            asyncio.run(result)
        context.detach(found)
    assert telemetry.shutdown(20)
    sys.stdout.write(str(len(SCENARIOS)))


if __name__ == "__main__":
    main()
