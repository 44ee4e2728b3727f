import pytest

from stack.cli import show
from stack.ports import Ports


def test_a_start_ends_with_the_addresses_of_the_door_and_of_the_operators_pages(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show.welcome(Ports(1000), "a-token", grafana=False, traffic=True)
    shown = capsys.readouterr().out.split()
    assert "http://127.0.0.1:9080" in shown
    assert "http://127.0.0.1:9080/ops" in shown


@pytest.mark.parametrize("traffic", [True, False])
def test_a_start_says_whether_there_is_traffic_and_where_the_tour_begins(
    capsys: pytest.CaptureFixture[str], traffic: bool
) -> None:
    show.welcome(Ports(0), "a-token", grafana=False, traffic=traffic)
    said = capsys.readouterr().out
    assert ("WEFT_TRAFFIC=0" in said) == traffic
    assert said.splitlines()[-1].endswith(" tour")
