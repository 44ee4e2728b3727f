"""Products over HTTP: what is shown, what is refused and with which words."""

from typing import Any

import aiohttp
import pytest

from tests.integration.shop.conftest import Databases, Start
from tests.integration.shop.kit import Keys, Running

BODY: dict[str, Any] = {
    "name": "Reed",
    "price": {"amount": "2.50", "currency": "EUR"},
    "stock": 300,
}


@pytest.fixture(scope="module")
async def inventory(start: Start, keys: Keys, new_database: Databases, amqp_url: str) -> Running:
    return await start(
        "inventory",
        WEFT_DATABASE_URL=await new_database(),
        WEFT_BROKER_URL=amqp_url,
        WEFT_JWKS=str(keys.path),
    )


class Api:
    """Calls inventory as a user with the scope to write."""

    def __init__(self, http: aiohttp.ClientSession, service: Running, keys: Keys) -> None:
        self._http = http
        self._products = f"{service.url}/v1/products"
        self._headers = keys.header("inventory:write")

    async def put(self, sku: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
        sent = headers or self._headers
        async with self._http.put(f"{self._products}/{sku}", json=body, headers=sent) as response:
            return response.status, await response.json(content_type=None)

    async def get(self, path: str = "", **headers: str) -> tuple[int, dict[str, Any]]:
        sent = headers or self._headers
        async with self._http.get(f"{self._products}{path}", headers=sent) as response:
            return response.status, await response.json(content_type=None)


@pytest.fixture(scope="module")
def api(http: aiohttp.ClientSession, inventory: Running, keys: Keys) -> Api:
    return Api(http, inventory, keys)


async def test_a_product_is_created_then_set(api: Api) -> None:
    status, made = await api.put("NEW-1", BODY)
    assert (status, made) == (201, {"sku": "NEW-1", **BODY, "reserved": 0})
    status, changed = await api.put("NEW-1", BODY | {"stock": 2})
    assert (status, changed["stock"]) == (200, 2)
    assert await api.get("/NEW-1") == (200, changed)


async def test_an_unknown_product_is_not_found(api: Api) -> None:
    for path in ("/NONE", "/no_such", "/" + "x" * 200, "/%00"):
        status, problem = await api.get(path)
        assert (status, problem["status"]) in ((404, 404), (400, 400))


async def test_all_products_are_listed_once_newest_first(api: Api) -> None:
    await api.put("NEWEST", BODY)
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        status, page = await api.get(f"?limit=20&cursor={cursor}")
        assert status == 200
        seen += [product["sku"] for product in page["products"]]
        cursor = page["next"]
    assert seen[0] == "NEWEST"
    assert len(seen) == len(set(seen))
    assert {f"SKU-{n:04d}" for n in range(1, 51)} <= set(seen)


async def test_a_page_has_fifty_products_unless_asked_otherwise(api: Api) -> None:
    await api.put("MORE", BODY)
    _, page = await api.get()
    assert len(page["products"]) == 50


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "limit=1e9", "cursor=x", "cursor=MA", "cursor=%C3%A9"],
)
async def test_a_wrong_query_is_refused(api: Api, query: str) -> None:
    status, problem = await api.get(f"?{query}")
    assert status == 400
    assert problem["errors"][0]["path"] == f"/{query.partition('=')[0]}"


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"name": ""}, "/name"),
        ({"name": "x" * 201}, "/name"),
        ({"name": 1}, "/name"),
        ({"name": "a\0b"}, "/name"),
        ({"stock": -1}, "/stock"),
        ({"stock": 10**30}, "/stock"),
        ({"stock": 1.5}, "/stock"),
        ({"stock": None}, "/stock"),
        ({"price": {"amount": "2.5", "currency": "EUR"}}, "/price/amount"),
        ({"price": {"amount": "0.00", "currency": "EUR"}}, "/price/amount"),
        ({"price": {"amount": "99999999.00", "currency": "EUR"}}, "/price/amount"),
        ({"price": {"amount": 2.5, "currency": "EUR"}}, "/price/amount"),
        ({"price": {"amount": "2.50", "currency": "USD"}}, "/price/currency"),
    ],
)
async def test_a_product_out_of_bounds_is_refused_by_field(
    api: Api, wrong: dict[str, Any], path: str
) -> None:
    status, problem = await api.put("BAD", BODY | wrong)
    assert (status, problem["errors"][0]["path"]) == (422, path)
    assert (await api.get("/BAD"))[0] == 404


@pytest.mark.parametrize("sku", ["a_b", "x" * 41, "%C3%A9", "a%20b"])
async def test_a_sku_of_another_form_cannot_be_put(api: Api, sku: str) -> None:
    assert (await api.put(sku, BODY))[0] == 422


async def test_the_largest_product_can_be_put(api: Api) -> None:
    price = {"amount": "9999999.99", "currency": "EUR"}
    body = {"name": "x" * 200, "price": price, "stock": 10**9}
    assert (await api.put("x" * 40, body))[0] == 201


async def test_a_stranger_sees_nothing_and_a_reader_changes_nothing(api: Api, keys: Keys) -> None:
    assert (await api.get("", Accept="*/*"))[0] == 401
    assert (await api.put("SKU-0001", BODY, Accept="*/*"))[0] == 401
    assert (await api.put("SKU-0001", BODY, **keys.header("orders:write")))[0] == 403
    assert (await api.get("/SKU-0001", **keys.header()))[0] == 200
