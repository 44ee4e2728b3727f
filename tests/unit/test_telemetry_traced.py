"""What @traced makes of functions, coroutines and generators of both kinds."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Generator, Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import INVALID_SPAN, SpanKind, StatusCode

from weft.telemetry import current_carrier, fact, record, traced


class Kitchen:
    @traced
    def bake(self, loaves: int) -> int:
        """Bake."""
        return loaves * 2

    @staticmethod
    @traced
    def clean() -> str:
        return "clean"


@traced
async def knead(minutes: float) -> str:
    await asyncio.sleep(0)
    if minutes > 60:
        raise ValueError("too long")
    return "dough"


@traced
def slices(count: int) -> Generator[int, int | None, str]:
    total = 0
    for number in range(count):
        try:
            total += (yield number) or 0
        except KeyError:
            yield -1
    return f"{total} eaten"


@traced
async def guests(count: int) -> AsyncIterator[int]:
    for number in range(count):
        await knead(1)
        yield number


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(record._engine, "_tracer", provider.get_tracer("weft"))
    yield exporter
    assert trace.get_current_span() is INVALID_SPAN, "a span was left current"


def only(exporter: InMemorySpanExporter) -> ReadableSpan:
    [span] = exporter.get_finished_spans()
    return span


def named(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    [span] = [span for span in exporter.get_finished_spans() if span.name == name]
    return span


def under(span: ReadableSpan) -> int | None:
    return span.parent and span.parent.span_id


def test_a_call_is_an_internal_span_named_as_the_function_is(spans: InMemorySpanExporter) -> None:
    assert Kitchen().bake(2) == 4
    span = only(spans)
    assert (span.name, span.kind) == ("Kitchen.bake", SpanKind.INTERNAL)
    assert dict(span.attributes or {}) == {"code.function.name": f"{__name__}.Kitchen.bake"}
    assert span.status.status_code is StatusCode.UNSET


def test_a_nested_function_is_named_without_what_it_is_nested_in(
    spans: InMemorySpanExporter,
) -> None:
    @traced
    def serve() -> None: ...

    serve()
    assert only(spans).name == "serve"


def test_the_function_keeps_its_name_its_documentation_and_its_kind() -> None:
    assert (Kitchen.bake.__name__, Kitchen.bake.__doc__) == ("bake", "Bake.")
    assert inspect.iscoroutinefunction(knead)
    assert inspect.isgeneratorfunction(slices)
    assert inspect.isasyncgenfunction(guests)
    assert list(inspect.signature(Kitchen.bake).parameters) == ["self", "loaves"]


def test_calls_are_spans_below_each_other(spans: InMemorySpanExporter) -> None:
    @traced
    def breakfast() -> int:
        return Kitchen().bake(1)

    with record.internal("morning"):
        breakfast()
    morning, middle, inner = (
        named(spans, name) for name in ("morning", "breakfast", "Kitchen.bake")
    )
    assert under(inner) == middle.context.span_id
    assert under(middle) == morning.context.span_id
    assert morning.parent is None


async def test_a_coroutines_span_lasts_until_its_end_and_tasks_do_not_mix(
    spans: InMemorySpanExporter,
) -> None:
    @traced
    async def batch(number: int) -> str:
        await asyncio.sleep(0)
        return await knead(number)

    assert await asyncio.gather(*(batch(number) for number in range(3))) == ["dough"] * 3
    found = spans.get_finished_spans()
    batches = {span.context.span_id for span in found if span.name == "batch"}
    assert len(batches) == 3
    assert {under(span) for span in found if span.name == "knead"} == batches


async def test_an_exception_is_recorded_and_goes_on(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="too long"):
        await knead(61)
    span = only(spans)
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "ValueError"
    [event] = span.events
    assert event.attributes is not None
    assert event.attributes["exception.message"] == "too long"
    assert "knead" in str(event.attributes["exception.stacktrace"])


async def test_a_cancelled_coroutine_ends_its_span_and_is_no_failure(
    spans: InMemorySpanExporter,
) -> None:
    @traced
    async def wait() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert only(spans).status.status_code is StatusCode.UNSET


def test_a_generators_span_lasts_to_its_end_and_its_caller_is_not_below_it(
    spans: InMemorySpanExporter,
) -> None:
    @traced
    def plates(count: int) -> Iterator[int]:
        for number in range(count):
            yield Kitchen().bake(number)

    seen = []
    for plate in plates(3):
        seen.append(plate)
        assert current_carrier() == {}
        assert "plates" not in {span.name for span in spans.get_finished_spans()}
    assert seen == [0, 2, 4]
    whole = named(spans, "plates")
    baked = [span for span in spans.get_finished_spans() if span.name == "Kitchen.bake"]
    assert [under(span) for span in baked] == [whole.context.span_id] * 3


def test_a_generator_is_sent_values_and_exceptions_and_returns_its_own(
    spans: InMemorySpanExporter,
) -> None:
    items = slices(2)
    assert next(items) == 0
    assert items.send(5) == 1
    assert items.throw(KeyError()) == -1
    with pytest.raises(StopIteration) as end:
        next(items)
    assert end.value.value == "5 eaten"
    assert only(spans).status.status_code is StatusCode.UNSET


def test_what_leaves_a_generator_marks_its_span(spans: InMemorySpanExporter) -> None:
    items = slices(2)
    next(items)
    with pytest.raises(OSError, match="gone"):
        items.throw(OSError("gone"))
    assert (only(spans).attributes or {})["error.type"] == "OSError"


def test_a_generator_that_is_not_asked_on_ends_its_span_and_is_no_failure(
    spans: InMemorySpanExporter,
) -> None:
    items = slices(9)
    next(items)
    items.close()
    assert only(spans).status.status_code is StatusCode.UNSET


def test_a_generator_that_never_begins_has_no_span(spans: InMemorySpanExporter) -> None:
    slices(9).close()
    assert spans.get_finished_spans() == ()


async def test_an_asynchronous_generator_is_one_span_with_its_work_below(
    spans: InMemorySpanExporter,
) -> None:
    async for _ in guests(2):
        assert current_carrier() == {}
    whole = named(spans, "guests")
    kneaded = [span for span in spans.get_finished_spans() if span.name == "knead"]
    assert [under(span) for span in kneaded] == [whole.context.span_id] * 2


async def test_an_asynchronous_generator_takes_exceptions_and_its_close(
    spans: InMemorySpanExporter,
) -> None:
    closed = []

    @traced
    async def courses() -> AsyncIterator[str]:
        try:
            yield "soup"
            yield "bread"
        finally:
            closed.append("kitchen")

    async with asyncio.timeout(60):
        menu = courses()
        assert await anext(menu) == "soup"
        with pytest.raises(OSError, match="burnt"):
            await menu.athrow(OSError("burnt"))  # type: ignore[attr-defined]  # it is a generator
        menu = courses()
        await anext(menu)
        await menu.aclose()  # type: ignore[attr-defined]
    failed, fine = spans.get_finished_spans()
    assert (failed.attributes or {})["error.type"] == "OSError"
    assert fine.status.status_code is StatusCode.UNSET
    assert closed == ["kitchen", "kitchen"]


def test_a_fact_from_below_reaches_the_request(spans: InMemorySpanExporter) -> None:
    @traced
    def look_up() -> None:
        fact("shelf", 3)

    with record.http_server("GET", "/bread", port=1, headers={}) as call:
        look_up()
        call.status = 200
    assert (named(spans, "GET").attributes or {})["shelf"] == 3


@pytest.mark.parametrize("wrong", [Kitchen, staticmethod(len), 7, len])
def test_what_is_no_function_of_ones_own_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match="traced decorates functions, not"):
        traced(wrong)  # type: ignore[type-var]


def test_a_static_method_is_traced_below_its_decorator(spans: InMemorySpanExporter) -> None:
    assert Kitchen.clean() == "clean"
    assert only(spans).name == "Kitchen.clean"
