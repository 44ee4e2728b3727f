"""docs/saga.md shows the saga as the code has it."""

import pytest

from docs.saga import PAGE, render
from services.orders.saga import Signal, Step

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_page_agrees_with_the_code() -> None:
    assert render(TEXT) == TEXT, "run: python docs/saga.py"


@pytest.mark.parametrize("name", [*Signal, *Step])
def test_every_signal_and_every_step_is_on_the_page(name: str) -> None:
    assert f"`{name}`" in TEXT


def test_a_drawn_part_that_is_wrong_is_noticed() -> None:
    wrong = TEXT.replace("reserved --> pledged", "reserved --> released")
    assert wrong != TEXT
    assert render(wrong) == TEXT
