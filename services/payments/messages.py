"""The commands that payments takes, the events that it keeps and sends, and the handlers."""

from typing import Annotated, Final, Literal

from msgspec import Meta

from services.payments import domain, store
from services.payments.domain import OPEN_CALL, Reaction, State, Wish
from services.payments.store import Payment
from weft.messaging import Command, Event, Incoming, outgoing
from weft.postgres import Database, EventLog, Handlers, Outbox, Transaction
from weft.telemetry import counter, current_carrier, fact, is_synthetic

OPENED: Final = "provider calls"
"""Emitted in this process after a call of the provider was committed."""

Id = Annotated[str, Meta(pattern="^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]

payments = counter("weft.payments", "{payment}", "Payments by the state that they came to.")


class AuthorizePayment(Command, frozen=True, kw_only=True):
    """Answered by `payment.authorized`, `payment.declined`, or `payment.voided` where voided."""

    message_type = "AuthorizePayment"
    order_id: Id
    payment_id: Id
    amount_minor: Annotated[int, Meta(ge=1, le=domain.MAX_AMOUNT_MINOR)]
    currency: Literal["EUR"]
    token: Annotated[str, Meta(pattern="^tok_[a-z]+$", max_length=255)]

    def __repr__(self) -> str:
        return f"AuthorizePayment({self.payment_id})"


class CapturePayment(Command, frozen=True, kw_only=True):
    """Answered by `payment.captured`."""

    message_type = "CapturePayment"
    order_id: Id
    payment_id: Id


class VoidPayment(Command, frozen=True, kw_only=True):
    """Answered by `payment.voided`, also for an unknown payment: a later authorisation is void."""

    message_type = "VoidPayment"
    order_id: Id
    payment_id: Id


class PaymentRequested(Event, frozen=True, kw_only=True):
    message_type = "payment.requested"
    order_id: str
    payment_id: str
    amount_minor: int
    currency: str


class PaymentAuthorized(Event, frozen=True, kw_only=True):
    message_type = "payment.authorized"
    order_id: str
    payment_id: str


class PaymentDeclined(Event, frozen=True, kw_only=True):
    message_type = "payment.declined"
    order_id: str
    payment_id: str
    reason: str


class CaptureRequested(Event, frozen=True, kw_only=True):
    message_type = "payment.capture_requested"
    order_id: str
    payment_id: str


class PaymentCaptured(Event, frozen=True, kw_only=True):
    message_type = "payment.captured"
    order_id: str
    payment_id: str


class VoidRequested(Event, frozen=True, kw_only=True):
    message_type = "payment.void_requested"
    order_id: str
    payment_id: str


class PaymentVoided(Event, frozen=True, kw_only=True):
    message_type = "payment.voided"
    order_id: str
    payment_id: str


_PLAIN: Final = {
    State.AUTHORIZED: PaymentAuthorized,
    State.CAPTURING: CaptureRequested,
    State.CAPTURED: PaymentCaptured,
    State.VOIDING: VoidRequested,
    State.VOIDED: PaymentVoided,
}


def event(state: State, payment: Payment, reason: str) -> Event:
    """Return the event that tells of `state`: kept in the log, and sent where it is an answer."""
    ids = {"order_id": payment.order_id, "payment_id": payment.payment_id}
    if state is State.REQUESTED:
        amount, currency = payment.amount_minor, payment.currency
        return PaymentRequested(**ids, amount_minor=amount, currency=currency)
    if state is State.DECLINED:
        return PaymentDeclined(**ids, reason=reason)
    return _PLAIN[state](**ids)


class Book:
    """Moves payments on: the event, the answer and the next call, in one transaction."""

    def __init__(self, db: Database) -> None:
        self._log = EventLog(db)
        self._outbox = Outbox(db)
        self._signals = db.signals

    async def find(self, tx: Transaction, payment_id: str) -> Payment | None:
        """Return the payment, None for one never heard of."""
        return store.fold(payment_id, await self._log.read(tx, store.stream(payment_id)))

    async def wish(
        self, tx: Transaction, wish: Wish, payment: Payment, *, token: str | None = None
    ) -> None:
        """Do what orders asks for. Raises NotCapturable, VersionConflict."""
        await self._follow(tx, payment, domain.react(payment.state, wish), token=token)

    async def conclude(
        self, tx: Transaction, payment_id: str, outcome: State | None, *, reason: str = ""
    ) -> None:
        """Take the provider's word; None says nothing. Raises VersionConflict."""
        payment = await self.find(tx, payment_id)
        if payment is None or payment.state is None or outcome is None:
            return
        reaction = domain.conclude(payment.state, outcome)
        await self._follow(tx, payment, reaction, reason=reason)

    async def _follow(
        self,
        tx: Transaction,
        payment: Payment,
        reaction: Reaction,
        *,
        token: str | None = None,
        reason: str = "",
    ) -> None:
        reason = reason or payment.reason
        answers = [
            outgoing(event(state, payment, reason), correlation_id=payment.order_id)
            for state in (reaction.answer,)
            if state is not None
        ]
        stream = store.stream(payment.payment_id)
        if reaction.move is None:
            await self._outbox.add(tx, *answers, key=stream)
            return
        await self._log.append(
            tx,
            stream,
            kind="payment",
            expected=payment.version,
            events=[event(reaction.move, payment, reason)],
            messages=answers,
        )
        await self._call(tx, payment, reaction.move, token)
        state = reaction.move.value
        if not is_synthetic():
            tx.on_commit(lambda: payments.add(1, {"weft.payment.state": state}))

    async def _call(
        self, tx: Transaction, payment: Payment, state: State, token: str | None
    ) -> None:
        call = OPEN_CALL.get(state)
        if call is None:
            await store.close_call(tx, payment.payment_id)
            return
        await store.open_call(tx, payment, call, token=token, carrier=current_carrier())
        tx.on_commit(lambda: self._signals.emit(OPENED))


def handlers(book: Book) -> Handlers:
    """Return what payments does with each command."""
    take = Handlers()

    async def known(tx: Transaction, message: CapturePayment | VoidPayment) -> Payment:
        new = Payment(payment_id=message.payment_id, order_id=message.order_id)
        return await book.find(tx, message.payment_id) or new

    @take.on(AuthorizePayment)
    async def authorize(tx: Transaction, message: AuthorizePayment, _: Incoming) -> None:
        fact("weft.order.id", message.order_id)
        payment = await book.find(tx, message.payment_id) or Payment(
            payment_id=message.payment_id,
            order_id=message.order_id,
            amount_minor=message.amount_minor,
            currency=message.currency,
        )
        await book.wish(tx, Wish.AUTHORIZE, payment, token=message.token)

    @take.on(CapturePayment, endless=True)
    async def capture(tx: Transaction, message: CapturePayment, _: Incoming) -> None:
        fact("weft.order.id", message.order_id)
        await book.wish(tx, Wish.CAPTURE, await known(tx, message))

    @take.on(VoidPayment, endless=True)
    async def void(tx: Transaction, message: VoidPayment, _: Incoming) -> None:
        fact("weft.order.id", message.order_id)
        await book.wish(tx, Wish.VOID, await known(tx, message))

    return take
