from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

import pytest

from stack.parts import manifest
from stack.parts.catalogue import PARTS
from stack.parts.manifest import MANIFESTS

if TYPE_CHECKING:
    from pathlib import Path

NAMES = sorted(MANIFESTS)


def test_every_go_part_has_a_manifest() -> None:
    assert set(MANIFESTS) == {name for name, part in PARTS.items() if part.kind == "go"}


@pytest.mark.parametrize("name", NAMES)
def test_the_lock_holds_the_main_module_at_its_version(name: str) -> None:
    module, version = MANIFESTS[name].module.split("@")
    go_mod = (MANIFESTS[name].folder / "go.mod").read_text()
    assert re.search(rf"\b{re.escape(module)} {re.escape(version)}$", go_mod, re.MULTILINE)
    assert f"\n{module} {version} h1:" in "\n" + (MANIFESTS[name].folder / "go.sum").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_a_manifest_names_no_machine_and_no_registry(name: str) -> None:
    for file in MANIFESTS[name].files:
        assert not re.search(r"https?://|/home/|/root/|=> \.|=> /", file.read_text())


def test_the_collectors_lock_holds_each_of_its_components() -> None:
    go_mod = (MANIFESTS["otel-collector"].folder / "go.mod").read_text()
    components = manifest.collector_components()
    assert components
    for component in components:
        assert f"\t{component}\n" in go_mod


def test_the_collectors_own_version_is_that_of_the_part() -> None:
    text = manifest.COLLECTOR.read_text()
    assert f"\n  version: {PARTS['otel-collector'].version}\n" in text


def test_a_digest_changes_with_a_locked_file_and_with_a_flag(tmp_path: Path) -> None:
    extra = tmp_path / "list.yaml"
    extra.write_text("one")
    base = dataclasses.replace(MANIFESTS["loki"], sources=(extra,))
    before = base.digest()
    assert base.digest() == before
    assert dataclasses.replace(base, tags="other").digest() != before
    assert dataclasses.replace(base, version="3.7.9").digest() != before
    extra.write_text("two")
    assert base.digest() != before


def test_all_parts_are_built_by_one_go_so_that_they_share_what_is_compiled() -> None:
    toolchains = {
        line
        for name in NAMES
        for line in (MANIFESTS[name].folder / "go.mod").read_text().splitlines()
        if line.startswith("toolchain ")
    }
    assert len(toolchains) == 1
    assert all(
        "\ntoolchain go" in (MANIFESTS[name].folder / "go.mod").read_text() for name in NAMES
    )
