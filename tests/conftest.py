"""Fixtures on the real parts: one whole system of its own for the run, started by `weft up`.

Where WEFT_ADMIN_DATABASE_URL and its companions are set already (`eval "$(weft env)"`), the tests
use that running system and leave it as it is.
"""

import faulthandler
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.backing import database, virtual_host
from tests.running import System
from tests.shared import Run

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("weft", deadline=None)
hypothesis.settings.load_profile("weft")

RUN = pytest.StashKey[Run]()


def pytest_configure(config: pytest.Config) -> None:
    """Give the run its folder; a worker has been told it by the process that started it."""
    told = getattr(config, "workerinput", {}).get("run")
    config.stash[RUN] = Run(Path(told or tempfile.mkdtemp(prefix="weft-test-")))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of xdist the folder of the run."""
    node.workerinput["run"] = str(node.config.stash[RUN].folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the run, after its last worker."""
    if not hasattr(config, "workerinput"):
        config.stash[RUN].end()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """Give a file to one worker, and all files with tests that are `alone` to the same one.

    Two of them at a time would wait for each other.
    """
    return _ByFile(config, log)


class _ByFile(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "alone" if _has_alone(self.config.rootpath / file) else file


@cache
def _has_alone(file: Path) -> bool:
    return "pytest.mark.alone" in file.read_text()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that are `alone`, beside them those that need no system.

    Of each kind come first the files whose tests may take longest, so that no worker ends long
    after all.
    """
    longest: dict[Path, float] = {}
    for item in items:
        mark = item.get_closest_marker("timeout")
        seconds = mark.args[0] if mark else 0.0
        longest[item.path] = max(longest.get(item.path, 0.0), seconds)
    shares = {item.path for item in items if _shares(item)}
    items.sort(
        key=lambda item: (not _has_alone(item.path), item.path in shares, -longest[item.path])
    )


def _shares(item: pytest.Item) -> bool:
    return not {"system", "parts"}.isdisjoint(getattr(item, "fixturenames", ()))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    with _ends(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    with _ends(item):
        return (yield)


@contextmanager
def _ends(item: pytest.Item) -> Iterator[None]:
    """End the process, with all its stacks shown, where a test outlives its timeout or its
    clean-up never ends; the run goes on with the next. Its first fixture has a deadline of its own.
    """
    mark = item.get_closest_marker("timeout")
    seconds = float(mark.args[0] if mark else item.config.getini("timeout"))
    faulthandler.dump_traceback_later(seconds + 120, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session")
def shared(request: pytest.FixtureRequest) -> Run:
    """What the workers of this run share."""
    return request.config.stash[RUN]


@pytest.fixture(scope="session", autouse=True)
def begun(request: pytest.FixtureRequest) -> None:
    """Where any test uses the system, start it first: that installs what other tests need, too."""
    if any(map(_shares, request.session.items)):
        request.getfixturevalue("parts")


@pytest.fixture(scope="session")
def system(shared: Run) -> System:
    """The whole system: the one of the environment, or one that lives as long as the run."""
    if "WEFT_ADMIN_DATABASE_URL" in os.environ:
        return System(dict(os.environ), dict(os.environ))
    return shared.system()


@pytest.fixture(scope="session")
def parts(request: pytest.FixtureRequest) -> dict[str, str]:
    """The variables that lead to the backing parts, as an administrator."""
    if "WEFT_ADMIN_DATABASE_URL" in os.environ:
        return dict(os.environ)
    system: System = request.getfixturevalue("system")
    return system.variables


@pytest.fixture
async def database_url(parts: dict[str, str]) -> AsyncIterator[str]:
    async with database(parts) as url:
        yield url


@pytest.fixture
def redis_url(parts: dict[str, str]) -> str:
    return parts["WEFT_REDIS_URL"]


@pytest.fixture
def management_url(parts: dict[str, str]) -> str:
    """The broker's management API, with an administrator's credentials in it."""
    return parts["WEFT_ADMIN_MANAGEMENT_URL"]


@pytest.fixture
async def broker_url(parts: dict[str, str]) -> AsyncIterator[str]:
    async with virtual_host(parts) as url:
        yield url
