"""What the simulated provider makes of tokens, captures and voids."""

import pytest

from services.card_provider.domain import Failing, Impossible, Status, Verdict, judge, settle


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
