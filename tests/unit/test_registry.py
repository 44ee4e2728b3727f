"""Every name of ours that reaches the telemetry is listed, with type, unit and meaning."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"weft\.[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
NOT_TELEMETRY = re.compile(
    r"weft\.(events|commands|unrouted)(\..*)?"  # exchanges and queues
    r"|weft\.(telemetry|http|messaging|postgres|service|health)(\..*)?"  # modules and loggers
    r"|weft\.(errors|settings)"  # modules
    r"|weft\.(starts|log_shipper)"  # a call of the supervisor, a scope of foreign records
    r"|weft\.(edge|call)"  # keys of contexts
)
WITHOUT_BOUNDS = 3
INSTRUMENTS = {
    "counter": "counter",
    "up_down_counter": "updowncounter",
    "histogram": "histogram",
    "gauge": "gauge",
}


def _registry() -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = yaml.safe_load((ROOT / "registry/weft.yaml").read_text())[
        "groups"
    ]
    return groups


def _metrics() -> dict[str, dict[str, Any]]:
    return {g["metric_name"]: g for g in _registry() if g["type"] == "metric"}


def _events() -> list[str]:
    return [g["name"] for g in _registry() if g["type"] == "event"]


def _attributes() -> dict[str, dict[str, Any]]:
    foreign = "registry.conventions"
    groups = [g for g in _registry() if g["type"] == "attribute_group" and g["id"] != foreign]
    return {a["id"]: a for g in groups for a in g["attributes"] if "id" in a}


def _sources() -> list[Path]:
    return [p for top in ("weft", "services", "stack") for p in sorted((ROOT / top).rglob("*.py"))]


def _strings(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def _made() -> dict[str, tuple[str, str]]:
    """Name to (instrument, unit) of every instrument of ours that the code makes."""
    made = {}
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or len(node.args) < 2:
                continue
            function = (
                node.func.attr
                if isinstance(node.func, ast.Attribute)
                else getattr(node.func, "id", "")
            )
            name, unit = (a.value if isinstance(a, ast.Constant) else None for a in node.args[:2])
            if function in INSTRUMENTS and isinstance(name, str) and name.startswith("weft."):
                made[name] = (INSTRUMENTS[function], str(unit))
            if function == "Instrument" and isinstance(name, str) and name.startswith("weft."):
                kind = "histogram" if len(node.args) > WITHOUT_BOUNDS else "counter"
                made[name] = (kind, str(unit))
    return made


def test_every_name_of_ours_in_the_code_is_listed() -> None:
    listed = {*_metrics(), *_attributes(), *_events()}
    unknown = {
        f"{path.relative_to(ROOT)}: {text}"
        for path in _sources()
        for text in _strings(path)
        if NAME.fullmatch(text) and not NOT_TELEMETRY.fullmatch(text) and text not in listed
    }
    assert unknown == set()


def test_every_listed_name_is_in_the_code() -> None:
    used = {text for path in _sources() for text in _strings(path)}
    assert {name for name in (*_metrics(), *_attributes(), *_events()) if name not in used} == set()


def test_every_instrument_has_the_kind_and_unit_that_are_listed() -> None:
    listed = {n: (g["instrument"], g["unit"]) for n, g in _metrics().items()}
    assert _made() == {name: listed.get(name) for name in _made()}


@pytest.mark.parametrize("group", _registry(), ids=lambda g: g["id"])
def test_every_entry_says_what_it_means(group: dict[str, Any]) -> None:
    assert group["brief"].strip()
    for attribute in group.get("attributes", []):
        if "id" in attribute:
            assert attribute["type"]
            assert attribute["brief"].strip()
            assert attribute["stability"]
        else:
            assert attribute["ref"]


def test_metrics_and_events_are_sorted_so_that_two_people_do_not_add_the_same() -> None:
    assert list(_metrics()) == sorted(_metrics())
    assert _events() == sorted(_events())
