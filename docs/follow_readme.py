"""Follows README word by word in a new clone, as a new user would, and times each command.

    python3 docs/follow_readme.py      (--tests: `make test` too; --from-scratch: an empty cache)

Every line of README's shell blocks is run, in order, and what it prints is checked. The system has
a home and ports of its own: WEFT_HOME and WEFT_PORT_BASE if they are set, else a temporary folder
and free ports; README's addresses are moved along. Nothing is left at the end. Needs Python alone.
"""  # noqa: INP001 - a script

import argparse
import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 60.0
"""Seconds within which a reader asks again for what has to be stored first."""
START, TESTS, REST = 3600.0, 2400.0, 120.0
"""Seconds that a command may take."""
COMPOSE = "WEFT_STACK=compose make up"
"""The other way to start: where there is an engine, it would meet the system that runs already."""
PLACES = re.compile(r"curl -X POST|\.venv/bin/weft order ")
ORDER = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"


def has_engine() -> bool:
    """Whether there is a container engine that answers."""
    if (docker := shutil.which("docker")) is None:
        return False
    return subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0  # noqa: S603


@dataclass(frozen=True)
class Expected:
    """What a command has to print (a pattern), its exit code, and how it ends."""

    said: str = ""
    code: int = 0
    follows: bool = False
    """It goes on until Ctrl-C."""
    serves: bool = False
    """It goes on while the rest of its block is followed, then Ctrl-C."""
    seconds: float = REST


EXPECTED: Mapping[str, Expected] = {
    "make up": Expected(r"everything is ready after [\s\S]*place an order:", seconds=START),
    COMPOSE: Expected("container engine|Docker daemon", code=2),
    "make down": Expected(r"stopped in [\d.]+ s"),
    "make test": Expected(r"\d+ passed", seconds=TESTS),
    "curl -X POST http://127.0.0.1:8080/v1/orders": Expected('"status":"pending"'),
    ".venv/bin/weft tour": Expected(r"6/6 [\s\S]*again: "),
    ".venv/bin/weft order": Expected("confirmed"),
    ".venv/bin/weft trace ": Expected(r"inventory[\s\S]*payments"),
    ".venv/bin/weft traces": Expected(""),
    ".venv/bin/weft search 'request served'": Expected("request served"),
    ".venv/bin/weft search 'greeting counted'": Expected("greeting counted"),
    ".venv/bin/weft status": Expected(r"gateway-0 +ready"),
    ".venv/bin/weft logs --order": Expected(r"INFO +orders +order finished"),
    ".venv/bin/weft logs": Expected("orders-0", follows=True),
    ".venv/bin/weft scale": Expected("2 ready"),
    ".venv/bin/weft run": Expected("listens on", serves=True),
    ".venv/bin/weft dead-letters list": Expected(""),
    'eval "$(.venv/bin/weft env)"': Expected(""),
    "curl -i -X POST http://127.0.0.1:8120": Expected(r"202 Accepted[\s\S]*Hello, World!"),
}


