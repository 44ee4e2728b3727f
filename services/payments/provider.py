"""The card provider, as payments sees it."""

from typing import Any, Final

import msgspec

from services.payments.domain import Call, State
from services.payments.store import OpenCall
from weft.errors import Unavailable
from weft.http import ClientResponse, HttpClient
from weft.settings import Secret

_AUTHORIZATIONS: Final = "/v1/authorizations"
_ONE: Final = "/v1/authorizations/{payment_id}"
_OK: Final = 200
_REASON_LENGTH: Final = 200


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Where the provider says that the payment stands; None while it does not know itself."""

    outcome: State | None
    reason: str = ""


class _Authorization(msgspec.Struct):
    status: str
    reason: str | None = None


class Provider:
    """Speaks to the card provider. Every call may be repeated: the payment's id is its key."""

    def __init__(self, client: HttpClient, key: Secret) -> None:
        self._client = client
        self._key = key

    async def perform(self, call: OpenCall) -> Answer:
        """Make the call. Raises Unavailable for everything that is not an answer to it."""
        response = await self._send(call)
        if response.status != _OK:
            raise Unavailable("card_provider", f"answered {response.status}")
        try:
            found = response.json(_Authorization)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unavailable("card_provider", "sent what cannot be read") from error
        return answer(found.status, found.reason)

    async def _send(self, call: OpenCall) -> ClientResponse:
        headers = {
            "Authorization": f"Bearer {self._key.reveal()}",
            "Idempotency-Key": call.payment_id,
        }
        one = {"payment_id": call.payment_id}
        match call.call:
            case Call.AUTHORIZE:
                body = _body(call)
                return await self._client.request(
                    "POST", _AUTHORIZATIONS, json=body, headers=headers, idempotent=True
                )
            case Call.INQUIRE:
                return await self._client.request("GET", _ONE, path=one, headers=headers)
            case Call.CAPTURE | Call.VOID:
                return await self._client.request(
                    "POST", f"{_ONE}/{call.call}", path=one, headers=headers, idempotent=True
                )


def answer(status: str, reason: str | None) -> Answer:
    """Return what the provider's word means; a status unknown to us is no answer yet."""
    try:
        return Answer(outcome=State(status), reason=(reason or "declined")[:_REASON_LENGTH])
    except ValueError:
        return Answer(outcome=None)


def _body(call: OpenCall) -> dict[str, Any]:
    return {
        "payment_id": call.payment_id,
        "amount_minor": call.amount_minor,
        "currency": call.currency,
        "token": call.token,
    }
