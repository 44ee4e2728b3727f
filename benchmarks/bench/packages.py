"""Environments of variants that need other packages than ours, made from locks of this folder."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.bench.processes import ROOT

_FOLDER: Final = ROOT / "build" / "bench"
_LOCKED: Final = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)


def python(packages: str) -> Path:
    """Return the Python that has what `packages`.lock lists, making it first; ours for ""."""
    if not packages:
        return Path(sys.executable)
    lock = _lock(packages)
    folder = _FOLDER / packages
    found = folder / "bin" / "python"
    stamp = folder / ".lock"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest:
        return found
    folder.parent.mkdir(parents=True, exist_ok=True)
    maker = ROOT / "stack" / "parts" / "python-venv.sh"
    base = Path(sys.executable).resolve()
    subprocess.run(["/bin/sh", maker, base, folder], check=True)  # noqa: S603 - our own arguments
    subprocess.run(  # noqa: S603 - our own arguments
        [
            *(found, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"),
            *("--require-hashes", "-r", lock),
        ],
        check=True,
    )
    stamp.write_text(digest)
    return found


def versions(packages: str) -> dict[str, str]:
    """Return the version of each package that `packages`.lock lists."""
    return dict(_LOCKED.findall(_lock(packages).read_text(encoding="utf-8")))


def _lock(packages: str) -> Path:
    return Path(__file__).with_name(f"{packages}.lock")
