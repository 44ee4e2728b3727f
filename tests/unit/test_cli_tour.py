"""The walk of `weft tour`; tests/end_to_end has it go through a real system."""

import asyncio
import os
import re
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from stack.backends.http import BackendAway
from stack.cli import app, tour
from stack.cli.chapters import CHAPTERS
from stack.cli.output import Printer
from stack.cli.tour import Chapter, Visit, walk
from stack.ports import Ports

BACKENDS: Any = SimpleNamespace(system=SimpleNamespace(ports=Ports(1000)))


def visit() -> Visit:
    return Visit(BACKENDS, Printer(), weft=".venv/bin/weft", order_id="17")


async def nothing_there(_: Visit) -> None:
    raise BackendAway("jaeger", "http://127.0.0.1:17686", "connection refused")


async def shows(visit: Visit) -> None:
    visit.printer.line("the thing itself")


TRACE = Chapter(title="Its trace", text="One.", show=shows, again="{weft} trace {order_id}")
END = Chapter(title="The end", text="See {gateway}/ops.", again="{weft} status\n{weft} order")


async def test_a_chapter_explains_shows_and_says_how_to_see_it_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert await walk(visit(), [TRACE, END], pause=False) == 0
    assert capsys.readouterr().out.splitlines() == [
        *("", "1/2  Its trace", "One.", "", "the thing itself", ""),
        "again: .venv/bin/weft trace 17",
        *("", "2/2  The end", "See http://127.0.0.1:9080/ops.", ""),
        *("again: .venv/bin/weft status", "again: .venv/bin/weft order"),
    ]


async def test_between_two_chapters_it_waits_for_enter(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keyboard, typed = os.pipe()
    with os.fdopen(keyboard) as stdin, os.fdopen(typed, "w") as typing:
        monkeypatch.setattr("sys.stdin", stdin)
        walking = asyncio.create_task(walk(visit(), [TRACE, END], pause=True))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not walking.done()
        assert "Enter goes on" in (shown := capsys.readouterr().out)
        assert "The end" not in shown
        typing.write("\n")
        typing.flush()
        assert await asyncio.wait_for(walking, 60) == 0
    assert "The end" in capsys.readouterr().out


async def test_a_part_that_is_away_ends_the_tour_by_its_name() -> None:
    with pytest.raises(BackendAway, match="jaeger"):
        await walk(visit(), [Chapter(title="", text="", show=nothing_there, again="")], pause=False)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.title)
def test_every_command_that_the_tour_names_exists(chapter: Chapter) -> None:
    assert chapter.text.strip()
    for command in tour._filled(chapter.again, visit()).splitlines():
        assert "{" not in command
        if called := re.match(r"\.venv/bin/weft ([a-z]+)", command):
            assert CliRunner().invoke(app, [called[1], "--help"]).exit_code == 0
        else:
            assert command.startswith("curl -sG http://127.0.0.1:10090/api/v1/query")
