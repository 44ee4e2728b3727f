"""The simulated card provider's rules: pure. What a token does is told by its name."""

from enum import StrEnum
from typing import Final, Literal

import msgspec

MAX_AMOUNT_MINOR: Final = 99_999_999_900_000
FLAKY_FAILURES: Final = 2
"""Calls of a payment with tok_flaky that fail before one works."""
SLOW: Final = 3.0
"""Seconds that tok_slow takes."""
SOON: Final = 0.5
"""Seconds after which tok_async is decided, if not late."""


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


class Manner(StrEnum):
    """How the webhook tells of a pending authorisation. Late: it is decided late, too."""

    ONCE = "once"
    TWICE = "twice"
    LATE = "late"
    NEVER = "never"


class Habits(msgspec.Struct, frozen=True):
    """The manners in use, of which each payment's id chooses one, and the seconds of `late`."""

    manners: tuple[Manner, ...]
    late: float

    def manner(self, payment_id: str) -> Manner:
        return self.manners[int(payment_id[-4:], 16) % len(self.manners)]

    def decided_in(self, payment_id: str) -> float:
        """Return the seconds that a pending authorisation stays so."""
        return self.late if self.manner(payment_id) is Manner.LATE else SOON

    def times(self, payment_id: str) -> int:
        """Return how often the webhook is called while it is taken each time."""
        return {Manner.NEVER: 0, Manner.TWICE: 2}.get(self.manner(payment_id), 1)


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
