from itertools import islice

import pytest

from services.traffic.domain import (
    LONGEST_PAUSE,
    RESTOCK_EVERY,
    STOCK,
    TOO_MANY,
    back_off,
    until_next,
    wishes,
)


def test_most_orders_can_be_confirmed_and_some_of_each_kind_cannot() -> None:
    ordered = list(islice(wishes(), 100))
    declined = sum(wish.payment == "tok_declined" for wish in ordered)
    short = sum(wish.quantity > STOCK for wish in ordered)
    assert (declined, short) == (10, 10)


def test_the_stock_lasts_until_it_is_filled_up_again() -> None:
    ordered = islice(wishes(), RESTOCK_EVERY)
    assert sum(wish.quantity for wish in ordered if wish.quantity != TOO_MANY) <= STOCK


def test_one_order_a_second_on_average_and_none_in_step() -> None:
    assert [until_next(1.0, chance) for chance in (0.0, 0.5, 1.0)] == [0.5, 1.0, 1.5]


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_pauses_grow_while_the_gateway_is_away_and_have_a_bound(chance: float) -> None:
    pauses = [back_off(failures, chance) for failures in range(1, 30)]
    assert pauses == sorted(pauses)
    assert pauses[1] == 2 * pauses[0]
    assert max(pauses) == LONGEST_PAUSE * (0.5 + 0.5 * chance)
