"""What this machine is: its distribution, its cores, its memory, whether we are root on it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess

from stack.parts.progress import UnsupportedHost

_FAMILY = frozenset({"debian", "ubuntu"})
_MEMORY_PER_COMPILER = 2 * 10**9


def check_host() -> None:
    """Raises UnsupportedHost, with what to do instead, on anything but Debian, Ubuntu and kin."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    family = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    if not family & _FAMILY or shutil.which("apt-get") is None:
        name = release.get("PRETTY_NAME") or platform.system()
        raise UnsupportedHost(
            f"the native run needs Debian or Ubuntu, and this is {name}: "
            "use compose instead (WEFT_STACK=compose weft up)"
        )


def cores() -> int:
    return len(os.sched_getaffinity(0))


def compilers() -> int:
    """How many compilers may run at once: one for each core, if there is the memory for it."""
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(cores(), available // _MEMORY_PER_COMPILER))


def is_root() -> bool:
    return os.geteuid() == 0


def as_root(argv: list[str]) -> list[str]:
    """The command with sudo in front of it where we are not root already; it never asks."""
    return argv if is_root() else ["sudo", "--non-interactive", *argv]


def ask_for_sudo() -> bool:
    """Has sudo ask for the password on the terminal if it needs one; whether it may be used now."""
    return is_root() or _sudo(["--validate"], timeout_s=300, quiet=False)


def may_sudo() -> bool:
    """Whether sudo does as we say without asking."""
    return _sudo(["--non-interactive", "true"], timeout_s=10, quiet=True)


def _sudo(arguments: list[str], *, timeout_s: float, quiet: bool) -> bool:
    sudo = shutil.which("sudo")
    if sudo is None:
        return False
    silence = subprocess.DEVNULL if quiet else None
    try:
        done = subprocess.run(  # noqa: S603  the system's sudo
            [sudo, *arguments], stderr=silence, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
