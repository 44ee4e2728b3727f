"""Which way to run the system: WEFT_STACK, or else what this machine is."""

import os
from collections.abc import Mapping
from typing import Literal

from stack import parts
from weft.settings import Settings


class StackChoice(Settings, frozen=True, kw_only=True):
    """WEFT_STACK."""

    stack: Literal["native", "compose"] | None = None


def chosen(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether it is containers: said so, or not said on a machine without apt. SettingsError."""
    said = StackChoice.load(environ).stack
    return said == "compose" if said else not _has_apt()


def _has_apt() -> bool:
    try:
        parts.check_host()
    except parts.UnsupportedHost:
        return False
    return True
