"""A request finds its route, or a 404 or 405 that says what is allowed."""

import pytest

from weft.http import Problem
from weft.http.router import Router


@pytest.fixture
def router() -> Router[str]:
    router: Router[str] = Router()
    router.add("GET", "/", "home")
    router.add("GET", "/v1/orders", "list")
    router.add("POST", "/v1/orders", "place")
    router.add("GET", "/v1/orders/{order_id}", "show")
    router.add("GET", "/v1/orders/mine", "mine")
    router.add("DELETE", "/v1/orders/{order_id}/items/{item}", "drop")
    router.add("GET", "/docs/{file...}", "docs")
    router.add("PUT", "/v1/orders/{id}", "set")
    router.add("*", "/any", "any")
    return router


@pytest.mark.parametrize(
    ("method", "path", "endpoint", "values"),
    [
        ("GET", "/", "home", {}),
        ("GET", "/v1/orders", "list", {}),
        ("HEAD", "/v1/orders", "list", {}),
        ("POST", "/v1/orders", "place", {}),
        ("GET", "/v1/orders/7", "show", {"order_id": "7"}),
        ("PUT", "/v1/orders/7", "set", {"id": "7"}),
        ("GET", "/v1/orders/mine", "mine", {}),
        ("GET", "/v1/orders/a%20b%C3%A9", "show", {"order_id": "a bé"}),
        ("GET", "/v1/%6Frders", "list", {}),
        ("DELETE", "/v1/orders/7/items/8", "drop", {"order_id": "7", "item": "8"}),
        ("DELETE", "/v1/orders/mine/items/8", "drop", {"order_id": "mine", "item": "8"}),
        ("GET", "/docs/a/b.js", "docs", {"file": "a/b.js"}),
        ("PUT", "/any", "any", {}),
    ],
)
def test_a_request_finds_its_route(
    router: Router[str], method: str, path: str, endpoint: str, values: dict[str, str]
) -> None:
    assert router.find(method, path) == (endpoint, values)


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/v1",
        "/v1/orders/",
        "/v1/orders/7/",
        "/v1/orders/..",
        "/v1/orders/%2E%2E",
        "/v1/orders/%00",
        "/v1/orders/a%0Ab",
        "/v1/orders/a%2Fb",
        "/docs/../secrets",
        "/docs/%2e%2e%2fsecrets",
        "//",
        "*",
        "",
        "example.org:443",
        "/" * 5000,
    ],
)
def test_a_path_without_a_route_is_a_404(router: Router[str], path: str) -> None:
    with pytest.raises(Problem) as caught:
        router.find("GET", path)
    assert caught.value.status == 404


def test_a_path_that_is_not_utf8_is_a_400(router: Router[str]) -> None:
    with pytest.raises(Problem) as caught:
        router.find("GET", "/v1/orders/%ff")
    assert caught.value.status == 400


def test_a_method_that_is_not_allowed_is_a_405_that_names_those_that_are(
    router: Router[str],
) -> None:
    with pytest.raises(Problem) as caught:
        router.find("PATCH", "/v1/orders")
    assert caught.value.status == 405
    assert caught.value.headers == {"Allow": "GET, HEAD, POST"}


def test_a_route_cannot_be_registered_twice(router: Router[str]) -> None:
    with pytest.raises(ValueError, match="twice"):
        router.add("GET", "/v1/orders", "again")
