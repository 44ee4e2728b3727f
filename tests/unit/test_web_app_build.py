"""The web app is built once for each version of its sources, from locked packages."""

import json
import shutil
from pathlib import Path

import pytest

from stack import web_app

SOURCES = web_app.SOURCES


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sources at another place, as another clone has them."""
    folder = tmp_path / "web"
    shutil.copytree(SOURCES, folder, ignore=shutil.ignore_patterns("dist", "node_modules"))
    monkeypatch.setattr(web_app, "SOURCES", folder)
    return folder


def test_another_clone_of_the_same_sources_has_the_same_version(copied: Path) -> None:
    here = web_app.digest()
    (copied / "dist").mkdir()
    (copied / "dist" / "index.html").write_text("built")
    assert web_app.digest() == here


def test_any_change_of_a_source_is_another_version(copied: Path) -> None:
    before = {web_app.digest()}
    with (copied / "src" / "main.tsx").open("a") as file:
        file.write("\n")
    before.add(web_app.digest())
    (copied / "src" / "style.css").rename(copied / "src" / "other.css")
    before.add(web_app.digest())
    assert len(before) == 3


def test_every_package_is_locked_by_its_content_and_by_no_registry() -> None:
    locked = json.loads((SOURCES / "package-lock.json").read_text())["packages"]
    packages = {name: package for name, package in locked.items() if name}
    assert packages
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert not any("resolved" in package for package in packages.values())
    assert "https://" not in (SOURCES / "package.json").read_text()


def test_no_source_makes_markup_of_text() -> None:
    sources = "".join(path.read_text() for path in sorted((SOURCES / "src").rglob("*.ts*")))
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert way not in sources
