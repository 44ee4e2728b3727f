"""Ports: no two alike, movable, and who has one."""

import os
import socket

import pytest

from stack.ports import BIND, Ports, holder, taken
from stack.services import MOST_INSTANCES, SERVICES
from stack.settings import HIGHEST_PORT_BASE

EPHEMERAL = 32768


def test_no_two_parts_share_a_port() -> None:
    ports = Ports(0).all()
    assert len(set(ports.values())) == len(ports)


def test_no_instance_of_a_service_meets_another_port() -> None:
    ports = Ports(0)
    fixed = set(ports.all().values())
    instances = [
        ports.of(service.name, instance)
        for service in SERVICES
        for instance in range(1, MOST_INSTANCES)
    ]
    assert len(set(instances)) == len(instances)
    assert not fixed & set(instances)


def test_the_highest_base_stays_below_the_ephemeral_range() -> None:
    assert max(Ports(HIGHEST_PORT_BASE).all().values()) < EPHEMERAL


def test_the_base_moves_every_port() -> None:
    moved, usual = Ports(10000).all(), Ports(0).all()
    assert {name: port - 10000 for name, port in moved.items()} == usual


@pytest.fixture
def listening() -> socket.socket:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as every server does
    server.bind((BIND, 0))
    server.listen()
    return server


def test_a_taken_port_is_named_with_the_process_that_has_it(listening: socket.socket) -> None:
    port = listening.getsockname()[1]
    [found] = taken([("orders", port)])
    assert str(found).startswith(f"port {port} (orders) is taken by ")
    assert f"(pid {os.getpid()})" in str(found)


def test_a_port_that_was_just_closed_is_free(listening: socket.socket) -> None:
    port = listening.getsockname()[1]
    client = socket.create_connection((BIND, port))
    accepted, _ = listening.accept()
    accepted.close()  # this side closes first, and keeps the port in TIME_WAIT
    client.close()
    listening.close()
    assert taken([("orders", port)]) == []
    assert holder(port) is None
