"""A target is made of a template, values and a query, and none of them leads elsewhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.http.router import Router
from weft.http.target import Query, target_of


@pytest.mark.parametrize(
    ("template", "values", "query", "expected"),
    [
        ("/v1/orders", None, None, "/v1/orders"),
        ("/v1/orders/{id}", {"id": "a/b c?d#e"}, None, "/v1/orders/a%2Fb%20c%3Fd%23e"),
        ("/v1/orders/{id}", {"id": 7}, {"limit": 5, "after": None}, "/v1/orders/7?limit=5"),
        ("/v1/orders", {}, {"sku": ["A", "B&"]}, "/v1/orders?sku=A&sku=B%26"),
        ("/v1/orders", {}, "limit=%20", "/v1/orders?limit=%20"),
        ("/docs/{file...}", {"file": "a/b c"}, None, "/docs/a/b%20c"),
    ],
)
def test_values_are_escaped(
    template: str, values: dict[str, object] | None, query: Query | None, expected: str
) -> None:
    assert target_of(template, values, query) == expected


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_value_that_would_lead_elsewhere_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="segment"):
        target_of("/v1/orders/{id}", {"id": value}, None)


def test_a_missing_value_is_named() -> None:
    with pytest.raises(KeyError, match="id"):
        target_of("/v1/orders/{id}", {}, None)


@given(st.text(min_size=1).filter(lambda t: t.isprintable() and "/" not in t))
def test_what_a_client_escapes_a_server_reads(value: str) -> None:
    router: Router[str] = Router()
    router.add("GET", "/v1/{name}/end", "it")
    if value not in (".", ".."):
        target = target_of("/v1/{name}/end", {"name": value}, None)
        assert router.find("GET", target) == ("it", {"name": value})
