"""Grafana's dashboards and data sources, as files."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.alerts import rules
from grafana.build import DASHBOARDS, FOLDER, rendered

PROVISIONING = Path("grafana/provisioning")


def source(name: str) -> dict[str, Any]:
    [file] = (PROVISIONING / "datasources").glob("*.yaml")
    sources = yaml.safe_load(file.read_text(encoding="utf-8"))["datasources"]
    found: dict[str, Any] = next(one for one in sources if one["uid"] == name)
    return found


@cache
def board(name: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return made


def panels(name: str) -> list[dict[str, Any]]:
    return [panel for panel in board(name)["panels"] if panel["type"] != "row"]


def variables(name: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in board(name).get("templating", {}).get("list", [])}


def test_there_is_a_file_for_every_dashboard_and_no_other() -> None:
    assert {file.name for file in FOLDER.iterdir()} == set(DASHBOARDS)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboards_file_is_what_its_code_builds(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == rendered(DASHBOARDS[name]), (
        "run `python -m grafana.build`"
    )


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_query_goes_to_a_data_source_that_is_provisioned(name: str) -> None:
    asked = [target for panel in panels(name) for target in panel.get("targets", [])]
    asked += board(name)["annotations"]["list"]
    asked += [one for one in variables(name).values() if one["type"] == "query"]
    for one in asked:
        uid = one["datasource"]["uid"]
        assert source(uid)["type"] == one["datasource"]["type"]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_panel_says_what_it_shows_in_a_unit_and_has_something_to_show(name: str) -> None:
    titles = [panel["title"] for panel in panels(name)]
    assert len(titles) == len(set(titles))
    for panel in panels(name):
        assert panel["description"].endswith("."), panel["title"]
        if panel["type"] in ("timeseries", "stat", "state-timeline"):
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel.get("targets") or panel["options"]["content"], panel["title"]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_is_found_by_its_name_and_leads_to_all_others(name: str) -> None:
    made = board(name)
    assert made["uid"] == f"weft-{name.removesuffix('.json')}"
    assert made["tags"] == ["weft"]
    [others] = made["links"]
    assert (others["type"], others["tags"]) == ("dashboards", ["weft"])


@pytest.mark.parametrize("name", DASHBOARDS)
def test_changes_and_alerts_are_marked_on_every_dashboard(name: str) -> None:
    changes, alerts = board(name)["annotations"]["list"]
    assert changes["expr"] == r'{service_namespace="weft"} | event_name=~"weft\\.change\\..+"'
    assert alerts["expr"].startswith('ALERTS{alertstate="firing"')


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_variable_is_used_and_every_variable_used_is_there(name: str) -> None:
    known = variables(name)
    asked = json.dumps([panel.get("targets") for panel in panels(name)])
    asked += json.dumps([one["query"] for one in known.values()])
    used = set(re.findall(r"\$\{?(\w+)", asked))
    assert {one for one in used if not one.startswith("__")} == set(known)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_click_leads_to_a_dashboard_with_variables_that_it_has(name: str) -> None:
    for panel in panels(name):
        text = json.dumps([panel, panel.get("options")])
        for address in re.findall(r"/d/[^\"\\)\s]+", text):
            leads(address, panel)


def leads(address: str, panel: dict[str, Any]) -> None:
    uid, _, chosen = address.removeprefix("/d/").partition("?")
    if uid.startswith("${"):  # out of the alert's annotation, which tests/unit/test_rules.py holds
        return
    name = f"{uid.removeprefix('weft-')}.json"
    assert name in DASHBOARDS, address
    for part in chosen.replace("${__url_time_range}", "").split("&"):
        key, _, value = part.partition("=")
        if key.startswith("var-"):
            assert key.removeprefix("var-") in variables(name), address
        elif key == "viewPanel" and value.isdigit():
            assert int(value) in {one["id"] for one in panels(name)}, address
    for label in re.findall(r"__field\.labels\.(\w+)", chosen):
        for target in panel["targets"]:
            assert re.search(rf"by \([^)]*\b{label}\b", target["expr"]), (address, panel["title"])


def test_every_alert_leads_to_its_dashboard_and_to_its_runbook() -> None:
    [firing] = [panel for panel in panels("alerts.json") if panel["title"] == "Firing alerts"]
    expr = firing["targets"][0]["expr"]
    found: dict[str, dict[str, str]] = {}
    for label, value, names in re.findall(r'"(\w+)", "([^"]+)", "alertname", "([^"]+)"', expr):
        for name in names.split("|"):
            found.setdefault(name, {})[label] = value
    pages = {panel["id"]: panel for panel in panels("runbooks.json")}
    assert set(found) == set(rules())
    for name, ways in found.items():
        told = rules()[name]["annotations"]
        assert told["dashboard"].partition("?")[0] == f"/d/{ways['dashboard']}"
        assert pages[int(ways["runbook"])]["title"] == name
        assert (Path("docs/runbooks") / f"{name}.md").name == Path(told["runbook"]).name


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
            if match := re.match(r"\s*(?:url|path|password): (.*)", line):
                value = r"\$\{WEFT_\w+\}|(/d/weft-\w+\?var-\w+=)?\$\$\{__value\.raw\}"
                assert re.fullmatch(value, match[1]), line


def test_metrics_lead_to_traces_and_traces_to_metrics() -> None:
    [exemplar] = source("prometheus")["jsonData"]["exemplarTraceIdDestinations"]
    assert (exemplar["name"], exemplar["datasourceUid"]) == ("trace_id", "jaeger")
    back = source("jaeger")["jsonData"]["tracesToMetrics"]
    assert back["datasourceUid"] == "prometheus"
    assert all("$$__tags" in one["query"] for one in back["queries"])


def test_lines_lead_to_traces_orders_and_metrics_and_traces_to_lines() -> None:
    assert source("jaeger")["jsonData"]["tracesToLogsV2"]["datasourceUid"] == "loki"
    fields = {one["name"]: one for one in source("loki")["jsonData"]["derivedFields"]}
    assert {one["matcherType"] for one in fields.values()} == {"label"}
    assert fields["Trace"]["datasourceUid"] == "jaeger"
    for name in ("Order", "Metrics"):
        uid, variable = re.fullmatch(  # type: ignore[union-attr]
            r"/d/weft-(\w+)\?var-(\w+)=.*", fields[name]["url"]
        ).groups()
        assert variable in variables(f"{uid}.json")


def test_every_correlation_leads_to_a_data_source_and_fills_in_what_it_found() -> None:
    for uid in ("jaeger", "orders"):
        for one in source(uid)["correlations"]:
            assert source(one["targetUID"])
            known = {one["config"]["field"]}
            known |= {each["mapValue"] for each in one["config"].get("transformations", [])}
            used = set(re.findall(r"\$\$\{(\w+)\}", json.dumps(one["config"]["target"])))
            assert used, one["label"]
            assert used <= known, one["label"]


def test_an_orders_id_is_found_in_the_tags_of_a_span() -> None:
    [found] = [one for one in source("jaeger")["correlations"] if one["targetUID"] == "orders"]
    [how] = found["config"]["transformations"]
    order = "019a0d4b-5f10-7c4e-8a3e-0a8f5a3c9b11"
    tags = [
        {"key": "weft.message.type", "type": "string", "value": "ReserveStock"},
        {"key": "weft.order.id", "type": "string", "value": order},
    ]
    text = json.dumps(tags, separators=(",", ":"))
    assert re.findall(how["expression"], text) == [order]
    assert not re.findall(how["expression"], json.dumps(tags[:1]))


def test_the_page_says_what_every_dashboard_answers_and_what_every_view_holds() -> None:
    page = Path("docs/grafana.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| (\w+) \| [^|]*\?", page, re.MULTILINE))
    assert told == {name.removesuffix(".json") for name in DASHBOARDS}
    schema = "".join(file.read_text() for file in Path("services/orders/schema").glob("*.sql"))
    views = set(re.findall(r"^CREATE VIEW (read_v1\.\w+)", schema, re.MULTILINE))
    assert set(re.findall(r"^\| `(read_v1\.\w+)`", page, re.MULTILINE)) == views
