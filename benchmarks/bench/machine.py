"""The machine in general terms: what its figures depend on, and nothing that names it."""

import os
import platform
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final

_LIBRARIES: Final = ("aio-pika", "aiormq", "aiohttp", "asyncpg", "uvloop", "opentelemetry-sdk")


def described(servers: Mapping[str, str]) -> str:
    """Return one line: cores, CPU, how busy it is, and the versions, also those of `servers`."""
    known = {
        platform.python_implementation(): platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
        **servers,
    }
    versions = ", ".join(f"{name} {number}" for name, number in known.items())
    load = f"load average {os.getloadavg()[1]:.1f} at the end"
    return f"{os.cpu_count()} cores, {_cpu()}, {platform.system()}, {load}; {versions}"


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return model[1].strip() if model else platform.machine()
