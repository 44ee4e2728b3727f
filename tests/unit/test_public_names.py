"""`import weft` is cheap, and its names are those of the rooms."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import weft
from weft import service, settings, telemetry

SOURCE = ast.parse(Path(weft.__file__).read_text())


def test_import_weft_alone_brings_no_other_package() -> None:
    script = "import sys; before = set(sys.modules); import weft; print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", script],
        cwd=Path(weft.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    brought = set(done.stdout.split())
    assert {name for name in brought if name.startswith("weft")} == {"weft"}
    assert brought.isdisjoint({"aiohttp", "asyncpg", "msgspec", "opentelemetry", "email"})


@pytest.mark.parametrize("name", weft.__all__)
def test_every_name_is_there_and_in_dir(name: str) -> None:
    assert getattr(weft, name) is not None
    assert name in dir(weft)


def test_a_name_is_the_one_of_its_room() -> None:
    assert weft.Service is service.Service
    assert weft.ServiceSettings is settings.ServiceSettings
    assert weft.traced is telemetry.traced


def test_what_a_type_checker_sees_is_what_is_there() -> None:
    seen = {
        alias.name: node.module
        for node in ast.walk(SOURCE)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("weft.")
        for alias in node.names
    }
    assert seen == weft._ROOM_OF
    assert {*seen, "__version__"} == set(weft.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'weft' has no attribute 'Servise'"):
        weft.Servise  # noqa: B018 - looking is the test
