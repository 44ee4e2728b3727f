"""What `weft dead-letters` says before it has asked the broker."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from stack.cli import app


@pytest.mark.parametrize("command", ["replay", "drop"])
def test_all_letters_of_all_queues_is_never_meant(command: str) -> None:
    done = CliRunner().invoke(app, ["dead-letters", command])
    assert done.exit_code == 2
    assert "--queue for all of a queue" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["list"], 1), (["list", "--limit", "0"], 2), (["show"], 2), (["bury"], 2)],
)
def test_what_cannot_be_done_has_its_exit_code(
    arguments: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEFT_HOME", str(tmp_path))
    assert CliRunner().invoke(app, ["dead-letters", *arguments]).exit_code == code
