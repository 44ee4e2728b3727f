import pytest

from stack.cli import show
from stack.ports import Ports


def test_a_start_ends_with_the_addresses_of_the_door_and_of_the_operators_pages(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show.welcome(Ports(1000), "a-token", grafana=False)
    shown = capsys.readouterr().out.split()
    assert "http://127.0.0.1:9080" in shown
    assert "http://127.0.0.1:9080/ops" in shown
