from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stack import parts
from stack.parts import cache, finding, manifest, version
from stack.parts.catalogue import PARTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Program = Callable[[Path, str], Path]

PROMETHEUS = "prometheus, version 3.16.0 (branch: HEAD, revision: 0123abcd)"


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No part on the PATH, none in the cache."""
    (tmp_path / "path").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("WEFT_PARTS_DIR", raising=False)


@pytest.fixture
def program() -> Program:
    """Writes a program that answers anything with the same text."""

    def write(path: Path, says: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\ncat <<'TEXT'\n{says}\nTEXT\n")
        path.chmod(0o755)
        return path

    return write


def test_the_right_version_on_the_path_is_used(tmp_path: Path, program: Program) -> None:
    main = program(tmp_path / "path" / "prometheus", PROMETHEUS)
    tool = program(tmp_path / "path" / "promtool", PROMETHEUS)
    found = parts.find("prometheus")
    assert found == parts.Found(
        name="prometheus",
        version="3.16.0",
        binaries={"prometheus": main, "promtool": tool},
        source="path",
    )
    assert "prometheus" not in parts.missing()


def test_another_version_is_not_used(tmp_path: Path, program: Program) -> None:
    program(tmp_path / "path" / "prometheus", PROMETHEUS.replace("3.16.0", "3.16.1"))
    program(tmp_path / "path" / "promtool", PROMETHEUS)
    assert parts.find("prometheus") is None


def test_a_part_without_its_second_program_is_not_whole(tmp_path: Path, program: Program) -> None:
    program(tmp_path / "path" / "prometheus", PROMETHEUS)
    assert parts.find("prometheus") is None


@pytest.mark.parametrize("folder", ["", "bin", "prometheus-3.16.0.linux-amd64", "prom/bin"])
def test_unpacked_releases_in_the_parts_folder_come_first(
    tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    for home in (tmp_path / "path", tmp_path / "releases" / folder):
        program(home / "prometheus", PROMETHEUS)
        program(home / "promtool", PROMETHEUS)
    monkeypatch.setenv("WEFT_PARTS_DIR", str(tmp_path / "releases"))
    found = parts.find("prometheus")
    assert found is not None
    assert found.source == "parts-dir"
    assert found.binaries["promtool"] == tmp_path / "releases" / folder / "promtool"


@pytest.mark.parametrize(
    ("name", "file", "says", "number"),
    [
        ("jaeger", "jaeger", "2026/01/02 03:04:05 git-version=v2.13.0, build-date=", "2.13.0"),
        ("jaeger", "jaeger", "jaeger version v2.13.0", "2.13.0"),
        ("loki", "loki-linux-amd64", "loki, version 3.7.8 (branch: HEAD, revision: a1)", "3.7.8"),
        ("valkey", "valkey-server", "Valkey server v=8.1.1 sha=00000000:0 bits=64", "8.1.1"),
        ("valkey", "redis-server", "Redis server v=7.0.15 sha=00000000:0 bits=64", "7.0.15"),
        ("grafana", "grafana", "grafana version 12.2.0", "12.2.0"),
    ],
)
def test_the_forms_in_which_releases_tell_their_version_are_understood(
    tmp_path: Path, program: Program, name: str, file: str, says: str, number: str
) -> None:
    program(tmp_path / "path" / file, says)
    found = parts.find(name)
    assert found is not None
    assert found.version == number


def test_postgres_is_found_through_a_link_beside_its_other_programs(
    tmp_path: Path, program: Program
) -> None:
    home = tmp_path / "postgresql" / "17" / "bin"
    for name in ("postgres", "initdb", "pg_ctl", "psql"):
        program(home / name, "postgres (PostgreSQL) 17.6 (Debian 17.6-0+deb13u1)")
    (tmp_path / "path" / "postgres").symlink_to(home / "postgres")
    found = parts.find("postgres")
    assert found is not None
    assert found.version == "17.6"
    assert found.binaries["initdb"] == home / "initdb"


def test_a_program_that_does_not_answer_in_time_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "path" / "grafana"
    path.write_text("#!/bin/sh\nexec sleep 60\n")
    path.chmod(0o755)
    monkeypatch.setattr(version, "_DEADLINE_S", 0.2)
    assert parts.find("grafana") is None


def test_a_file_that_cannot_be_run_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "path" / "grafana"
    path.write_bytes(b"\x7fELF, but not really")
    path.chmod(0o755)
    assert parts.find("grafana") is None


def test_a_collector_counts_only_with_every_component_of_our_config(
    tmp_path: Path, program: Program
) -> None:
    modules = sorted(manifest.collector_components())
    whole = "otelcol version 0.161.0\n" + "\n".join(f"      module: {name}" for name in modules)
    program(tmp_path / "path" / "otelcol", whole.replace(modules[0], "example.org/other v1.0.0"))
    assert parts.find("otel-collector") is None
    contrib = program(tmp_path / "path" / "otelcol-contrib", whole)
    (tmp_path / "path" / "otelcol").unlink()
    found = parts.find("otel-collector")
    assert found is not None
    assert found.binaries["otelcol"] == contrib


@pytest.mark.parametrize(
    ("scripts", "library", "number"),
    [
        ("bin", "lib/rabbitmq_server-3.10.8", "3.10.8"),
        ("sbin", "plugins/rabbit-4.1.0", "4.1.0"),
        ("sbin", "plugins/rabbit-4.0.9.ez", "4.0.9"),
    ],
)
def test_rabbitmq_tells_its_version_by_the_names_of_its_folders(
    tmp_path: Path, scripts: str, library: str, number: str
) -> None:
    (tmp_path / library).mkdir(parents=True)
    assert version.of("rabbitmq", tmp_path / scripts / "rabbitmq-server") == number


def test_a_cached_build_is_used_until_its_manifest_changes(
    tmp_path: Path, program: Program
) -> None:
    folder = cache.part_folder(PARTS["jaeger"])
    main = program(folder / "jaeger", "never asked")
    (folder / manifest.STAMP).write_text(manifest.MANIFESTS["jaeger"].digest() + "\n")
    found = parts.find("jaeger")
    assert found is not None
    assert found.binaries == {"jaeger": main}
    assert main.is_relative_to(tmp_path)
    (folder / manifest.STAMP).write_text("of an older manifest\n")
    assert parts.find("jaeger") is None


def test_a_cached_program_without_a_stamp_was_put_there_by_hand_and_is_used(
    program: Program,
) -> None:
    program(cache.part_folder(PARTS["loki"]) / "loki", "never asked")
    assert parts.find("loki") is not None


def test_the_newest_of_debians_folders_comes_first(tmp_path: Path) -> None:
    for number in ("9", "15", "17"):
        (tmp_path / number / "bin").mkdir(parents=True)
    folders = finding._newest_first((f"{tmp_path}/[0-9]*/bin",))
    assert [folder.parent.name for folder in folders] == ["17", "15", "9"]


def test_missing_parts_come_in_the_order_to_install_them_in_and_never_grafana() -> None:
    order = parts.missing()
    assert order == [name for name in PARTS if name in order]
    assert [name for name in order if PARTS[name].kind == "go"] == [
        "otel-collector",
        "jaeger",
        "prometheus",
        "alertmanager",
        "loki",
    ]
    assert "grafana" not in order


@pytest.mark.parametrize(
    ("name", "number", "accepted"),
    [
        ("postgres", "14.20", False),
        ("postgres", "15.1", True),
        ("postgres", "18.6", True),
        ("postgres", "19.0", False),
        ("rabbitmq", "3.9.27", False),
        ("rabbitmq", "3.10.8", True),
        ("rabbitmq", "4.3.0", True),
        ("loki", "3.7.8", True),
        ("loki", "3.7.9", False),
    ],
)
def test_versions_are_compared_as_numbers(name: str, number: str, *, accepted: bool) -> None:
    assert PARTS[name].accepts(number) is accepted
