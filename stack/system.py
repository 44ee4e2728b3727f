"""One system on this machine: its home, its ports and its secrets, from the settings."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from stack import settings
from stack.credentials import Credentials
from stack.home import Home
from stack.ports import Ports


@dataclass(frozen=True)
class System:
    """What everything else in `stack` is given."""

    home: Home
    ports: Ports
    credentials: Credentials

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read WEFT_HOME and WEFT_PORT_BASE; SettingsError in one line."""
        path, base = settings.load(environ)
        home, ports = Home(path), Ports(base)
        return cls(home, ports, Credentials(home.secrets, ports))
