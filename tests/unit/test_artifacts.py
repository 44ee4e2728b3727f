"""Artifacts in a folder."""

from pathlib import Path

import pytest

from weft.artifacts import Artifacts
from weft.errors import Unavailable
from weft.settings import SettingsError


async def test_what_was_put_is_got_until_it_is_deleted(tmp_path: Path) -> None:
    artifacts = Artifacts((tmp_path / "made when needed").as_uri())
    await artifacts.put("a/1.csv", b"first")
    await artifacts.put("a/1.csv", b"second")
    assert (tmp_path / "made when needed" / "a" / "1.csv").read_bytes() == b"second"
    assert await artifacts.get("a/1.csv") == b"second"
    await artifacts.delete("a/1.csv")
    await artifacts.delete("a/1.csv")
    with pytest.raises(Unavailable):
        await artifacts.get("a/1.csv")


async def test_a_store_that_is_away_says_so_without_its_address(tmp_path: Path) -> None:
    (tmp_path / "a-file").touch()
    artifacts = Artifacts((tmp_path / "a-file" / "folder").as_uri())
    with pytest.raises(Unavailable) as away:
        await artifacts.put("a", b"")
    assert away.value.dependency == "artifact_store"
    assert str(tmp_path) not in str(away.value)


@pytest.mark.parametrize("url", ["", "artifacts", "/folder", "file://", "ftp://host/a", "s3://"])
def test_another_address_is_refused_by_the_settings_name(url: str) -> None:
    with pytest.raises(SettingsError, match="WEFT_ARTIFACTS_URL"):
        Artifacts(url)
