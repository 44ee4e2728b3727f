"""What is never shown of a message or an event, whatever holds it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.messaging.letters import hidden


@pytest.mark.parametrize(
    "value",
    [
        {"token": "tok_ok"},
        {"payment": {"Token": "abc"}},
        {"cards": ["4111111111111111"]},
        {"note": "paid with tok_declined"},
        {"note": "card 4111111111111111 of ann"},
        {"note": "write to ann@example.org"},
        {"email": "ann"},
        [{"webhook_secret": "x"}, {"x": "whsec_MfKQ9r8GKYqrTwjU"}],
    ],
)
def test_a_secret_is_hidden_wherever_it_stands(value: object) -> None:
    text = json.dumps(hidden(value))
    assert "***" in text
    for secret in ("tok_", "4111", "@", "whsec_", "abc", '"ann"', '"x"}'):
        assert secret not in text


def test_everything_else_stays_as_it_is() -> None:
    data = {"items": [{"sku": "SKU-0001", "quantity": 2, "price_minor": 625}], "reason": None}
    assert hidden(data) == data


@given(st.recursive(st.text("abc ") | st.integers() | st.none(), st.lists))
def test_the_shape_of_a_value_is_kept(value: object) -> None:
    assert hidden(value) == value
