"""WEFT_HOME: where a system keeps what it needs to know and what it writes."""

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from weft.settings import SettingsError

ROOT: Final = Path(__file__).resolve().parent.parent
"""The checkout: the services are started in it, and each part's own config folder stands in it."""
_SOCKET_PATH_BYTES: Final = 107 - len(".4194304")
"""What the kernel allows, less the suffix under which supervisord binds before it renames."""
_MARK: Final = ".weft"
_NOBODY: Final = 65534


@dataclass(frozen=True)
class Home:
    """The folders of a system under `path`."""

    path: Path

    @property
    def secrets(self) -> Path:
        return self.path / "secrets"

    @property
    def config(self) -> Path:
        """Rendered files: targets, definitions, the supervisor's programs."""
        return self.path / "config"

    @property
    def flags(self) -> Path:
        """The file of flags: alone in its folder, which is what containers are given."""
        return self.config / "flags" / "flags.json"

    @property
    def addresses(self) -> Path:
        """Where the instances of the services are, which the gateway follows."""
        return self.config / "addresses.json"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def run(self) -> Path:
        return self.path / "run"

    def data(self, part: str) -> Path:
        return self.path / "data" / part

    def log(self, program: str) -> Path:
        return self.logs / f"{program}.log"

    @property
    def socket(self) -> Path:
        """The supervisor's socket; in a short folder where the path would be too long for one."""
        usual = self.run / "supervisor.sock"
        if len(os.fsencode(usual)) <= _SOCKET_PATH_BYTES:
            return usual
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]
        return Path("/tmp") / f"weft-{os.geteuid()}-{digest}" / "supervisor.sock"  # noqa: S108  # made 0700, checked to be ours

    def check(self) -> None:
        """Raise SettingsError where the folder is not ours, or not to be reached by all parts."""
        self.check_ours()
        parent = next(folder for folder in self.path.parents if folder.exists())
        if os.geteuid() == 0 and not _others_reach(parent):
            raise SettingsError(
                f"WEFT_HOME: others cannot pass through {parent}, and PostgreSQL never runs as root"
            )

    def check_ours(self) -> None:
        """Raise SettingsError where the folder holds something else."""
        if not self.exists() and self.path.exists() and any(self.path.iterdir()):
            raise SettingsError(f"WEFT_HOME: {self.path} is neither empty nor a home of Weft")

    def make(self) -> None:
        """Make the folders. Others may pass through (PostgreSQL's user does), and read nothing."""
        for folder in (self.path, self.path / "data"):
            folder.mkdir(mode=0o711, parents=True, exist_ok=True)
            folder.chmod(0o711)
        for folder in (self.secrets, self.config, self.logs, self.run):
            folder.mkdir(mode=0o700, exist_ok=True)
        (self.path / _MARK).touch()
        self._make_socket_folder()

    def _make_socket_folder(self) -> None:
        folder = self.socket.parent
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if status.st_uid != os.geteuid() or folder.is_symlink():
            raise SettingsError(f"WEFT_HOME: {folder} belongs to another user")

    def exists(self) -> bool:
        return (self.path / _MARK).exists()

    def empty(self) -> None:
        """Remove everything in it, and the folder itself where that is allowed."""
        if not self.exists():
            return
        for entry in self.path.iterdir():
            if entry.name == _MARK:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        (self.path / _MARK).unlink()

    def size_bytes(self) -> int:
        """Return what its files take; files that vanish meanwhile count nothing."""
        total = 0
        for folder, _, files in os.walk(self.path):
            for file in files:
                try:
                    total += (Path(folder) / file).lstat().st_blocks * 512
                except OSError:
                    continue
        return total


def _others_reach(folder: Path) -> bool:
    """Ask as nobody: the bits of each parent do not tell all that access lists may."""
    answer = subprocess.run(  # noqa: S603  # our own arguments
        ["/usr/bin/test", "-x", folder], user=_NOBODY, group=_NOBODY, extra_groups=[], check=False
    )
    return answer.returncode == 0


def write(path: Path, text: str, *, mode: int = 0o600) -> bool:
    """Replace `path` by `text` at once; return whether that changed anything."""
    try:
        if path.read_text(encoding="utf-8") == text:
            return False
    except OSError:
        pass
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)
    return True


def write_json(path: Path, value: Any, *, mode: int = 0o600) -> bool:
    """The same for a JSON value."""
    return write(path, json.dumps(value, indent=2) + "\n", mode=mode)
