from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from stack import parts
from stack.parts import debian, host, toolchain
from stack.parts.job import job, last_lines

if TYPE_CHECKING:
    from pathlib import Path


def test_apts_status_lines_drive_the_progress_and_stay_out_of_the_log() -> None:
    seen: list[int] = []
    heard = debian._status_to(seen.append)
    assert not heard("dlstatus:1:50.0:Retrieving file 1 of 2")
    assert not heard("pmstatus:erlang-base:0.0:Preparing")
    assert not heard("pmstatus:libc6:amd64:80.0:Installing")
    assert heard("Setting up rabbitmq-server ...")
    assert seen == [25, 50, 90]


def test_a_package_name_is_matched_whole() -> None:
    pattern = debian.exactly("postgresql")
    assert re.search(pattern, "postgresql")
    assert not re.search(pattern, "postgresql-17")


def test_without_root_and_sudo_it_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "is_root", lambda: False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        job("valkey", tmp_path / "log", lambda _: None) as work,
        pytest.raises(parts.PartFailed, match="sudo apt-get install valkey-server"),
    ):
        debian.install(work, [debian.exactly("valkey-server")])


@pytest.mark.parametrize(
    ("says", "accepted"),
    [
        ("go version go1.19.8 linux/amd64", False),
        ("go version go1.21.0 linux/amd64", True),
        ("go version go1.26.8 linux/arm64", True),
        ("go version devel go1.27-abcdef linux/amd64", True),
        ("gccgo 12", False),
    ],
)
def test_a_go_that_can_fetch_newer_ones_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, *, accepted: bool
) -> None:
    program = tmp_path / "go"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    monkeypatch.setattr(toolchain, "_candidates", lambda: iter([program]))
    assert toolchain.find() == (program if accepted else None)


def test_go_builds_for_this_machine_and_keeps_to_wefts_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("GOOS", "plan9")
    for name in ("GOCACHE", "GOMODCACHE"):
        monkeypatch.delenv(name, raising=False)
    environment = toolchain.environment()
    assert "GOOS" not in environment
    for name in ("GOCACHE", "GOMODCACHE", "GOPATH"):
        assert environment[name].startswith(f"{tmp_path}/weft/")
    monkeypatch.setenv("GOCACHE", "/elsewhere")
    assert toolchain.environment()["GOCACHE"] == "/elsewhere"


def test_the_last_lines_of_a_log_are_those_that_say_something(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n\n" for number in range(100)))
    lines = last_lines(log)
    assert lines[-1] == "line 99"
    assert len(lines) == 15
