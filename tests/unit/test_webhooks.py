"""Signing and verifying by the Standard Webhooks specification."""

import base64

import pytest

from weft.settings import Secret
from weft.webhooks import InvalidWebhook, key_of, sign, verify

# The example of the specification's reference libraries.
SECRET = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
OTHER = Secret("whsec_" + base64.b64encode(bytes(range(32))).decode())


def test_a_signature_is_that_of_the_specifications_example() -> None:
    assert sign(SECRET, id=ID, body=BODY, at=AT) == {
        "webhook-id": ID,
        "webhook-timestamp": str(AT),
        "webhook-signature": SIGNATURE,
    }


def test_what_was_signed_verifies() -> None:
    assert verify([SECRET], sign(SECRET, id=ID, body=BODY), BODY) == ID


def test_any_of_several_secrets_may_have_signed() -> None:
    headers = sign(OTHER, id=ID, body=BODY, at=AT)
    assert verify([SECRET, OTHER], headers, BODY, now=AT) == ID


def test_any_of_several_signatures_may_fit() -> None:
    headers = sign(SECRET, id=ID, body=BODY, at=AT)
    headers["webhook-signature"] = f"v1a,AAAA v1,AAAA {SIGNATURE}"
    assert verify([SECRET], headers, BODY, now=AT) == ID


@pytest.mark.parametrize(
    "wrong",
    [
        {"webhook-id": "msg_other"},
        {"webhook-timestamp": str(AT + 1)},
        {"webhook-timestamp": "yesterday"},
        {"webhook-timestamp": "²"},
        {"webhook-timestamp": ""},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v2" + SIGNATURE.removeprefix("v1")},
        {"webhook-signature": "v1,\udcff"},
        {"webhook-id": "\udcff"},
    ],
)
def test_a_changed_header_does_not_verify(wrong: dict[str, str]) -> None:
    headers = sign(SECRET, id=ID, body=BODY, at=AT) | wrong
    with pytest.raises(InvalidWebhook):
        verify([SECRET], headers, BODY, now=AT)


def test_a_changed_body_does_not_verify() -> None:
    with pytest.raises(InvalidWebhook):
        verify([SECRET], sign(SECRET, id=ID, body=BODY, at=AT), BODY + b" ", now=AT)


def test_another_secret_does_not_verify() -> None:
    with pytest.raises(InvalidWebhook):
        verify([OTHER], sign(SECRET, id=ID, body=BODY, at=AT), BODY, now=AT)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_webhook_far_from_our_clock_is_refused(seconds: int) -> None:
    headers = sign(SECRET, id=ID, body=BODY, at=AT)
    with pytest.raises(InvalidWebhook):
        verify([SECRET], headers, BODY, now=AT + seconds)


@pytest.mark.parametrize("seconds", [-299, 299])
def test_a_webhook_near_our_clock_is_taken(seconds: int) -> None:
    headers = sign(SECRET, id=ID, body=BODY, at=AT)
    assert verify([SECRET], headers, BODY, now=AT + seconds) == ID


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_short", "whsec_!!!", "whsec_é"])
def test_a_secret_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        key_of(Secret(text))


def test_a_wrong_secret_is_not_told() -> None:
    with pytest.raises(ValueError, match="24 to 64") as caught:
        key_of(Secret("whsec_topsecret"))
    assert "topsecret" not in str(caught.value)
