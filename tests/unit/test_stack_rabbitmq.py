"""What is done with a node's folder before the node is started."""

from pathlib import Path

import pytest

from stack.backing import rabbitmq
from stack.credentials import Credentials
from stack.home import Home
from stack.parts import Found
from stack.ports import Ports
from stack.services import SERVICES
from stack.system import System

FOUND = Found(name="rabbitmq", version="3.10.8", binaries={}, source="path")
NODE = "weft@localhost"


@pytest.fixture
def database(tmp_path: Path) -> tuple[System, Path]:
    home, ports = Home(tmp_path / "home"), Ports(5000)
    home.make()
    system = System(home, ports, Credentials(home.secrets, ports))
    system.credentials.make([service.name for service in SERVICES])
    database = home.data("rabbitmq") / "mnesia"
    (database / NODE / "quorum" / NODE).mkdir(parents=True)
    (database / NODE / "quorum" / NODE / "00000001.wal").touch()
    return system, database


def test_a_node_whose_first_start_was_cut_off_begins_anew(database: tuple[System, Path]) -> None:
    system, folder = database
    rabbitmq.prepare(system, FOUND)
    assert not folder.exists()
    rabbitmq.prepare(system, FOUND)
    assert not folder.exists()


def test_a_node_that_had_a_queue_keeps_what_it_has(database: tuple[System, Path]) -> None:
    system, folder = database
    (folder / NODE / "quorum" / NODE / "WEFT_RHFOCP2ZIZCF1").mkdir()
    rabbitmq.prepare(system, FOUND)
    assert (folder / NODE / "quorum" / NODE / "WEFT_RHFOCP2ZIZCF1").is_dir()
