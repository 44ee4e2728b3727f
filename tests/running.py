"""A whole system for tests: one that runs already, or one of their own, started by `weft up`."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from stack.ports import Ports, taken

ROOT = Path(__file__).resolve().parent.parent
WEFT = Path(sys.executable).with_name("weft")
PORTS = {"gateway": 8080, "orders": 8101, "inventory": 8102, "payments": 8103}
PORTS |= {"reports": 8104, "report_runner": 8105}
PORTS |= {"card_provider": 8108, "collector": 4318, "jaeger": 16686, "prometheus": 9090}
PORTS |= {"alertmanager": 9093, "loki": 3100, "notifier": 8106}
SERVICES = ("gateway", "orders", "inventory", "payments", "reports", "card_provider")
START_SECONDS = 3600
"""A first start builds the backing parts."""


@dataclass
class System:
    """A running mesh and the command line that steers it."""

    environment: dict[str, str]
    variables: dict[str, str] = field(default_factory=dict)

    def weft(self, *arguments: str, seconds: float = 100) -> subprocess.CompletedProcess[str]:
        """Run `weft` with `arguments`; neither its exit code nor its output is judged here."""
        return subprocess.run(
            [WEFT, *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def url(self, name: str) -> str:
        """Where a service or backing part listens."""
        base = int(self.environment.get("WEFT_PORT_BASE", "0"))
        return f"http://127.0.0.1:{PORTS[name] + base}"

    def token(self, subject: str, scopes: Sequence[str]) -> str:
        """A token of this system for `subject`."""
        options = [option for scope in scopes for option in ("--scope", scope)]
        done = self.weft("token", "--subject", subject, *options)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@contextmanager
def own_system(
    settings: Mapping[str, str] | None = None, *, port_base: int | None = None, whole: bool = True
) -> Iterator[System]:
    """Start a system in a temporary folder with `settings`; stop and delete it at the end.

    Without `whole` it is not waited for more than what takes orders.
    """
    home = Path(tempfile.mkdtemp(prefix="weft-test-"))
    home.chmod(0o755)  # PostgreSQL runs as another user there
    base = free_port_base() if port_base is None else port_base
    own = {"WEFT_HOME": str(home), "WEFT_PORT_BASE": str(base), "WEFT_TRAFFIC": "0"}
    own |= settings or {}
    system = System({**os.environ, **own})
    try:
        with _up(system, whole=whole):
            system.variables = json.loads(system.weft("env", "--json").stdout)
            yield system
    finally:
        system.weft("down", seconds=120)
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _up(system: System, *, whole: bool) -> Iterator[None]:
    command = [str(WEFT), "up"]
    output = None if whole else subprocess.DEVNULL
    with subprocess.Popen(command, env=system.environment, cwd=ROOT, stdout=output) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while process.poll() is None and (whole or not _takes_orders(system)):
                assert time.monotonic() < deadline, "the system did not start in time: see above"
                time.sleep(0.2)
            assert process.returncode in (None, 0), "the system did not start: see above"
            # What it still waits for must not make it stop what the test has begun to use.
            process.kill()
            yield
        finally:
            process.terminate()


def _takes_orders(system: System) -> bool:
    try:
        for name in SERVICES:
            with urllib.request.urlopen(f"{system.url(name)}/readyz", timeout=5):
                pass
    except OSError:
        return False
    return True


def free_port_base() -> int:
    """A base from which on every port is free.

    The workers of a run look at bases of their own, so that two who look at once take two.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    for base in range(10_000 + 500 * worker, 15_001, 500 * workers):
        if not taken(Ports(base).all().items()):
            return base
    raise RuntimeError("no free port base from 10000 to 15000")
