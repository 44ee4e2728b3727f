"""supervisord: its configuration, its start, and what it says over its socket."""

import http.client
import os
import re
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import psutil
from supervisor.states import ProcessStates
from supervisor.xmlrpc import SupervisorTransport

from stack.home import Home, write
from stack.processes import MARK
from stack.program import Program
from weft.settings import SettingsError

START_SECONDS: Final = 10.0
STABLE_SECONDS: Final = 3
"""A program that ends sooner is started again with a growing delay; a later one at once."""
_LOG_BYTES: Final = 10 * 1024 * 1024
_LOG_BACKUPS: Final = 2
_COMMENT: Final = re.compile(r"\s[;#]")


class SupervisorError(Exception):
    """supervisord did not start, or refused."""


@dataclass(frozen=True)
class Process:
    """What supervisord knows of a program: `pid` 0 while it does not run, `uptime` in seconds."""

    id: str
    state: int
    pid: int
    uptime: float
    starts: int
    error: str

    @property
    def alive(self) -> bool:
        return self.pid != 0

    @property
    def stopped(self) -> bool:
        """It does not run, and is meant not to."""
        return self.state in (ProcessStates.STOPPED, ProcessStates.STOPPING)

    @property
    def dying(self) -> bool:
        """It ended soon after its start, and is tried again."""
        return self.state in (ProcessStates.BACKOFF, ProcessStates.FATAL)

    @classmethod
    def orphan(cls, identity: str, process: psutil.Process) -> Self:
        """Return what is known of a process that outlived its supervisord."""
        return cls(
            id=identity,
            state=ProcessStates.RUNNING,
            pid=process.pid,
            uptime=time.time() - process.create_time(),
            starts=1,
            error="",
        )


class Supervisor:
    """The supervisord of one home, running or not."""

    def __init__(self, home: Home) -> None:
        self._home = home
        # The address is not used: the transport goes to the socket.
        self._proxy: Any = xmlrpc.client.ServerProxy(
            "http://127.0.0.1", transport=_Transport(f"unix://{home.socket}")
        )

    def answers(self) -> bool:
        try:
            self._call("supervisor.getState")
        except SupervisorError:
            return False
        return True

    def start(self) -> None:
        """Start supervisord apart from this terminal; SupervisorError if it does not answer."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("WEFT_", "OTEL_"))
        }
        with self._home.log("supervisord-start").open("wb") as output:
            process = subprocess.Popen(  # noqa: S603  # our own arguments
                [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", self._config_path],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=environment | {MARK: str(self._home.path)},
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if process.poll() is not None or time.monotonic() > deadline:
                text = self._home.log("supervisord-start").read_text(errors="replace")
                raise SupervisorError(f"supervisord did not start: {text.strip()[-500:]}")
            time.sleep(0.05)

    def configure(self, programs: list[Program]) -> None:
        """Write what supervisord is to run; `apply` makes a running one follow."""
        sections = [self._own_sections(), *(_section(self._home, one) for one in programs)]
        write(self._config_path, "\n".join(sections))

    def apply(self) -> None:
        """Start what was added, stop what was removed, start anew what was changed."""
        [[added, changed, removed]] = self._call("supervisor.reloadConfig")
        self.stop([*changed, *removed])
        for name in [*changed, *removed]:
            self._call("supervisor.removeProcessGroup", name)
        for name in [*added, *changed]:
            self._call("supervisor.addProcessGroup", name)

    def processes(self) -> dict[str, Process]:
        starts = self._call("weft.starts")
        return {
            info["name"]: _process(info, starts)
            for info in self._call("supervisor.getAllProcessInfo")
        }

    def stop(self, names: list[str], *, seconds: float = 60.0) -> None:
        """Stop programs side by side, and wait for them."""
        for name in names:
            try:
                self._call("supervisor.stopProcess", name, False)
            except SupervisorError as error:
                if "NOT_RUNNING" not in str(error):
                    raise
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            known = self.processes()
            if not any(known[name].alive for name in names if name in known):
                return
            time.sleep(0.05)
        raise SupervisorError(f"did not stop within {seconds:.0f} s: {', '.join(names)}")

    def resume(self, name: str) -> None:
        """Start a program that was stopped; it is not waited for."""
        self._call("supervisor.startProcess", name, False)

    def shutdown(self) -> None:
        self._call("supervisor.shutdown")

    @property
    def _config_path(self) -> Any:
        return self._home.config / "supervisord.conf"

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            return getattr(self._proxy, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            raise SupervisorError(f"{method}: {fault.faultString}") from None
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise SupervisorError(f"{method}: {error}") from None

    def _own_sections(self) -> str:
        user = "user=root\n" if os.geteuid() == 0 else ""
        return f"""\
[supervisord]
{user}nodaemon=true
silent=true
logfile={self._home.log("supervisord")}
logfile_maxbytes={_LOG_BYTES}
logfile_backups=1
pidfile={self._home.run / "supervisord.pid"}
childlogdir={self._home.logs}
umask=077

[unix_http_server]
file={self._home.socket}
chmod=0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[rpcinterface:weft]
supervisor.rpcinterface_factory=stack.restarts:make
"""


class _Transport(SupervisorTransport):  # type: ignore[misc]  # supervisor has no types
    """A new connection for each call: a kept one fails once after supervisord was restarted."""

    def __init__(self, serverurl: str) -> None:
        super().__init__(None, None, serverurl)

    def request(self, host: str, handler: str, request_body: bytes, verbose: int = 0) -> Any:
        try:
            return super().request(host, handler, request_body, verbose)
        finally:
            self.close()


def _process(info: Mapping[str, Any], starts: Mapping[str, int]) -> Process:
    return Process(
        id=info["name"],
        state=info["state"],
        pid=info["pid"],
        uptime=max(0.0, float(info["now"] - info["start"])) if info["pid"] else 0.0,
        starts=starts.get(info["name"], 0),
        error=info["spawnerr"],
    )


def _section(home: Home, program: Program) -> str:
    back = ("nice", "-n", program.nice) if program.nice else ()
    lines = {
        "command": _escaped(" ".join(shlex.quote(str(word)) for word in (*back, *program.command))),
        "environment": ",".join(
            f"{name}={_quoted(name, value)}" for name, value in sorted(program.environment.items())
        ),
        "directory": _escaped(str(program.directory)),
        "user": program.user,
        "autorestart": "true",
        "startsecs": STABLE_SECONDS,
        "startretries": 1_000_000,
        "stopsignal": program.stop_signal,
        "stopwaitsecs": program.stop_seconds,
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": _escaped(str(home.log(program.id))),
        "stdout_logfile_maxbytes": _LOG_BYTES,
        "stdout_logfile_backups": _LOG_BACKUPS,
    }
    body = "\n".join(f"{key}={value}" for key, value in lines.items() if value not in (None, ""))
    return f"[program:{program.id}]\n{body}\n"


def _quoted(name: str, value: str) -> str:
    """supervisord knows no escapes within its quotes, and looks for comments in them."""
    if not _COMMENT.search(value) and value.isprintable():
        for quote in ('"', "'"):
            if quote not in value:
                return f"{quote}{_escaped(value)}{quote}"
    raise SettingsError(f"{name}: expected one line with one kind of quotes, no ' ;' and no ' #'")


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
