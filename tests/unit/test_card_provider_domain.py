"""What the simulated provider makes of tokens, captures and voids."""

import pytest

from services.card_provider.domain import (
    SOON,
    Failing,
    Habits,
    Impossible,
    Manner,
    Status,
    Verdict,
    judge,
    settle,
)


@pytest.mark.parametrize("token", ["tok_ok", "tok_slow"])
def test_a_good_card_is_authorised(token: str) -> None:
    assert judge(token, 1) == Verdict(Status.AUTHORIZED)


def test_an_unknown_card_is_declined() -> None:
    assert judge("tok_declined", 1) == Verdict(Status.DECLINED, "card_declined")
    assert judge("tok_stranger", 1) == Verdict(Status.DECLINED, "unknown_token")


def test_a_flaky_card_fails_twice_and_then_works() -> None:
    statuses = []
    for calls in (1, 2):
        with pytest.raises(Failing) as caught:
            judge("tok_flaky", calls)
        statuses.append(caught.value.status)
    assert statuses == [500, 503]
    assert judge("tok_flaky", 3) == Verdict(Status.AUTHORIZED)


def test_an_asynchronous_card_is_pending() -> None:
    assert judge("tok_async", 1) == Verdict(Status.PENDING)


@pytest.mark.parametrize(
    ("digit", "manner", "decided_in", "times"),
    [
        ("0", Manner.ONCE, SOON, 1),
        ("1", Manner.TWICE, SOON, 2),
        ("2", Manner.LATE, 7.0, 1),
        ("3", Manner.NEVER, SOON, 0),
        ("4", Manner.ONCE, SOON, 1),
    ],
)
def test_the_payments_id_says_how_its_webhook_comes(
    digit: str, manner: Manner, decided_in: float, times: int
) -> None:
    habits = Habits(tuple(Manner), late=7.0)
    payment_id = f"019a0d4b-5f10-7c4e-8a3e-0a8f5a3c000{digit}"
    assert habits.manner(payment_id) is manner
    assert habits.decided_in(payment_id) == decided_in
    assert habits.times(payment_id) == times


@pytest.mark.parametrize("status", [None, Status.PENDING, Status.AUTHORIZED, Status.VOIDED])
def test_what_is_not_captured_can_be_voided(status: Status | None) -> None:
    assert settle(status, "void") is Status.VOIDED


def test_a_void_of_what_was_declined_leaves_it_declined() -> None:
    assert settle(Status.DECLINED, "void") is Status.DECLINED


@pytest.mark.parametrize("status", [Status.AUTHORIZED, Status.CAPTURED])
def test_a_capture_may_be_repeated(status: Status) -> None:
    assert settle(status, "capture") is Status.CAPTURED


@pytest.mark.parametrize("status", [None, Status.PENDING, Status.DECLINED, Status.VOIDED])
def test_only_what_is_authorised_can_be_captured(status: Status | None) -> None:
    with pytest.raises(Impossible):
        settle(status, "capture")


def test_what_is_captured_cannot_be_voided() -> None:
    with pytest.raises(Impossible):
        settle(Status.CAPTURED, "void")
