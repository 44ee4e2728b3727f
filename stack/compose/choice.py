"""Which way a system runs: as WEFT_STACK says, as it was started, or as this machine can."""

import os
from collections.abc import Mapping
from typing import Literal

from stack import parts
from stack.compose import files
from stack.system import System
from weft.settings import Settings


class StackChoice(Settings, frozen=True, kw_only=True):
    """WEFT_STACK."""

    stack: Literal["native", "compose"] | None = None


def chosen(system: System, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether it is containers: said so, or started so, or on a machine without apt.

    Raises SettingsError for another WEFT_STACK.
    """
    said = StackChoice.load(environ).stack
    if said is not None:
        return said == "compose"
    return files.variables_file(system).exists() or not _has_apt()


def _has_apt() -> bool:
    try:
        parts.check_host()
    except parts.UnsupportedHost:
        return False
    return True
