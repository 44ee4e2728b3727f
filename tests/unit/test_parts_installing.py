"""Installing with a `go` of the test's own, which lists two packages and builds empty programs."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import pytest

from stack import parts
from stack.parts import build, cache, planning
from stack.parts.catalogue import PARTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GO = r"""#!/bin/sh
echo "$@" >> "$CALLS"
case "$1" in
version) echo "go version go1.26.8 linux/amd64" ;;
list)
    [ ! -e "$FAIL_LIST" ] || { rm "$FAIL_LIST"; echo "go: connection reset" >&2; exit 1; }
    echo "go: downloading example.org/one v1.0.0" >&2
    printf 'stale: example.org/one\n\nstale: example.org/two\n'
    ;;
build)
    [ ! -e "$FAIL_BUILD" ] || { printf 'example.org/one\none.go:1: no such thing\n'; exit 2; }
    printf 'example.org/one\nexample.org/two\n' >&2
    while [ "$1" != -o ]; do shift; done
    touch "$2/alertmanager" "$2/amtool"
    chmod 755 "$2/alertmanager" "$2/amtool"
    ;;
esac
"""


class Cancelled(Exception):
    pass


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Debian with that `go`, and empty caches; gives the folder of the test's switches."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "go").write_text(GO)
    (tools / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GOMODCACHE", str(tmp_path / "modules"))
    monkeypatch.delenv("WEFT_PARTS_DIR", raising=False)
    for switch in ("CALLS", "FAIL_LIST", "FAIL_BUILD"):
        monkeypatch.setenv(switch, str(tmp_path / switch))
    monkeypatch.setattr(build, "_BACK_OFF_S", 0.01)
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": "debian"})
    return tmp_path


@pytest.fixture
def install(machine: Path) -> Callable[[], list[parts.Progress]]:
    """Installs Alertmanager and gives the progress it made."""

    def run() -> list[parts.Progress]:
        told: list[parts.Progress] = []
        found = parts.install("alertmanager", log=machine / "logs" / "log", progress=told.append)
        assert found == parts.find("alertmanager")
        assert found.source == "cache"
        return told

    return run


def leftovers() -> list[str]:
    return sorted(path.name for path in cache.parts().iterdir() if path.name != ".lock")


def test_a_part_is_built_into_the_cache_and_found_there(
    install: Callable[[], list[parts.Progress]],
) -> None:
    told = install()
    assert leftovers() == ["alertmanager-0.31.1"]
    fractions = [progress.fraction for progress in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    steps = list(dict.fromkeys(progress.step for progress in told))
    assert steps == ["waiting", "downloading", "compiling", "linking", "done"]
    assert {progress.total for progress in told if progress.step == "compiling"} == {2}


def test_a_part_that_is_there_is_not_built_again(
    machine: Path, install: Callable[[], list[parts.Progress]]
) -> None:
    install()
    (machine / "CALLS").unlink()
    install()
    assert not (machine / "CALLS").exists()


def test_the_build_uses_the_lock_and_changes_nothing_in_it(
    machine: Path, install: Callable[[], list[parts.Progress]]
) -> None:
    install()
    calls = (machine / "CALLS").read_text().splitlines()
    assert all("-mod=readonly" in call for call in calls if not call.startswith("version"))


def test_a_download_that_breaks_off_is_tried_again(
    machine: Path, install: Callable[[], list[parts.Progress]]
) -> None:
    (machine / "FAIL_LIST").touch()
    install()


def test_a_build_of_an_older_manifest_is_replaced(
    install: Callable[[], list[parts.Progress]],
) -> None:
    folder = cache.part_folder(PARTS["alertmanager"])
    folder.mkdir(parents=True)
    (folder / "manifest.sha256").write_text("older")
    (folder / "alertmanager").write_text("older")
    install()
    assert (folder / "alertmanager").read_text() == ""
    assert leftovers() == ["alertmanager-0.31.1"]


def test_a_failed_build_names_the_part_and_the_last_lines_and_leaves_nothing(
    machine: Path,
) -> None:
    (machine / "FAIL_BUILD").touch()
    log = machine / "log"
    with pytest.raises(parts.PartFailed) as raised:
        parts.install("alertmanager", log=log, progress=lambda _: None)
    assert raised.value.name == "alertmanager"
    assert raised.value.log == log
    assert raised.value.last_lines[-1] == "one.go:1: no such thing"
    assert leftovers() == []


def test_what_the_callers_progress_raises_ends_the_build_and_leaves_nothing(
    machine: Path,
) -> None:
    def stop(progress: parts.Progress) -> None:
        if progress.step == "compiling":
            raise Cancelled

    with pytest.raises(Cancelled):
        parts.install("alertmanager", log=machine / "log", progress=stop)
    assert leftovers() == []


def test_too_little_disk_is_told_before_anything_is_done(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "free_bytes", lambda: 10**8)
    with pytest.raises(parts.PartFailed, match=r"needs 0\.7 GB to build, .* 0\.1 GB free"):
        parts.install("alertmanager", log=machine / "log", progress=lambda _: None)
    assert not (machine / "CALLS").exists()


def test_grafana_is_never_installed(machine: Path) -> None:
    with pytest.raises(parts.PartFailed, match="WEFT_PARTS_DIR"):
        parts.install("grafana", log=machine / "log", progress=lambda _: None)


@pytest.mark.parametrize("release", [{"ID": "ubuntu"}, {"ID": "mint", "ID_LIKE": "ubuntu debian"}])
def test_debian_and_its_kin_will_do(
    monkeypatch: pytest.MonkeyPatch, release: dict[str, str]
) -> None:
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: release)
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/apt-get")
    parts.check_host()


def test_elsewhere_compose_is_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    release = {"ID": "fedora", "PRETTY_NAME": "Fedora Linux 43"}
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: release)
    with pytest.raises(parts.UnsupportedHost, match=r"Fedora Linux 43.*compose"):
        parts.check_host()


def test_a_plan_holds_every_part_but_grafana_and_less_once_modules_are_there(
    machine: Path,
) -> None:
    everything = parts.plan(PARTS)
    assert set(everything.expected_seconds) == set(PARTS) - {"grafana"}
    assert everything.total_seconds == sum(everything.expected_seconds.values())
    before = parts.plan(["loki"])
    (machine / "modules" / "github.com" / "grafana" / "loki" / "v3@v3.7.8").mkdir(parents=True)
    after = parts.plan(["loki"])
    assert after.needed_bytes < before.needed_bytes
    assert after.expected_seconds["loki"] < before.expected_seconds["loki"]
