"""The specification follows from the handlers' types."""

from typing import Annotated, Any

import msgspec
import pytest

from weft.http import Reply, Request, Routes, openapi


class Line(msgspec.Struct):
    sku: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9-]{1,40}$")]
    quantity: Annotated[int, msgspec.Meta(ge=1, le=1000)]


class Placement(msgspec.Struct):
    """What is ordered."""

    items: list[Line]


class Order(msgspec.Struct):
    order_id: str


class Page(msgspec.Struct):
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    cursor: str | None = None


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    routes = Routes()

    @routes.post("/v1/orders", scope="orders:write", status=202, summary="Place an order")
    async def place(_: Request, body: Placement) -> Order | Reply[Order]:
        raise NotImplementedError

    @routes.get("/v1/orders", scope="orders:read", or_scope="orders:write")
    async def orders(_: Request, query: Page) -> list[Order]:
        raise NotImplementedError

    @routes.put("/v1/orders/{order_id}", answers={201: Order})
    async def put(_: Request, body: Order) -> Reply[Order]:
        raise NotImplementedError

    @routes.get("/docs/{file...}", public=True)
    async def docs(_: Request) -> Reply[bytes]:
        raise NotImplementedError

    @routes.get("/healthz", public=True, probe=True)
    async def alive(_: Request) -> None:
        raise NotImplementedError

    async def any_of_it(_: Request) -> Reply[bytes]:
        raise NotImplementedError

    routes.raw("DELETE", "/v1/orders/{order_id}", any_of_it, scope="orders:write")
    return openapi(routes, title="Orders", version="1.2.3")


def schema(document: dict[str, Any], part: dict[str, Any]) -> Any:
    (media,) = part["content"].values()
    found = media["schema"]
    return document["components"]["schemas"][found["$ref"].rpartition("/")[2]]


def test_it_is_openapi_3_1_and_says_whose_it_is(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["info"] == {"title": "Orders", "version": "1.2.3"}


def test_every_route_but_the_probes_is_in_it(document: dict[str, Any]) -> None:
    operations = {(path, m) for path, item in document["paths"].items() for m in item}
    assert operations == {
        ("/v1/orders", "post"),
        ("/v1/orders", "get"),
        ("/v1/orders/{order_id}", "put"),
        ("/v1/orders/{order_id}", "delete"),
        ("/docs/{file}", "get"),
    }


def test_a_body_has_its_bounds(document: dict[str, Any]) -> None:
    body = document["paths"]["/v1/orders"]["post"]["requestBody"]
    assert body["required"] is True
    assert schema(document, body)["description"] == "What is ordered."
    quantity = document["components"]["schemas"]["Line"]["properties"]["quantity"]
    assert quantity == {"type": "integer", "minimum": 1, "maximum": 1000}


def test_answers_have_their_types(document: dict[str, Any]) -> None:
    post = document["paths"]["/v1/orders"]["post"]["responses"]
    assert schema(document, post["202"])["title"] == "Order"
    put = document["paths"]["/v1/orders/{order_id}"]["put"]["responses"]
    assert schema(document, put["200"]) == schema(document, put["201"])
    assert "content" not in document["paths"]["/docs/{file}"]["get"]["responses"]["200"]


def test_a_query_becomes_parameters(document: dict[str, Any]) -> None:
    limit, cursor = document["paths"]["/v1/orders"]["get"]["parameters"]
    assert (limit["name"], limit["in"], limit["required"]) == ("limit", "query", False)
    assert limit["schema"]["maximum"] == 200
    assert cursor["name"] == "cursor"
    assert "Page" not in document["components"]["schemas"]


def test_path_values_are_parameters(document: dict[str, Any]) -> None:
    (parameter,) = document["paths"]["/docs/{file}"]["get"]["parameters"]
    assert parameter == {
        "name": "file",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
    }


def test_problems_are_answers_too(document: dict[str, Any]) -> None:
    post = document["paths"]["/v1/orders"]["post"]["responses"]
    assert {"400", "401", "403", "413", "415", "422", "500", "503"} <= set(post)
    assert list(post["422"]["content"]) == ["application/problem+json"]
    assert schema(document, post["422"])["title"] == "ProblemDocument"
    assert "404" in document["paths"]["/v1/orders/{order_id}"]["put"]["responses"]


def test_who_may_call_is_told(document: dict[str, Any]) -> None:
    assert document["paths"]["/docs/{file}"]["get"]["security"] == []
    scoped = document["paths"]["/v1/orders"]["post"]["security"]
    assert scoped == [{"bearer": ["orders:write"]}, {"apiKey": []}]
    either = document["paths"]["/v1/orders"]["get"]["security"]
    assert either == [{"bearer": ["orders:read"]}, {"bearer": ["orders:write"]}, {"apiKey": []}]
    assert set(document["components"]["securitySchemes"]) == {"bearer", "apiKey"}


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    names = [o["operationId"] for item in document["paths"].values() for o in item.values()]
    assert len(set(names)) == len(names)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    text = msgspec.json.encode(document).decode()
    for name in set(text.split('"#/components/schemas/')[1:]):
        assert name.partition('"')[0] in document["components"]["schemas"]
