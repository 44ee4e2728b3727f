"""The arrows of ARCHITECTURE.md: who may import whom, and that nobody goes in circles."""

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("weft", "services", "stack")


def _modules() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = path
    return found


MODULES = _modules()


def _imports(name: str) -> Iterator[str]:
    """Modules of ours that `name` imports when it is imported itself."""
    tree = ast.parse(MODULES[name].read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    late = {id(n) for f in ast.walk(tree) if isinstance(f, functions) for n in ast.walk(f)}
    for node in ast.walk(tree):
        if id(node) in late:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in MODULES:
                    yield inner
                elif node.module in MODULES:
                    yield node.module


def _room(name: str) -> str:
    parts = name.split(".")
    return ".".join(parts[:2])


def test_no_module_imports_itself_by_a_circle() -> None:
    graph = {name: set(_imports(name)) - {name} for name in MODULES}
    # A package's __init__ collects its modules' names; modules import each other directly.
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert set(order) >= set(MODULES)


@pytest.mark.parametrize(
    ("importer", "forbidden"),
    [
        ("weft", "services"),
        ("weft", "stack"),
        ("services", "stack"),
        ("stack", "services"),
        ("weft.telemetry", "weft.http"),
        ("weft.telemetry", "weft.messaging"),
        ("weft.telemetry", "weft.postgres"),
        ("weft.telemetry", "weft.flags"),
        ("weft.flags", "weft.http"),
        ("weft.flags", "weft.messaging"),
        ("weft.http", "weft.messaging"),
        ("weft.http", "weft.postgres"),
        ("weft.http", "weft.health"),
        ("weft.messaging", "weft.http"),
        ("weft.messaging", "weft.postgres"),
        ("weft.postgres", "weft.http"),
        ("weft.backends", "weft.http"),
        ("weft.backends", "weft.telemetry"),
    ],
)
def test_an_arrow_runs_one_way(importer: str, forbidden: str) -> None:
    wrong = [
        f"{name} imports {imported}"
        for name in MODULES
        if name == importer or name.startswith(importer + ".")
        for imported in _imports(name)
        if imported == forbidden or imported.startswith(forbidden + ".")
    ]
    assert wrong == []


def test_nothing_in_the_chassis_imports_the_service_that_sits_on_top() -> None:
    wrong = [
        name
        for name in MODULES
        if name.startswith("weft.") and name != "weft.service" and "weft.service" in _imports(name)
    ]
    assert wrong == []


def test_a_service_imports_no_other_service() -> None:
    wrong = [
        f"{name} imports {imported}"
        for name in MODULES
        if name.startswith("services.")
        for imported in _imports(name)
        if imported.startswith("services.") and _room(imported) != _room(name)
    ]
    assert wrong == []
