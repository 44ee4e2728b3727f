"""Schema files: names, numbers, checksums."""

from pathlib import Path

import pytest

from weft.postgres.errors import MigrationError
from weft.postgres.migrations import CHASSIS, Migration, migrations

SERVICES = Path(__file__).resolve().parents[2] / "services"


def test_files_are_taken_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("0010_last.sql", "0002_second.sql", "0001_first.sql"):
        (tmp_path / name).write_text(name)
    assert [one.name for one in migrations(tmp_path)] == ["first", "second", "last"]


@pytest.mark.parametrize("name", ["1_first.sql", "0001-first.sql", "first.sql", "0001_First.sql"])
def test_a_name_of_another_form_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(MigrationError, match="expected a name such as"):
        migrations(tmp_path)


def test_a_number_used_twice_is_refused(tmp_path: Path) -> None:
    for name in ("0001_one.sql", "0001_other.sql"):
        (tmp_path / name).write_text("")
    with pytest.raises(MigrationError, match="the same number"):
        migrations(tmp_path)


def test_a_changed_text_has_another_checksum() -> None:
    assert Migration(1, "a", "SELECT 1").checksum != Migration(1, "a", "SELECT 2").checksum


def test_the_chassis_numbers_its_files_without_gaps() -> None:
    numbers = [one.number for one in migrations(CHASSIS)]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("folder", sorted(SERVICES.glob("*/schema")), ids=str)
def test_each_service_numbers_its_files_without_gaps(folder: Path) -> None:
    numbers = [one.number for one in migrations(folder)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_texts_are_numbered_as_they_stand() -> None:
    found = migrations(["CREATE TABLE a ()", "CREATE TABLE b ()"])
    assert [(one.number, one.sql) for one in found] == [
        (1, "CREATE TABLE a ()"),
        (2, "CREATE TABLE b ()"),
    ]
