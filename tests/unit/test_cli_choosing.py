import pytest

from stack.cli.choosing import Filter, is_status
from weft.backends.trace import Span, Trace


def span(
    service: str = "orders",
    route: str | None = None,
    status: int | None = None,
    *,
    error: str | None = None,
    seconds: float = 0.01,
) -> Span:
    attributes = {"http.route": route, "http.response.status_code": status}
    return Span(
        trace_id="t",
        span_id="s",
        parent_id=None,
        links=[],
        service=service,
        name="x",
        kind="server",
        start=0.0,
        duration=seconds,
        error=error,
        attributes={key: value for key, value in attributes.items() if value is not None},
    )


def wanted(
    service: str | None = None,
    slow: float = 0.0,
    route: str | None = None,
    status: str | None = None,
) -> Filter:
    return Filter(service=service, slow=slow, route=route, status=status, since=900, limit=20)


def test_without_conditions_every_trace_fits() -> None:
    assert wanted().matches(Trace("t", [span()]))


def test_a_trace_is_as_slow_as_the_whole_of_it() -> None:
    trace = Trace("t", [span(seconds=0.4)])
    assert wanted(slow=0.4).matches(trace)
    assert not wanted(slow=0.5).matches(trace)


def test_service_route_and_status_have_to_meet_in_one_span() -> None:
    apart = Trace("t", [span("gateway", "/v1/orders", 202), span("payments", "/v1/x", 500)])
    assert not wanted(route="/v1/orders", status="500").matches(apart)
    assert wanted(service="payments", route="/v1/x", status="500").matches(apart)


@pytest.mark.parametrize(
    ("status", "code", "fits"),
    [("422", 422, True), ("422", 404, False), ("5xx", 503, True), ("5xx", 404, False)],
)
def test_a_status_is_a_code_or_a_class_of_codes(status: str, code: int, fits: bool) -> None:
    assert wanted(status=status).matches(Trace("t", [span(status=code)])) is fits


def test_error_means_a_failed_span_with_or_without_http() -> None:
    assert wanted(status="error").matches(Trace("t", [span(error="ConnectionError")]))
    assert not wanted(status="error").matches(Trace("t", [span(status=500)]))


def test_a_class_of_codes_is_searched_code_by_code() -> None:
    tags = list(wanted(route="/v1/orders", status="5xx").tags())
    assert {"http.route": "/v1/orders", "http.response.status_code": "503"} in tags
    assert len(tags) == 5


def test_without_route_and_status_one_search_is_enough() -> None:
    assert list(wanted().tags()) == [{}]


@pytest.mark.parametrize(
    ("text", "known"),
    [("error", True), ("5xx", True), ("4xx", True), ("422", True), ("6xx", False), ("ok", False)],
)
def test_only_statuses_that_can_be_searched_are_taken(text: str, known: bool) -> None:
    assert is_status(text) is known
