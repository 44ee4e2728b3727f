import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.ops.markup import element, together


def test_text_is_escaped_and_markup_is_not() -> None:
    inner = element("b", "<script>alert(1)</script>")
    assert element("p", inner, "&") == "<p><b>&lt;script&gt;alert(1)&lt;/script&gt;</b>&amp;</p>"


@pytest.mark.parametrize("value", ['" onload="alert(1)', "' onload='alert(1)", "<>&"])
def test_nothing_ends_an_attribute(value: str) -> None:
    made = element("a", href=value)
    assert made.count('"') == 2
    assert "'" not in made
    assert made.count("<") == 2


def test_names_of_attributes_are_written_with_hyphens_and_absent_ones_left_out() -> None:
    assert element("input", class_="a", aria_hidden="true", required=True, id=None, open=False) == (
        '<input class="a" aria-hidden="true" required>'
    )


def test_children_that_are_none_are_left_out_and_numbers_are_written() -> None:
    assert together(None, 0, 1.5) == "01.5"


@given(st.text(st.characters(codec=None), max_size=50))
def test_whatever_the_text_is_it_is_one_text_that_can_be_sent(text: str) -> None:
    made = element("p", text)
    assert made.count("<") == 2
    assert made.encode().decode() == made
    assert "\x00" not in made