@dataclass
class Reader:
    """A new user: the clone, the environment, and what was seen on the way."""

    clone: Path
    environment: dict[str, str]
    order_id: str = ""
    timed: list[tuple[str, float]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def follow(self, heading: str, block: list[str]) -> None:
        """Do what a block of README says, line by line."""
        say(f"\n## {heading}")
        serving: list[tuple[str, subprocess.Popen[str], float]] = []
        for command in block:
            expected = expectation(command)
            if expected.serves:
                began = time.monotonic()
                serving.append((command, self._begin(command), began))
                wait_until_ready(8120 + int(self.environment["WEFT_PORT_BASE"]))
            elif expected.follows:
                self._look_at(command, expected)
            else:
                self._run(command, expected)
        for command, process, began in reversed(serving):
            said, code = interrupted(process)
            why = wrong(expectation(command), said, code)
            self._note(command, time.monotonic() - began, why, said)

    def _run(self, command: str, expected: Expected) -> None:
        began = time.monotonic()
        while True:
            done = subprocess.run(  # noqa: S603 - README is ours
                ["/bin/bash", "-c", self._moved(command)],
                cwd=self.clone,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=expected.seconds,
                check=False,
            )
            why = wrong(expected, done.stdout, done.returncode)
            patient = re.search(r"weft (search|traces?) ", command) is not None
            if not why or not patient or time.monotonic() - began > PATIENCE:
                break
            time.sleep(1)
        if placed := re.findall(ORDER, done.stdout) if PLACES.match(command) else []:
            self.order_id = placed[-1]
        self._note(command, time.monotonic() - began, why, done.stdout)

    def _look_at(self, command: str, expected: Expected) -> None:
        began = time.monotonic()
        process = self._begin(command)
        said = until_said(process, expected.said)
        said += interrupted(process)[0]
        self._note(command, time.monotonic() - began, wrong(expected, said, expected.code), said)

    def _begin(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603 - README is ours
            ["/bin/bash", "-c", f"exec {self._moved(command)}"],
            cwd=self.clone,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def _moved(self, command: str) -> str:
        """Put in the order that was placed, and the ports where this system has them."""
        base = int(self.environment["WEFT_PORT_BASE"])
        command = command.replace("ORDER_ID", self.order_id)
        return re.sub(r"(?<=127\.0\.0\.1:)\d{4,5}", lambda port: str(int(port[0]) + base), command)

    def _note(self, command: str, seconds: float, why: str, said: str = "") -> None:
        first = command.splitlines()[0]
        say(f"{seconds:8.1f} s  {'FAILED' if why else 'ok':6}  {first}")
        self.timed.append((first, seconds))
        if why:
            self.failed.append(first)
            say(f"            {why}\n{said[-3000:]}")


def say(text: str) -> None:
    """Print a line at once: it may be watched."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def blocks(readme: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the commands of each shell block, under its heading."""
    heading = ""
    for part in re.finditer(r"^## ([^\n]+)$|^```sh\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL):
        if part[1]:
            heading = part[1]
        else:
            joined = re.sub(r"\\\n\s*", "", part[2])
            yield heading, [line.strip() for line in joined.splitlines() if line.strip()]


def expectation(command: str) -> Expected:
    """Return what is expected of a command; of one that nobody has thought of, exit code 0."""
    known = [start for start in EXPECTED if command.startswith(start)]
    return EXPECTED[max(known, key=len)] if known else Expected()


def wrong(expected: Expected, said: str, code: int) -> str:
    """Return what is not as expected; "" if all is."""
    if code != expected.code:
        return f"it ended with {code}, not with {expected.code}"
    if not re.search(expected.said, said):
        return f"it did not print {expected.said!r}"
    return ""


def until_said(process: subprocess.Popen[str], wanted: str) -> str:
    """Return what is printed until `wanted` is in it, or until PATIENCE is at its end."""
    said, end = "", time.monotonic() + PATIENCE
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    while time.monotonic() < end and not re.search(wanted, said):
        if select.select([process.stdout], [], [], 0.2)[0]:
            said += os.read(process.stdout.fileno(), 1 << 16).decode(errors="replace")
    return said


def interrupted(process: subprocess.Popen[str]) -> tuple[str, int]:
    """Press Ctrl-C and return what was printed, and the exit code."""
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=REST)
    return said, process.returncode


def wait_until_ready(port: int) -> None:
    """Return when a service is ready there, or after PATIENCE: then the next command fails."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
            return
        time.sleep(0.2)


def free_base() -> int:
    """Return a port base under which the first ports are free."""
    for base in range(500, 15_000, 500):
        try:
            for port in (4317, 5432, 5672, 6379, 8080, 9090, 16686):
                socket.create_server(("127.0.0.1", port + base)).close()
        except OSError:
            continue
        return base
    raise SystemExit("no free ports")


def main() -> None:
    """Follow README; exit with 1 if something in it does not hold."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--tests", action="store_true", help="make test too: about 15 minutes")
    options.add_argument("--from-scratch", action="store_true", help="build every part anew")
    wanted = options.parse_args()
    place = Path(tempfile.mkdtemp(prefix="weft-readme-"))
    place.chmod(0o755)  # PostgreSQL runs as another user below it
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("WEFT_")}
    environment["WEFT_HOME"] = os.environ.get("WEFT_HOME", str(place / "home"))
    environment["WEFT_PORT_BASE"] = os.environ.get("WEFT_PORT_BASE") or str(free_base())
    if wanted.from_scratch:
        environment["XDG_CACHE_HOME"] = str(place / "cache")
    clone = ["git", "clone", "--quiet", str(ROOT), str(place / "weft")]
    subprocess.run(clone, check=True)  # noqa: S603 - our own arguments
    reader = Reader(place / "weft", environment)
    began = time.monotonic()
    try:
        for heading, block in blocks((reader.clone / "README.md").read_text()):
            if block == ["make test"] and not wanted.tests:
                say(f"\n## {heading}\n            left out: --tests runs them")
            elif block == [COMPOSE] and has_engine():
                say(f"\n## {heading}\n            left out: the native system runs")
            else:
                reader.follow(heading, block)
    finally:
        reader.follow("At the end", ["make down"])
        shutil.rmtree(place, ignore_errors=True)
    say(f"\n{len(reader.timed)} commands in {time.monotonic() - began:.1f} s")
    if reader.failed:
        sys.exit(f"{len(reader.failed)} not as README says: {'; '.join(reader.failed)}")


if __name__ == "__main__":
    main()
