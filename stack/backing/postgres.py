"""PostgreSQL: a private server, a database and a role for each service."""

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from stack.credentials import ADMIN, READERS
from stack.home import write
from stack.parts import Found
from stack.ports import BIND
from stack.probe import postgres
from stack.program import Program
from stack.system import System

_TRANSACTION_TIMEOUT_SINCE: Final = 17
_STEP_SECONDS: Final = 120
_READER_CONNECTIONS: Final = 20
_OPTIONS: Final = {
    "shared_buffers": "64MB",
    "max_connections": "200",
    "max_wal_size": "512MB",
    "min_wal_size": "80MB",
    "jit": "off",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_timezone": "UTC",
    "log_min_duration_statement": "1s",
    "log_lock_waits": "on",
    "log_checkpoints": "off",
}


class ProvisionError(Exception):
    """PostgreSQL did not do what it was asked to; the text is what it said."""


def program(system: System, found: Found) -> Program:
    port = system.ports.of("postgres")
    options = _OPTIONS | {
        "port": str(port),
        "listen_addresses": BIND,
        "unix_socket_directories": "",
    }
    arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    return Program(
        id="postgres",
        name="postgres",
        kind="backing",
        port=port,
        command=(found.binaries["postgres"], "-D", _data(system, found), *arguments),
        environment={"LC_MESSAGES": "C"},
        directory=Path("/"),
        user=_user(),
        probe=postgres(port),
        stop_signal="INT",
        stop_seconds=20,
    )


def prepare(system: System, found: Found) -> None:
    """Make the server's data folder, once."""
    data = _data(system, found)
    if (system.home.run / f"{data.name}-made").exists():
        return
    shutil.rmtree(data, ignore_errors=True)  # what an interrupted start left
    data.mkdir(mode=0o700)
    with tempfile.NamedTemporaryFile("w", dir=data.parent, prefix="initdb-") as password:
        password.write(system.credentials.password(f"postgres-{ADMIN}"))
        password.flush()
        _give_to_server_user(data, Path(password.name))
        _run(
            [
                *(found.binaries["initdb"], "-D", data, "-U", ADMIN, "--pwfile", password.name),
                *("-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-instructions"),
            ],
            user=_user(),
        )
    (system.home.run / f"{data.name}-made").touch()


def _give_to_server_user(*paths: Path) -> None:
    user = _user()
    if user is None:
        return
    account = pwd.getpwnam(user)
    for path in paths:
        os.chown(path, account.pw_uid, account.pw_gid)


def provision(system: System, found: Found, databases: list[str]) -> None:
    """Make what is missing of roles and databases; the server must accept connections."""
    script = script_of(system, found.version, databases)
    _execute(system, found, script)
    write(_mark(system, found), _digest(script))


def add(system: System, found: Found, name: str) -> None:
    """Make role and database `name`, beside those of the system; what is there stays."""
    _execute(system, found, script_of(system, found.version, [name]))


def remove(system: System, found: Found, name: str) -> None:
    """Drop role and database `name`, and end what is connected to it."""
    drop = f"DROP DATABASE IF EXISTS {name} WITH (FORCE);\nDROP ROLE IF EXISTS {name};\n"
    _execute(system, found, f"SET client_min_messages = warning;\n{drop}")


def _execute(system: System, found: Found, script: str) -> None:
    url = system.credentials.database_url(ADMIN, "postgres").split("@")[1]
    _run(
        [found.binaries["psql"], "-X", "-q", "-v", "ON_ERROR_STOP=1", f"postgresql://{url}"],
        stdin=script,
        environment={
            "PGUSER": ADMIN,
            "PGPASSWORD": system.credentials.password(f"postgres-{ADMIN}"),
            "PGCONNECT_TIMEOUT": "10",
        },
    )


def is_provisioned(system: System, found: Found, databases: list[str]) -> bool:
    """Whether all that `provision` would make is there."""
    try:
        done = _mark(system, found).read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return done == _digest(script_of(system, found.version, databases))


def _mark(system: System, found: Found) -> Path:
    return system.home.run / f"{_data(system, found).name}-provisioned"


def _digest(script: str) -> str:
    return hashlib.sha256(script.encode()).hexdigest()


def script_of(system: System, version: str, databases: list[str]) -> str:
    """Return the psql script that makes what is missing on a server of that version."""
    major = int(version.split(".", maxsplit=1)[0])
    readers = [name for name, database in READERS.items() if database in databases]
    return "\n".join(
        [
            _CLOSED,
            *(_service(system, name, major) for name in databases),
            *(_reader(system, name) for name in readers),
            "",
        ]
    )


_CLOSED: Final = """\
SET client_min_messages = warning;
REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC;"""


def _service(system: System, name: str, major: int) -> str:
    timeouts = {"idle_in_transaction_session_timeout": "5s", "statement_timeout": "10s"}
    if major >= _TRANSACTION_TIMEOUT_SINCE:
        timeouts["transaction_timeout"] = "10s"
    return f"""\
{_role(system, name, timeouts)}
SELECT 'CREATE DATABASE {name} OWNER {name}' WHERE NOT EXISTS
    (SELECT FROM pg_database WHERE datname = '{name}') \\gexec
REVOKE CONNECT, TEMPORARY ON DATABASE {name} FROM PUBLIC;"""  # noqa: S608  # our own names


def _reader(system: System, name: str) -> str:
    """A role that may connect to one database, where only the views are open to it."""
    settings = {
        "default_transaction_read_only": "on",
        "statement_timeout": "5min",
        "idle_in_transaction_session_timeout": "1min",
    }
    return f"""\
{_role(system, name, settings)}
ALTER ROLE {name} CONNECTION LIMIT {_READER_CONNECTIONS};
GRANT CONNECT ON DATABASE {READERS[name]} TO {name};"""


def _role(system: System, name: str, settings: dict[str, str]) -> str:
    password = system.credentials.password(f"postgres-{name}")
    lines = [f"ALTER ROLE {name} SET {key} = '{value}';" for key, value in settings.items()]
    return "\n".join(
        [
            f"SELECT 'CREATE ROLE {name} LOGIN' WHERE NOT EXISTS",
            f"    (SELECT FROM pg_roles WHERE rolname = '{name}') \\gexec",
            f"ALTER ROLE {name} PASSWORD '{password}';",
            *lines,
        ]
    )


def _data(system: System, found: Found) -> Path:
    """Each major version has a folder of its own: a newer server does not read an older one's."""
    return system.home.data(f"postgres-{found.version.split('.')[0]}")


def _user() -> str | None:
    """The server refuses to run as root; Debian's package brings this user."""
    return "postgres" if os.geteuid() == 0 else None


def _run(
    command: list[str | Path],
    *,
    stdin: str = "",
    user: str | None = None,
    environment: dict[str, str] | None = None,
) -> None:
    answer = subprocess.run(  # noqa: S603  # our own arguments
        command,
        input=stdin,
        text=True,
        capture_output=True,
        check=False,
        timeout=_STEP_SECONDS,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        cwd="/",
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **(environment or {})},
    )
    if answer.returncode != 0:
        raise ProvisionError(answer.stderr.strip() or answer.stdout.strip())
