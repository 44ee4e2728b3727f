"""What payments says and keeps of a payment."""

import msgspec
import pytest

from services.payments import store
from services.payments.caller import FIRST_PAUSE, LONGEST_PAUSE, pause
from services.payments.domain import Call, State
from services.payments.messages import AuthorizePayment, event
from services.payments.provider import answer
from services.payments.store import OpenCall, Payment
from weft.messaging import Unparsable, decode
from weft.postgres import StoredEvent

ORDER = "01890000-0000-7000-8000-000000000001"
ID = "01890000-0000-7000-8000-000000000002"
PAYMENT = Payment(payment_id=ID, order_id=ORDER, amount_minor=250, currency="EUR")
COMMAND = {
    "order_id": ORDER,
    "payment_id": ID,
    "amount_minor": 250,
    "currency": "EUR",
    "token": "tok_ok",
}


def history(*states: State) -> list[StoredEvent]:
    events = [event(state, PAYMENT, "card_declined") for state in states]
    return [
        StoredEvent(
            n, store.stream(ID), n, each.message_type, 1, msgspec.json.encode(each), {}, 0.0
        )
        for n, each in enumerate(events, start=1)
    ]


def test_no_events_are_no_payment() -> None:
    assert store.fold(ID, []) is None


def test_a_payment_is_told_by_its_events() -> None:
    payment = store.fold(ID, history(State.REQUESTED, State.DECLINED))
    assert payment == Payment(
        payment_id=ID,
        order_id=ORDER,
        version=2,
        state=State.DECLINED,
        amount_minor=250,
        currency="EUR",
        reason="card_declined",
    )


@pytest.mark.parametrize("state", State)
def test_every_state_is_told_by_an_event_of_its_own(state: State) -> None:
    payment = store.fold(ID, history(state))
    assert payment is not None
    assert payment.state is state


def test_events_never_hold_the_token() -> None:
    told = b"".join(msgspec.json.encode(event(state, PAYMENT, "")) for state in State)
    assert b"tok_" not in told


def test_a_token_does_not_show_in_representations() -> None:
    command = decode(AuthorizePayment, 1, msgspec.json.encode(COMMAND))
    call = OpenCall(
        age=0.0,
        payment_id=ID,
        order_id=ORDER,
        call=Call.AUTHORIZE,
        amount_minor=250,
        currency="EUR",
        token=command.token,
        carrier={},
        attempts=1,
    )
    assert "tok_" not in repr(command) + str(command) + repr(call) + str(call)


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount_minor": 0},
        {"amount_minor": 10**15},
        {"amount_minor": 2.5},
        {"currency": "USD"},
        {"token": "4111111111111111"},
        {"payment_id": "no"},
    ],
)
def test_a_command_out_of_bounds_is_refused_without_telling_its_values(
    wrong: dict[str, object],
) -> None:
    with pytest.raises(Unparsable) as caught:
        decode(AuthorizePayment, 1, msgspec.json.encode(COMMAND | wrong))
    assert "4111" not in str(caught.value)


def test_an_unknown_word_of_the_provider_is_no_answer() -> None:
    assert answer("pending", None).outcome is None
    assert answer("who knows", None).outcome is None
    assert answer("authorized", None).outcome is State.AUTHORIZED


def test_pauses_between_calls_grow_to_a_bound() -> None:
    assert FIRST_PAUSE / 2 <= pause(1) <= FIRST_PAUSE
    assert LONGEST_PAUSE / 2 <= pause(1_000_000) <= LONGEST_PAUSE
