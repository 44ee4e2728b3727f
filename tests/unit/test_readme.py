"""What README shows is what is there."""

import re
import runpy
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stack.cli import app

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_the_service_that_readme_shows_is_the_one_in_the_examples() -> None:
    assert (ROOT / "examples" / "hello.py").read_text() in README


def test_every_command_that_readme_calls_exists() -> None:
    called = set(re.findall(r"\.venv/bin/weft ([a-z-]+)", README))
    assert called
    for name in called:
        assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0


def test_whoever_follows_readme_begins_with_a_start_and_takes_every_command() -> None:
    follower = runpy.run_path(str(ROOT / "docs" / "follow_readme.py"))
    commands = [command for _, block in follower["blocks"](README) for command in block]
    assert commands[0] == "make up"
    assert set(re.findall(r"^\.venv/bin/weft [a-z-]+", README, re.MULTILINE)) == {
        " ".join(command.split()[:2]) for command in commands if command.startswith(".venv")
    }


@pytest.mark.parametrize("link", re.findall(r"\]\((?!https?:)([^)#]+)\)", README))
def test_every_file_that_readme_links_to_exists(link: str) -> None:
    assert (ROOT / link).exists()


def test_every_make_target_that_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)", README)) <= targets
