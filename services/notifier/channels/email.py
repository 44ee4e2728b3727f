"""E-mail by SMTP."""

import ssl
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Annotated, Literal

import aiosmtplib
from msgspec import Meta

from services.notifier.channels.base import SECONDS, ChannelSettings, Undelivered
from services.notifier.domain import Notice

Address = Annotated[str, Meta(pattern=r"^[^\s@<>,;]{1,64}@[^\s@<>,;]{1,255}$(?!\n)")]


class EmailSettings(ChannelSettings, frozen=True, kw_only=True, tag="email"):
    """`security` is how the connection is encrypted; without a `username` nobody logs in."""

    host: str
    port: Annotated[int, Meta(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: str = ""
    sender: Address
    to: Annotated[tuple[Address, ...], Meta(min_length=1)]


class Email:
    """Channel. One e-mail for each message, to all recipients."""

    def __init__(self, settings: EmailSettings) -> None:
        self.name = settings.name
        self.wants = settings.wants
        self._settings = settings

    async def send(self, notice: Notice) -> None:
        """Hand the e-mail to the server; raise Undelivered."""
        settings = self._settings
        try:
            await aiosmtplib.send(
                self._message(notice),
                hostname=settings.host,
                port=settings.port,
                use_tls=settings.security == "tls",
                start_tls=settings.security == "starttls",
                username=settings.username,
                password=settings.password if settings.username else None,
                timeout=SECONDS,
                tls_context=ssl.create_default_context() if settings.security != "none" else None,
            )
        except aiosmtplib.SMTPResponseException as error:
            raise Undelivered(f"the server answered {error.code}") from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise Undelivered(f"no answer of the server ({type(error).__name__})") from None

    async def close(self) -> None:
        """There is nothing to close."""

    def _message(self, notice: Notice) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._settings.sender
        message["To"] = ", ".join(self._settings.to)
        message["Subject"] = self._settings.heading(notice)
        message["Date"] = format_datetime(notice.at)
        domain = self._settings.sender.rpartition("@")[2]
        message["Message-ID"] = f"<{notice.identity}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content("\n\n".join([*self._settings.lines(notice), f"At {notice.at} (UTC)."]))
        return message
