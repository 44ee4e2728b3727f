import pytest

from services.orders.domain import Line, NotSellable, Product, price, total, volume_price

CUP = Product(sku="CUP", name="Cup", price_minor=625, currency="EUR")
POT = Product(sku="POT", name="Pot", price_minor=1999, currency="EUR")
TIN = Product(sku="TIN", name="Tin", price_minor=300, currency="CHF")
CATALOGUE = {product.sku: product for product in (CUP, POT, TIN)}


def lines(*skus: str) -> list[Line]:
    return [Line(sku=sku, quantity=2) for sku in skus]


def test_items_carry_the_name_and_price_of_the_moment() -> None:
    items, currency = price(lines("CUP", "POT"), CATALOGUE)
    assert [(item.name, item.price_minor, item.quantity) for item in items] == [
        ("Cup", 625, 2),
        ("Pot", 1999, 2),
    ]
    assert currency == "EUR"
    assert total(items) == 2 * 625 + 2 * 1999


def test_the_same_sku_may_stand_in_two_lines() -> None:
    items, _ = price(lines("CUP", "CUP"), CATALOGUE)
    assert total(items) == 4 * 625


def test_every_unknown_sku_is_named_by_its_position() -> None:
    with pytest.raises(NotSellable) as caught:
        price(lines("NONE", "CUP", "GONE"), CATALOGUE)
    assert [(position, field) for position, field, _ in caught.value.errors] == [
        (0, "sku"),
        (2, "sku"),
    ]


def test_a_second_currency_is_refused_where_it_appears() -> None:
    with pytest.raises(NotSellable) as caught:
        price(lines("CUP", "TIN"), CATALOGUE)
    assert caught.value.errors == ((1, "sku", "is not sold in EUR, as the others are"),)


def test_who_has_the_volume_discount_pays_less_from_ten_pieces_on() -> None:
    wanted = [Line(sku="CUP", quantity=9), Line(sku="POT", quantity=10)]
    items, _ = price(wanted, CATALOGUE, volume_discount=True)
    assert [item.price_minor for item in items] == [625, 1899]
    items, _ = price(wanted, CATALOGUE)
    assert [item.price_minor for item in items] == [625, 1999]


@pytest.mark.parametrize(
    ("full", "less"), [(1, 1), (10, 10), (11, 10), (100, 95), (999_999, 949_999)]
)
def test_a_discounted_price_is_rounded_half_up_and_never_nothing(full: int, less: int) -> None:
    assert volume_price(full, 10) == less
    assert volume_price(full, 9) == full
