"""The rules of products, stock and reservations."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.inventory import domain, seed

SKUS = st.text("ABC-0", min_size=1, max_size=3)


@given(st.lists(st.tuples(SKUS, st.integers(1, 1000)), max_size=30))
def test_lines_add_up_by_sku_in_one_order(items: list[tuple[str, int]]) -> None:
    lines = domain.lines(items)
    wanted: Counter[str] = Counter()
    for sku, quantity in items:
        wanted[sku] += quantity
    assert {line.sku: line.quantity for line in lines} == wanted
    assert [line.sku for line in lines] == sorted(wanted)


@given(st.integers(0, domain.MAX_PRICE_MINOR))
def test_an_amount_survives_the_way_out_and_in(minor: int) -> None:
    text = domain.amount(minor)
    assert re.search(domain.AMOUNT_PATTERN, text)
    assert domain.minor_units(text) == minor


ARABIC = "\u0661.\u0660\u0660"


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.5", "1.500", "-1.00", "+1.00", "1,00", "1e3", ARABIC, "12345678.00", "1.00\n"],
)
def test_an_amount_of_another_form_is_not_taken(text: str) -> None:
    assert not re.search(domain.AMOUNT_PATTERN, text)


@pytest.mark.parametrize("sku", ["", "a b", "a/b", "SKU_1", "é", "x" * 41, "A\n"])
def test_a_sku_of_another_form_is_not_taken(sku: str) -> None:
    assert not re.search(domain.SKU_PATTERN, sku)


def test_a_new_shop_has_fifty_products_at_varied_prices() -> None:
    products = seed.products()
    assert [product.sku for product in products] == [f"SKU-{n:04d}" for n in range(1, 51)]
    assert len({product.name for product in products}) == 50
    assert len({product.price_minor for product in products}) == 50
    assert all(1 <= product.price_minor <= 10_000 for product in products)
    assert all(product.stock == 10_000 for product in products)
