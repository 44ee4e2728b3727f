import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.backends.logql import Query, label, quote


def test_no_condition_selects_every_service() -> None:
    assert Query().logql() == '{service_name=~".+"}'


def test_service_is_the_stream_selector_because_it_alone_is_indexed() -> None:
    assert Query(service="orders").logql() == '{service_name="orders"}'


def test_conditions_are_joined_and_all_have_to_hold() -> None:
    query = Query(
        service="orders",
        trace_id="ab" * 16,
        facts={"user.id": "alice"},
        not_routes=("/healthz", "/readyz"),
    )
    assert query.logql() == (
        '{service_name="orders"} | trace_id="' + "ab" * 16 + '" | user_id="alice"'
        ' | http_route!="/healthz" | http_route!="/readyz"'
    )


def test_one_of_the_either_facts_is_enough() -> None:
    query = Query(either={"weft.order.id": "1", "trace_id": "2"})
    assert query.logql().endswith(' | weft_order_id="1" or trace_id="2"')


@pytest.mark.parametrize(
    ("level", "number", "names"),
    [
        ("debug", 5, "debug|info|warn|error|critical|fatal"),
        ("info", 9, "info|warn|error|critical|fatal"),
        ("warning", 13, "warn|error|critical|fatal"),
        ("error", 17, "error|critical|fatal"),
    ],
)
def test_a_level_means_itself_and_those_above(level: str, number: int, names: str) -> None:
    expected = f'| (severity_number>={number} or detected_level=~"{names}")'
    assert Query(level=level).logql().endswith(expected)


def test_text_is_matched_on_the_line_with_the_facts_behind_it() -> None:
    stages = Query(text="declined").logql().split(" | ")
    assert stages[1] == 'label_format weft_message="{{__line__}}"'
    assert stages[2].startswith('line_format "{{__line__}}{{range $k, $v := .}}')
    assert stages[2].endswith('|~ "(?i)declined"')
    assert stages[3] == 'line_format "{{.weft_message}}"'


def test_text_comes_after_the_cheap_conditions() -> None:
    query = Query(text="x", level="error", facts={"a": "b"}, not_routes=("/c",)).logql()
    assert max(map(query.index, ("severity_number>=", 'a="b"', "/c"))) < query.index("|~")


def test_text_is_no_regular_expression() -> None:
    assert Query(text="a.b|c*").logql().split("|~ ")[1].startswith('"(?i)a\\\\.b\\\\|c\\\\*"')


@given(st.text())
def test_nothing_in_a_value_ends_its_literal(text: str) -> None:
    literal = quote(text)
    assert literal[0] == literal[-1] == '"'
    inside = literal[1:-1].replace("\\\\", "").replace('\\"', "")
    assert '"' not in inside
    assert "\n" not in inside


def test_a_label_has_underscores_for_dots_and_never_begins_with_a_digit() -> None:
    assert label("http.response.status_code") == "http_response_status_code"
    assert label("2nd-try") == "_2nd_try"
