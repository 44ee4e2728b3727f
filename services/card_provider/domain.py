"""The simulated card provider's rules: pure. What a token does is told by its name."""

from enum import StrEnum
from typing import Final, Literal

import msgspec

MAX_AMOUNT_MINOR: Final = 99_999_999_900_000
FLAKY_FAILURES: Final = 2
"""Calls of a payment with tok_flaky that fail before one works."""
SLOW: Final = 3.0
"""Seconds that tok_slow takes."""


class Status(StrEnum):
    """Where an authorisation stands. Declined, captured and voided are final."""

    PENDING = "pending"
    AUTHORIZED = "authorized"
    DECLINED = "declined"
    CAPTURED = "captured"
    VOIDED = "voided"


class Verdict(msgspec.Struct, frozen=True):
    """What a new authorisation comes to, with the reason of a refusal."""

    status: Status
    reason: str | None = None


class Failing(Exception):
    """The provider is out of order for this call; `status` is 500 or 503."""

    def __init__(self, status: int) -> None:
        super().__init__(f"answers {status}")
        self.status = status


class Impossible(Exception):
    """The authorisation does not stand where this could be done with it."""

    def __init__(self, action: str, status: Status | None) -> None:
        super().__init__(f"{action} is not possible: the authorisation is {status or 'unknown'}")


def judge(token: str, calls: int) -> Verdict:
    """Return what becomes of a card, at the `calls`th call for its payment. Raises Failing."""
    match token:
        case "tok_ok" | "tok_slow" | "tok_down":
            return Verdict(Status.AUTHORIZED)
        case "tok_async":
            return Verdict(Status.PENDING)
        case "tok_flaky" if calls <= FLAKY_FAILURES:
            raise Failing(500 if calls % 2 else 503)
        case "tok_flaky":
            return Verdict(Status.AUTHORIZED)
        case "tok_declined":
            return Verdict(Status.DECLINED, "card_declined")
        case _:
            return Verdict(Status.DECLINED, "unknown_token")


def settle(status: Status | None, action: Literal["capture", "void"]) -> Status:
    """Return where an action leads; None is a payment never heard of. Raises Impossible.

    A void is remembered, whatever comes after it. What was declined holds nothing to be voided.
    """
    match action, status:
        case "capture", Status.AUTHORIZED | Status.CAPTURED:
            return Status.CAPTURED
        case "void", None | Status.PENDING | Status.AUTHORIZED | Status.VOIDED:
            return Status.VOIDED
        case "void", Status.DECLINED:
            return Status.DECLINED
        case _:
            raise Impossible(action, status)
