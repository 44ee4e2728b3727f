"""The ways to people: a command, e-mail, Microsoft Teams, Slack, any webhook."""

import tomllib
from typing import Protocol

import msgspec

from services.notifier.channels.base import Undelivered
from services.notifier.channels.command import Command, CommandSettings
from services.notifier.channels.email import Email, EmailSettings
from services.notifier.channels.hooks import (
    Slack,
    SlackSettings,
    Teams,
    TeamsSettings,
    Webhook,
    WebhookSettings,
)
from services.notifier.domain import Notice
from weft.settings import Secret, SettingsError

__all__ = ["Channel", "Undelivered", "channels"]

_Settings = CommandSettings | EmailSettings | TeamsSettings | SlackSettings | WebhookSettings


class Channel(Protocol):
    """A way to people."""

    name: str

    def wants(self, notice: Notice) -> bool:
        """Whether the message is for it."""

    async def send(self, notice: Notice) -> None:
        """Deliver the message; raise Undelivered. It is tried again later."""

    async def close(self) -> None:
        """Let go of what it holds."""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    channel: list[_Settings] = []


def channels(text: Secret | None) -> list[Channel]:
    """Return the channels of a TOML text, a [[channel]] each. Raises SettingsError, in one line."""
    try:
        read = tomllib.loads(text.reveal()) if text is not None else {}
        found = msgspec.convert(read, _File).channel
    except (ValueError, msgspec.ValidationError) as error:
        raise SettingsError(f"WEFT_NOTIFIER_CHANNELS: {error}") from None
    names = [settings.name for settings in found]
    if len(set(names)) < len(names):
        raise SettingsError("WEFT_NOTIFIER_CHANNELS: expected a name of its own for each channel")
    return [_made(settings) for settings in found]


def _made(settings: _Settings) -> Channel:
    match settings:
        case CommandSettings():
            return Command(settings)
        case EmailSettings():
            return Email(settings)
        case TeamsSettings():
            return Teams(settings)
        case SlackSettings():
            return Slack(settings)
        case WebhookSettings():
            return Webhook(settings)
