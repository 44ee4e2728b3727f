"""Artifacts in a folder."""

import io
from pathlib import Path

import pytest

from weft.artifacts import Artifacts
from weft.errors import Gone, Unavailable
from weft.settings import Secret, SettingsError


async def read(artifacts: Artifacts, name: str, part: range) -> list[bytes]:
    return [piece async for piece in artifacts.read(name, part)]


async def test_what_was_put_is_got_until_it_is_deleted(tmp_path: Path) -> None:
    artifacts = Artifacts((tmp_path / "made when needed").as_uri())
    await artifacts.put("a/1.csv", b"first")
    await artifacts.put("a/1.csv", b"second")
    assert (tmp_path / "made when needed" / "a" / "1.csv").read_bytes() == b"second"
    assert await read(artifacts, "a/1.csv", range(6)) == [b"second"]
    assert await read(artifacts, "a/1.csv", range(2, 4)) == [b"co"]
    assert await read(artifacts, "a/1.csv", range(0)) == []
    await artifacts.put("a/2.csv", b"of another runner")
    await artifacts.put("ab/1.csv", b"of another report")
    await artifacts.clear("a")
    await artifacts.clear("a")
    assert [one.name for one in (tmp_path / "made when needed").iterdir()] == ["ab"]
    with pytest.raises(Gone):
        await read(artifacts, "a/1.csv", range(1))


async def test_a_file_is_stored_and_read_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.artifacts.PIECE", 4)
    artifacts = Artifacts(tmp_path.as_uri())
    await artifacts.put("a", io.BytesIO(b"0123456789"))
    assert await read(artifacts, "a", range(10)) == [b"0123", b"4567", b"89"]
    with pytest.raises(Unavailable, match="shorter"):
        await read(artifacts, "a", range(11))
    with pytest.raises(Unavailable):
        await read(artifacts, "a", range(20, 21))


async def test_a_store_that_is_away_says_so_without_its_address(tmp_path: Path) -> None:
    (tmp_path / "a-file").touch()
    artifacts = Artifacts((tmp_path / "a-file" / "folder").as_uri())
    with pytest.raises(Unavailable) as away:
        await artifacts.put("a", b"")
    assert away.value.dependency == "artifact_store"
    assert str(tmp_path) not in str(away.value)


@pytest.mark.parametrize("given", ["", "key", "key:", ":secret"])
def test_credentials_that_are_none_are_refused_and_not_shown(given: str) -> None:
    with pytest.raises(
        SettingsError, match="WEFT_ARTIFACTS_CREDENTIALS: expected ACCESS"
    ) as caught:
        Artifacts("s3://bucket", credentials=Secret(given))
    assert "ecret" not in str(caught.value)


@pytest.mark.parametrize(
    "endpoint", ["", "s3.example.com", "ftp://host", "http://", "http://a:b@c"]
)
def test_an_endpoint_that_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(SettingsError, match="WEFT_ARTIFACTS_ENDPOINT"):
        Artifacts("s3://bucket", endpoint=endpoint)


@pytest.mark.parametrize("url", ["", "artifacts", "/folder", "file://", "ftp://host/a", "s3://"])
def test_another_address_is_refused_by_the_settings_name(url: str) -> None:
    with pytest.raises(SettingsError, match="WEFT_ARTIFACTS_URL"):
        Artifacts(url)
