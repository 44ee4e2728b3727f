"""RabbitMQ: a private node, with users of least rights and the mesh's exchanges."""

import base64
import hashlib
import http.client
import json
import re
import shlex
import shutil
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from stack import processes
from stack.credentials import ADMIN, MONITORING, OPERATOR, VHOST
from stack.home import ROOT, write, write_json
from stack.parts import Found
from stack.ports import BIND
from stack.probe import http_ok
from stack.program import Program
from stack.services import SERVICES, Service
from stack.system import System

UNROUTED_MOST: Final = 10_000
"""Events that no queue wants are kept up to this number, the newest."""
DEAD: Final = ".dead"
"""What the name of a queue of dead letters ends with."""
_NODE: Final = "weft@localhost"
_ERL_ARGUMENTS: Final = (
    "-kernel inet_dist_use_interface {127,0,0,1}",
    # Schedulers that spin for work cost a laptop more than they give it.
    "+sbwt none +sbwtdcpu none +sbwtdio none",
)
_ANSWER_SECONDS: Final = 10.0


class BrokerError(Exception):
    """RabbitMQ did not do what it was asked to; the text is what it said."""


def program(system: System, found: Found) -> Program:
    home, ports = system.home, system.ports
    data = home.data("rabbitmq")
    own = home.config / "rabbitmq"
    management = ports.url("rabbitmq-management")
    port = ports.of("rabbitmq")
    return Program(
        id="rabbitmq",
        name="rabbitmq",
        kind="backing",
        port=port,
        command=(found.binaries["rabbitmq-server"],),
        directory=data,
        environment={
            "HOME": str(data),
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_NODENAME": _NODE,
            "RABBITMQ_NODE_IP_ADDRESS": BIND,
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(ports.of("rabbitmq-distribution")),
            "ERL_EPMD_ADDRESS": BIND,
            "ERL_EPMD_PORT": str(ports.of("epmd")),
            "RABBITMQ_CONFIG_FILE": str(ROOT / "rabbitmq" / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(own / "conf.d" / "*.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(own / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_MNESIA_BASE": str(data / "mnesia"),
            "RABBITMQ_LOG_BASE": str(data / "log"),
            "RABBITMQ_PID_FILE": str(data / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": " ".join(_ERL_ARGUMENTS),
            # The node reads its definitions when it starts: new ones are a reason to.
            "WEFT_DEFINITIONS_DIGEST": _digest(_definitions_file(system)),
        },
        probe=http_ok(
            f"{management}/api/health/checks/port-listener/{port}",
            user=MONITORING,
            password=system.credentials.password(f"rabbitmq-{MONITORING}"),
        ),
        stop_seconds=30,
    )


def prepare(system: System, found: Found) -> None:
    """Write its addresses and definitions; the node reads both at every start."""
    del found
    data = system.home.data("rabbitmq")
    data.mkdir(mode=0o700, exist_ok=True)
    _remove_half_made(system, data / "mnesia")
    folder = system.home.config / "rabbitmq"
    write(folder / "conf.d" / "10-addresses.conf", _addresses(system, _definitions_file(system)))
    plugins = (ROOT / "rabbitmq" / "enabled_plugins").read_text(encoding="utf-8")
    write(folder / "enabled_plugins", plugins)
    write_json(_definitions_file(system), definitions(system.credentials.password, SERVICES))


def _remove_half_made(system: System, database: Path) -> None:
    """A node whose first start was cut off never comes up again. It has no queue, so no message."""
    queues = database / _NODE / "quorum" / _NODE
    made = queues.is_dir() and any(one.is_dir() for one in queues.iterdir())
    if made or not database.exists():
        return
    if "rabbitmq" not in processes.roots(processes.marked(system.home)):
        shutil.rmtree(database)


def add(system: System, service: Service) -> None:
    """Make the service's user, or set its rights anew, on the running node. Raises BrokerError."""
    definition = _user(service.name, system.credentials.password(f"rabbitmq-{service.name}"), [])
    rights = f"{VHOST}/{service.name}"
    _ask(system, "PUT", f"users/{service.name}", definition)
    _ask(system, "PUT", f"permissions/{rights}", _service_permission(service))
    _ask(system, "PUT", f"topic-permissions/{rights}", _topic_permission(service))


def remove(system: System, name: str) -> None:
    """Delete a service's user, its exchange, and its queues with what is in them. BrokerError."""
    _ask(system, "DELETE", f"users/{name}")
    for queue in json.loads(_ask(system, "GET", f"queues/{VHOST}?columns=name")):
        if queue["name"].startswith(f"{name}."):
            _ask(system, "DELETE", f"queues/{VHOST}/{quote(queue['name'], safe='')}")
    _ask(system, "DELETE", f"exchanges/{VHOST}/{name}.direct")


def dead_lettered(system: System) -> list[str]:
    """Return the queues that have a dead-letter queue. Raises BrokerError, NoCredentialsError."""
    found = json.loads(_ask(system, "GET", f"queues/{VHOST}?columns=name", user=OPERATOR))
    names = (queue["name"] for queue in found)
    return sorted(name.removesuffix(DEAD) for name in names if name.endswith(DEAD))


def _ask(
    system: System, method: str, path: str, body: dict[str, Any] | None = None, *, user: str = ADMIN
) -> bytes:
    """Ask the management API as `user`; what is to be deleted may be gone already."""
    password = system.credentials.password(f"rabbitmq-{user}")
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
    headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}
    port = system.ports.of("rabbitmq-management")
    connection = http.client.HTTPConnection(BIND, port, timeout=_ANSWER_SECONDS)
    try:
        connection.request(method, f"/api/{path}", json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        said = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise BrokerError(f"RabbitMQ does not answer: {type(error).__name__}") from None
    finally:
        connection.close()
    gone = method == "DELETE" and answer.status == HTTPStatus.NOT_FOUND
    if answer.status >= HTTPStatus.BAD_REQUEST and not gone:
        raise BrokerError(f"RabbitMQ answered {answer.status}: {said.decode(errors='replace')}")
    return said


def _definitions_file(system: System) -> Path:
    return system.credentials.path("rabbitmq-definitions.json")


def _digest(file: Path) -> str:
    """Of what was prepared last; `weft status` of a system that an older Weft started needs it."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file.exists() else ""


def _addresses(system: System, definitions_file: Path | str) -> str:
    ports = system.ports
    return "\n".join(
        [
            f"management.tcp.ip = {BIND}",
            f"management.tcp.port = {ports.of('rabbitmq-management')}",
            f"prometheus.tcp.ip = {BIND}",
            f"prometheus.tcp.port = {ports.of('rabbitmq-metrics')}",
            f"load_definitions = {shlex.quote(str(definitions_file))}",
            "",
        ]
    )


def definitions(password: Any, services: Iterable[Service]) -> dict[str, Any]:
    """Return the node's definitions; `password(name)` gives each user's."""
    users = [service for service in services if service.broker]
    names = [(ADMIN, ["administrator"]), (MONITORING, ["monitoring"]), (OPERATOR, ["management"])]
    names += [(service.name, []) for service in users]
    return {
        "vhosts": [{"name": "/"}, {"name": VHOST}],
        "users": [_user(name, password(f"rabbitmq-{name}"), tags) for name, tags in names],
        "permissions": [
            _permission(ADMIN, "/", ".*", ".*", ".*"),
            _permission(ADMIN, VHOST, ".*", ".*", ".*"),
            _permission(MONITORING, VHOST, "^$", "^$", "^$"),
            _permission(OPERATOR, VHOST, "^$", r"^[a-z0-9_]+\.direct$", rf"^.*{re.escape(DEAD)}$"),
            *(_service_permission(service) for service in users),
        ],
        "topic_permissions": [_topic_permission(service) for service in users],
        "exchanges": [
            _exchange("weft.events", "topic", {"alternate-exchange": "weft.unrouted"}),
            _exchange("weft.unrouted", "fanout", {}),
            _exchange("weft.commands", "direct", {}),
        ],
        "queues": [
            {
                "name": "weft.unrouted",
                "vhost": VHOST,
                "durable": True,
                "auto_delete": False,
                "arguments": {
                    "x-queue-type": "quorum",
                    "x-max-length": UNROUTED_MOST,
                    "x-overflow": "drop-head",
                },
            }
        ],
        "bindings": [
            {
                "source": "weft.unrouted",
                "vhost": VHOST,
                "destination": "weft.unrouted",
                "destination_type": "queue",
                "routing_key": "",
                "arguments": {},
            }
        ],
    }


def _service_permission(service: Service) -> dict[str, str]:
    own = rf"{service.name}\..*"
    shared = [r"weft\.events"] if service.publishes else []
    shared += [r"weft\.commands"] if service.commands else []
    return _permission(
        service.name,
        VHOST,
        f"^{own}$",
        f"^({'|'.join([own, *shared])})$",
        # To bind its queues to the mesh's exchanges it must be allowed to read these.
        rf"^({own}|weft\.events|weft\.commands)$",
    )


def _topic_permission(service: Service) -> dict[str, str]:
    return {
        "user": service.name,
        "vhost": VHOST,
        "exchange": "weft.events",
        "write": rf"^({'|'.join(service.publishes)})\." if service.publishes else "^$",
        "read": ".*",
    }


def _permission(user: str, vhost: str, configure: str, write: str, read: str) -> dict[str, str]:
    rights = {"configure": configure, "write": write, "read": read}
    return {"user": user, "vhost": vhost, **rights}


def _exchange(name: str, kind: str, arguments: dict[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "vhost": VHOST,
        "type": kind,
        "durable": True,
        "auto_delete": False,
        "internal": False,
        "arguments": arguments,
    }


def _user(name: str, password: str, tags: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "password_hash": password_hash(password),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": tags,
    }


def password_hash(password: str) -> str:
    """Return RabbitMQ's salted hash. The passwords are random, so the salt may follow from them:
    the definitions stay the same from start to start, and the node can skip them."""
    salt = hashlib.sha256(b"salt" + password.encode()).digest()[:4]
    digest = hashlib.sha256(salt + password.encode()).digest()
    return base64.b64encode(salt + digest).decode("ascii")
