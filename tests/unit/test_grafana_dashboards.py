"""Grafana's dashboards and data sources, as files."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.build import DASHBOARDS, FOLDER, rendered

PROVISIONING = Path("grafana/provisioning")


def source(name: str) -> dict[str, Any]:
    [file] = (PROVISIONING / "datasources").glob("*.yaml")
    sources = yaml.safe_load(file.read_text(encoding="utf-8"))["datasources"]
    found: dict[str, Any] = next(one for one in sources if one["uid"] == name)
    return found


def panels(name: str) -> list[dict[str, Any]]:
    every = json.loads((FOLDER / name).read_text(encoding="utf-8"))["panels"]
    return [panel for panel in every if panel["type"] != "row"]


def test_there_is_a_file_for_every_dashboard_and_no_other() -> None:
    assert {file.name for file in FOLDER.iterdir()} == set(DASHBOARDS)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboards_file_is_what_its_code_builds(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == rendered(DASHBOARDS[name]), (
        "run `python -m grafana.build`"
    )


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_query_goes_to_a_data_source_that_is_provisioned(name: str) -> None:
    for panel in panels(name):
        for target in panel["targets"]:
            uid = target["datasource"]["uid"]
            assert source(uid)["type"] == target["datasource"]["type"], panel["title"]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_panel_has_a_title_of_its_own_and_says_what_it_shows(name: str) -> None:
    titles = [panel["title"] for panel in panels(name)]
    assert len(titles) == len(set(titles))
    for panel in panels(name):
        assert panel["description"].endswith("."), panel["title"]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_no_two_panels_lie_on_one_another(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels(name):
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells


def test_addresses_stand_in_no_file() -> None:
    for file in PROVISIONING.rglob("*.yaml"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"https?://|localhost|127\.0\.0\.1|/etc/|/var/", text), file
        for line in text.splitlines():
            if match := re.match(r"\s*(?:url|path): (.*)", line):
                assert re.fullmatch(r"\$\{WEFT_\w+\}|\$\$\{__value\.raw\}", match[1]), line


def test_metrics_lead_to_traces_traces_to_lines_and_lines_to_traces() -> None:
    [exemplar] = source("prometheus")["jsonData"]["exemplarTraceIdDestinations"]
    assert (exemplar["name"], exemplar["datasourceUid"]) == ("trace_id", "jaeger")
    assert source("jaeger")["jsonData"]["tracesToLogsV2"]["datasourceUid"] == "loki"
    [derived] = source("loki")["jsonData"]["derivedFields"]
    assert (derived["matcherType"], derived["matcherRegex"]) == ("label", "trace_id")
    assert derived["datasourceUid"] == "jaeger"
