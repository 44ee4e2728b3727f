"""docs/guarantees.md names tests that exist, one at least for each line."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[^`]+::[^`]*)`", TEXT)))
LINES = [line for line in TEXT.splitlines() if line.startswith("| ")]


def missing(named: str) -> bool:
    path, _, test = named.partition("::")
    file = ROOT / path
    made = rf"^\s*(async def|def|class) {test}\b|^{test} ="
    return not (test and file.exists() and re.search(made, file.read_text(), re.MULTILINE))


@pytest.mark.parametrize("named", NAMED)
def test_every_test_that_the_page_names_exists(named: str) -> None:
    assert not missing(named)


def test_a_test_that_does_not_exist_is_noticed() -> None:
    here = "tests/unit/test_guarantees.py"
    assert missing(f"{here}::test_of_nothing")
    assert missing("tests/unit/test_of_nothing.py::test_of_nothing")
    assert missing(here)
    assert not missing(f"{here}::test_a_test_that_does_not_exist_is_noticed")


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[2:60])
def test_every_guarantee_names_its_proof(line: str) -> None:
    heads = ("| guaranteed | proof |", "| --- | --- |")
    assert line in heads or re.search(r"\| (`tests/[^`]+` ?)+\|$", line)
