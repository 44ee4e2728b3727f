"""Alertmanager's webhook, and Grafana's, which is the same: what it sends, and who may."""

import hashlib
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from weft.http import Authentication, SharedKey
from weft.settings import Secret

HOOK_SCOPE: Final = "alerts:write"
LATE: Final = timedelta(minutes=1)
"""For so long after an alert's end, a beginning with the same start is one that was overtaken;
later, the alert fires again under its old start (Prometheus keeps it over a restart)."""
FIRST_YEAR: Final = 1970
"""Go's zero time, the year 1, is what stands for no end."""

Text = Annotated[str, Meta(max_length=8192)]


class HookAlert(Struct, frozen=True, kw_only=True, rename="camel"):
    """One alert of a group."""

    status: Literal["firing", "resolved"]
    labels: Annotated[dict[Text, Text], Meta(max_length=200)]
    annotations: Annotated[dict[Text, Text], Meta(max_length=200)] = {}
    starts_at: Annotated[datetime, Meta(tz=True)]
    ends_at: Annotated[datetime, Meta(tz=True)] | None = None
    fingerprint: Annotated[str, Meta(pattern=r"^[0-9A-Za-z_-]{1,128}$(?!\n)")]
    generator_url: Text = ""


class HookBody(Struct, frozen=True, kw_only=True, rename="camel"):
    """Version 4 is Alertmanager's, version 1 Grafana's; what else they send is not needed."""

    version: Annotated[str, Meta(pattern=r"^[14]$(?!\n)")]
    group_key: Annotated[str, Meta(min_length=1, max_length=8192)]
    alerts: Annotated[list[HookAlert], Meta(min_length=1, max_length=1000)]


def digest(group_key: str) -> str:
    """Return what a group is called here: its key may be of any length."""
    return hashlib.sha256(group_key.encode()).hexdigest()


def callers(key: Secret, others: Authentication) -> SharedKey:
    """Return who may call: Alertmanager by `key`, with HOOK_SCOPE, and whom `others` know."""
    return SharedKey(key, subject="alertmanager", scopes=(HOOK_SCOPE,), others=others)
