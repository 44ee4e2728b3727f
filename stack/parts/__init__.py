"""The backing parts of the native run: found on this machine, or installed into its cache.

All functions block; call them from a thread.

    PARTS                       name -> Part, in the order to install them in
    check_host()                raises UnsupportedHost where apt is not to be had
    find(name)                  -> Found | None: WEFT_PARTS_DIR, PATH, cache, Debian's folders
    find_all(name)              -> Iterator[Found], best first: to pick the PostgreSQL that a
                                data folder was made with
    missing()                   -> list[str] to install, in the order to install them in
    plan(names)                 -> Plan(needed_bytes, free_bytes, expected_seconds by part)
    authorize(names)            -> bool; asks for sudo's password if apt will need one: call it
                                before anything is drawn on the terminal
    install(name, log=, progress=) -> Found; raises PartFailed. `progress` is called at least
                                once a second; what it raises stops the build and comes out here

Keys of Found.binaries:

    rabbitmq        rabbitmq-server rabbitmqctl epmd
    postgres        postgres initdb pg_ctl psql
    valkey          valkey-server (a redis-server where there is no Valkey)
    otel-collector  otelcol
    jaeger          jaeger
    prometheus      prometheus promtool
    alertmanager    alertmanager amtool
    loki            loki
    compose         docker-compose (on demand: for checking compose.yaml)
    chromium        chromium (on demand: the tests' browser)
    grafana         grafana
"""

from __future__ import annotations

from stack.parts.catalogue import PARTS
from stack.parts.finding import find, find_all, missing
from stack.parts.host import check_host
from stack.parts.installing import authorize, install
from stack.parts.part import Found, Part
from stack.parts.planning import Plan, plan
from stack.parts.progress import PartFailed, Progress, UnsupportedHost

__all__ = [
    "PARTS",
    "Found",
    "Part",
    "PartFailed",
    "Plan",
    "Progress",
    "UnsupportedHost",
    "authorize",
    "check_host",
    "find",
    "find_all",
    "install",
    "missing",
    "plan",
]
