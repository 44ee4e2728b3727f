"""Channels that are a POST of JSON: Microsoft Teams, Slack, and any webhook."""

from abc import abstractmethod
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import aiohttp
import msgspec
from msgspec import Meta

from services.notifier.channels.base import SECONDS, ChannelSettings, Undelivered
from services.notifier.domain import Notice
from weft.settings import Secret
from weft.telemetry import record
from weft.webhooks import key_of, sign

Url = Annotated[str, Meta(pattern=r"^https?://[^\s/@]+(/\S*)?$(?!\n)", max_length=2048)]
_TEMPLATE: Final = "/{hook}"
"""The path of a hook is a secret: no span has it."""
_COLOURS: Final = {"critical": "attention", "warning": "warning", "info": "accent"}
_MOST_LINES: Final = 20
_MOST_TEXT: Final = 2900
"""Characters; Slack takes 3000 in a block."""


class TeamsSettings(ChannelSettings, frozen=True, kw_only=True, tag="teams"):
    """`url` is that of a workflow "when a Teams webhook request is received"."""

    url: Url


class SlackSettings(ChannelSettings, frozen=True, kw_only=True, tag="slack"):
    """`url` is that of an incoming webhook."""

    url: Url


class WebhookSettings(ChannelSettings, frozen=True, kw_only=True, tag="webhook"):
    """`secret` (whsec_ and 24 to 64 bytes in base64) signs by Standard Webhooks."""

    url: Url
    secret: str

    def __post_init__(self) -> None:
        """Refuse a secret that cannot sign. Raises ValueError."""
        key_of(Secret(self.secret))


class Hook:
    """What the three have in common. Only an answer of 2xx counts as taken."""

    def __init__(self, settings: TeamsSettings | SlackSettings | WebhookSettings) -> None:
        self.name = settings.name
        self.wants = settings.wants
        self._url = settings.url
        parts = urlsplit(settings.url)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._session: aiohttp.ClientSession | None = None

    @abstractmethod
    def body(self, notice: Notice) -> Any:
        """Return what is sent, as JSON."""

    def headers(self, notice: Notice, body: bytes) -> dict[str, str]:
        """Return what is sent beside the content's type."""
        del notice, body
        return {}

    async def send(self, notice: Notice) -> None:
        """POST the message; raise Undelivered."""
        body = msgspec.json.encode(self.body(notice))
        headers = {"Content-Type": "application/json", **self.headers(notice, body)}
        with record.http_client("POST", _TEMPLATE, host=self._host, port=self._port) as call:
            try:
                async with self._opened().post(
                    self._url, data=body, headers=headers, allow_redirects=False
                ) as answer:
                    call.status = answer.status
            except (aiohttp.ClientError, OSError) as error:
                # Its text may hold the address.
                raise Undelivered(f"no answer ({type(error).__name__})") from None
        if not 200 <= call.status < 300:  # noqa: PLR2004 - any success
            raise Undelivered(f"the answer was {call.status}")

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=SECONDS),
                headers={"User-Agent": "weft"},
            )
        return self._session


class Teams(Hook):
    """Channel: an Adaptive Card."""

    def __init__(self, settings: TeamsSettings) -> None:
        super().__init__(settings)
        self._settings = settings

    def body(self, notice: Notice) -> Any:
        """Return a card of one block for the title and one for each alert."""
        colour = "good" if notice.status == "resolved" else _COLOURS[notice.severity]
        heading = {"size": "medium", "weight": "bolder", "color": colour}
        blocks = [_text_block(self._settings.heading(notice), **heading)]
        blocks += [_text_block(text) for text in self._settings.lines(notice)[:_MOST_LINES]]
        card = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": blocks,
        }
        kind = "application/vnd.microsoft.card.adaptive"
        return {"type": "message", "attachments": [{"contentType": kind, "content": card}]}


class Slack(Hook):
    """Channel: blocks of text."""

    def __init__(self, settings: SlackSettings) -> None:
        super().__init__(settings)
        self._settings = settings

    def body(self, notice: Notice) -> Any:
        """Return a header and a section for each alert; `text` is for notifications."""
        heading = _slack(self._settings.heading(notice))
        texts = [_slack(text) for text in self._settings.lines(notice)[:_MOST_LINES]]
        sections = [f"*{heading}*", *filter(None, texts)]
        blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": t}} for t in sections]
        return {"text": heading, "blocks": blocks}


class Webhook(Hook):
    """Channel: the message as it is in the inbox, signed."""

    def __init__(self, settings: WebhookSettings) -> None:
        super().__init__(settings)
        self._secret = Secret(settings.secret)

    def body(self, notice: Notice) -> Any:
        """Return type, timestamp and data, as the specification advises."""
        return {"type": f"alert.{notice.status}", "timestamp": notice.at, "data": notice}

    def headers(self, notice: Notice, body: bytes) -> dict[str, str]:
        """Return the signature's headers."""
        return sign(self._secret, id=notice.identity, body=body)


def _text_block(text: str, **more: str) -> dict[str, Any]:
    return {"type": "TextBlock", "text": text[:_MOST_TEXT], "wrap": True, **more}


def _slack(text: str) -> str:
    """Escape what Slack takes for markup of its own."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped[:_MOST_TEXT]
