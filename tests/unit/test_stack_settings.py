"""Where a system is, and what it says about a place that cannot be."""

from pathlib import Path

import pytest

from stack.home import Home, write
from stack.settings import load, traffic
from weft.settings import SettingsError


@pytest.mark.parametrize("base", ["-1", "15001", "1.5", "", "ten"])
def test_a_port_base_out_of_bounds_is_refused_by_name(base: str) -> None:
    with pytest.raises(SettingsError, match="WEFT_PORT_BASE"):
        load({"WEFT_PORT_BASE": base, "WEFT_HOME": "/srv/w"})


@pytest.mark.parametrize("said", ["maybe", "", "yes", "2"])
def test_traffic_is_a_boolean_and_nothing_else(said: str) -> None:
    with pytest.raises(SettingsError, match=r"WEFT_TRAFFIC.*expected true, false, 1 or 0"):
        load({"WEFT_TRAFFIC": said})
    assert [traffic({"WEFT_TRAFFIC": good}) for good in ("1", "true", "0", "false")] == [
        True,
        True,
        False,
        False,
    ]
    assert traffic({})


@pytest.mark.parametrize("path", ["/srv/a b", "/srv/x'y", "/", "/srv/ü", "/srv/a;b", "/srv/a,b"])
def test_a_home_that_other_programs_would_misread_is_refused(path: str) -> None:
    with pytest.raises(SettingsError, match="WEFT_HOME"):
        load({"WEFT_HOME": path})


def test_a_relative_home_counts_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load({"WEFT_HOME": "here"}) == (tmp_path / "here", 0)


def test_a_system_that_was_moved_stays_there_until_it_is_told_otherwise(tmp_path: Path) -> None:
    write(tmp_path / "config" / "port-base", "5000")
    environ = {"WEFT_HOME": str(tmp_path)}
    assert load(environ)[1] == 5000
    assert load(environ | {"WEFT_PORT_BASE": "0"})[1] == 0


def test_without_settings_root_gets_a_home_that_postgresqls_user_can_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert load({})[0] == Path("/var/lib/weft")


def test_without_settings_a_user_gets_the_xdg_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert load({"XDG_DATA_HOME": "/home/a/data"})[0] == Path("/home/a/data/weft")


def test_a_folder_with_something_else_in_it_is_never_taken_for_a_home(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    home = Home(tmp_path)
    with pytest.raises(SettingsError, match="neither empty"):
        home.check()
    home.empty()
    assert (tmp_path / "thesis.txt").exists()


def test_a_home_keeps_others_out_but_lets_them_pass_to_their_data(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    modes = {path.name: path.stat().st_mode & 0o777 for path in home.path.iterdir()}
    assert home.path.stat().st_mode & 0o777 == 0o711
    assert modes["data"] == 0o711
    assert {modes[name] for name in ("secrets", "config", "logs", "run")} == {0o700}


def test_emptying_a_home_leaves_only_the_empty_folder(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    write(home.secrets / "one", "x")
    home.empty()
    assert list(home.path.iterdir()) == []
    assert not home.exists()


def test_the_socket_moves_to_a_short_folder_when_the_home_is_deep() -> None:
    usual, deep = Home(Path("/var/lib/weft")), Home(Path("/srv") / ("x" * 120))
    assert usual.socket == Path("/var/lib/weft/run/supervisor.sock")
    assert len(str(deep.socket)) < 100
    assert deep.socket != Home(Path("/srv") / ("y" * 120)).socket


def test_a_written_file_is_only_for_its_owner_and_tells_whether_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "secret"
    assert write(path, "one")
    assert not write(path, "one")
    assert write(path, "two")
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["secret"]
