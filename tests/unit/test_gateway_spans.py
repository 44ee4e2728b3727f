"""What a browser tells of itself is bounded, and says nothing that it may not say."""

from typing import Any

import msgspec
import pytest

from services.gateway.spans import MOST_NAMES, MOST_SPANS, OTHER, Export, Names, exported
from weft.http import Problem

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
RESOURCE = {"service.name": "web"}


def span(**changes: Any) -> dict[str, Any]:
    return {
        "traceId": TRACE,
        "spanId": SPAN,
        "name": "click Place order",
        "kind": 1,
        "startTimeUnixNano": "1795446520382803000",
        "endTimeUnixNano": "1795446520385803000",
        "attributes": [],
        "status": {"code": 0},
        **changes,
    }


def request(*spans: dict[str, Any], service: str = "web") -> dict[str, Any]:
    attributes = [{"key": "service.name", "value": {"stringValue": service}}]
    scope = {"scope": {"name": "any"}, "spans": list(spans)}
    return {"resourceSpans": [{"resource": {"attributes": attributes}, "scopeSpans": [scope]}]}


def told(document: dict[str, Any], names: Names | None = None) -> dict[str, Any]:
    """Return what the collector is given."""
    spans = msgspec.convert(document, Export).spans()
    sent = exported(spans, names or Names(), subject="alice", resource=RESOURCE)
    [resource] = msgspec.json.decode(sent)["resourceSpans"]
    decoded: dict[str, Any] = resource
    return decoded


def spans_of(resource: dict[str, Any]) -> list[dict[str, Any]]:
    [scope] = resource["scopeSpans"]
    spans: list[dict[str, Any]] = scope["spans"]
    return spans


def attributes_of(span: dict[str, Any]) -> dict[str, Any]:
    return {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}


def test_a_browser_is_web_whatever_it_calls_itself() -> None:
    resource = told(request(span(), service="payments"))
    assert attributes_of(resource["resource"]) == {"service.name": "web"}


def test_a_span_arrives_with_its_ids_times_and_parent() -> None:
    [sent] = spans_of(told(request(span(parentSpanId="00f067aa0ba902b7", kind=3))))
    assert (sent["traceId"], sent["spanId"]) == (TRACE, SPAN)
    assert (sent["parentSpanId"], sent["kind"]) == ("00f067aa0ba902b7", 3)
    assert sent["startTimeUnixNano"] == "1795446520382803000"
    assert sent["endTimeUnixNano"] == "1795446520385803000"


def test_who_sent_a_span_is_written_on_it_and_cannot_be_forged() -> None:
    forged = [{"key": "user.id", "value": {"stringValue": "bob"}}]
    [sent] = spans_of(told(request(span(attributes=forged))))
    assert attributes_of(sent) == {"user.id": "alice"}


@pytest.mark.parametrize("key", ["server.address", "db.system.name", "http.route", "anything"])
def test_an_attribute_that_no_browser_needs_is_dropped(key: str) -> None:
    given = [
        {"key": key, "value": {"stringValue": "x"}},
        {"key": "weft.order.id", "value": {"stringValue": "019a"}},
    ]
    [sent] = spans_of(told(request(span(attributes=given))))
    assert attributes_of(sent) == {"weft.order.id": "019a", "user.id": "alice"}


@pytest.mark.parametrize("status", [{"stringValue": "200"}, {"intValue": 7}, {"intValue": "2000"}])
def test_a_status_code_that_is_none_is_dropped(status: dict[str, Any]) -> None:
    given = [{"key": "http.response.status_code", "value": status}]
    [sent] = spans_of(told(request(span(attributes=given))))
    assert attributes_of(sent) == {"user.id": "alice"}


def test_names_beyond_the_bound_become_one_so_that_no_browser_makes_series_without_end() -> None:
    names = Names()
    for at in range(MOST_NAMES + 50):
        [sent] = spans_of(told(request(span(name=f"click {at}")), names))
        assert sent["name"] == (f"click {at}" if at < MOST_NAMES else OTHER)
    [again] = spans_of(told(request(span(name="click 0")), names))
    assert again["name"] == "click 0"


@pytest.mark.parametrize(
    "wrong",
    [
        {"traceId": "0" * 32},
        {"traceId": TRACE.upper()},
        {"spanId": "12"},
        {"parentSpanId": "x" * 16},
        {"name": ""},
        {"name": "a" * 101},
        {"name": "line\nbreak"},
        {"kind": 6},
        {"startTimeUnixNano": "-1"},
        {"endTimeUnixNano": "1" * 20},
        {"attributes": [{"key": "url.template", "value": {"stringValue": "x" * 257}}]},
        {"attributes": [{"key": "k", "value": {"boolValue": True}}] * 33},
        {"status": {"code": 3}},
    ],
    ids=str,
)
def test_what_is_no_span_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(request(span(**wrong)), Export)


def test_more_spans_than_a_page_makes_are_too_many_at_once() -> None:
    document = request(*[span()] * MOST_SPANS)
    assert len(msgspec.convert(document, Export).spans()) == MOST_SPANS
    document["resourceSpans"] += request(span())["resourceSpans"]
    with pytest.raises(Problem) as refused:
        msgspec.convert(document, Export).spans()
    assert refused.value.status == 413
