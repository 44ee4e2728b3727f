"""docs/telemetry.md shows the registry as it is."""

from pathlib import Path

from registry import conventions
from registry.listed import Registry, named, required
from registry.page import page

PAGE = Path("docs/telemetry.md")


def test_the_page_is_what_the_registry_says() -> None:
    made = page(Registry.load())
    assert PAGE.read_text(encoding="utf-8") == made, "run: python -m registry"


def test_whatever_a_group_refers_to_is_listed_with_its_type() -> None:
    registry = Registry.load()
    groups = [*registry.metrics.values(), *registry.events.values(), *registry.spans]
    used = {name for group in groups for name in named(group)}
    assert used - registry.attributes.keys() == set()
    assert all(required(group) for group in registry.spans), "it could not be told from others"


def test_the_conventions_that_are_listed_exist_and_are_not_deprecated() -> None:
    registry = Registry.load()
    [group] = [one for one in registry.groups if one["id"] == "registry.conventions"]
    known = conventions.attributes()
    listed = [one["id"] for one in group["attributes"]]
    assert [name for name in listed if name not in known or known[name].deprecated] == []
    assert listed == sorted(listed)
