"""What the workers of one test run share: a system, and whose turn it is to use it."""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.running import ROOT, START_SECONDS, WEFT, System, free_port_base


class Run:
    """One run of the tests, in one process or in several side by side; all know its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._home = folder / "home"

    def system(self) -> System:
        """Return the run's own system; who asks first starts it, the others wait for that."""
        with self._locked("system"):
            known = self.folder / "system.json"
            if not known.exists():
                self.folder.chmod(0o755)  # PostgreSQL runs as another user there
                known.write_text(json.dumps(_started(self._home)))
            own, variables = json.loads(known.read_text())
            return System({**os.environ, **own}, variables)

    @contextmanager
    def turn(self, *, alone: bool) -> Iterator[None]:
        """Use the system: beside others, or while nobody else does. Who came first goes first."""
        with ExitStack() as stack:
            with self._locked("door"):
                kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
                stack.enter_context(self._locked("room", kind))
            yield

    def end(self) -> None:
        """Stop the system, if there is one, and leave nothing of the run."""
        if self._home.exists():
            System({**os.environ, "WEFT_HOME": str(self._home)}).weft("down", seconds=120)
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def _locked(self, name: str, kind: int = fcntl.LOCK_EX) -> Iterator[None]:
        with (self.folder / f"{name}.lock").open("w") as file:
            fcntl.flock(file, kind)
            yield


def _started(home: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Start a system; return what it takes to steer it, and what `weft env` says."""
    own = {"WEFT_HOME": str(home), "WEFT_PORT_BASE": str(free_port_base()), "WEFT_TRAFFIC": "0"}
    own |= {"WEFT_RECORD_TELEMETRY": "true", "WEFT_DOORS": "all"}
    # Report workers come and go within seconds, so that a test sees both.
    own |= {"WEFT_REPORT_TARGET_WAIT": "1s", "WEFT_REPORT_SCALE_DOWN_DELAY": "5s"}
    system = System({**os.environ, **own})
    done = subprocess.run(
        [WEFT, "up"], env=system.environment, cwd=ROOT, timeout=START_SECONDS, check=False
    )
    assert done.returncode == 0, "the system did not start: see above"
    return own, json.loads(system.weft("env", "--json").stdout)
