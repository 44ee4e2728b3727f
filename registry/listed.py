"""What registry/weft.yaml lists, by name."""

from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import yaml

FILE: Final = Path(__file__).with_name("weft.yaml")
Group = dict[str, Any]


class Registry(msgspec.Struct, frozen=True, dict=True):
    """The groups, as Weaver's schema has them."""

    groups: list[Group]

    @classmethod
    def load(cls, path: Path = FILE) -> Self:
        """Read the file."""
        return cls(yaml.safe_load(path.read_text(encoding="utf-8"))["groups"])

    @cached_property
    def attributes(self) -> dict[str, Group]:
        """Attributes by id."""
        made = (one for group in self.of("attribute_group") for one in group["attributes"])
        return {one["id"]: one for one in made if "id" in one}

    @cached_property
    def metrics(self) -> dict[str, Group]:
        """Metrics by name."""
        return {group["metric_name"]: group for group in self.of("metric")}

    @cached_property
    def events(self) -> dict[str, Group]:
        """Events by name."""
        return {group["name"]: group for group in self.of("event")}

    @property
    def spans(self) -> list[Group]:
        """Kinds of spans, the ones that are told apart first first."""
        return self.of("span")

    def of(self, kind: str) -> list[Group]:
        """Return the groups of a type."""
        return [group for group in self.groups if group["type"] == kind]


def required(group: Group) -> list[str]:
    """Return the attributes that whatever the group describes must have."""
    return [
        each["ref"]
        for each in group.get("attributes", [])
        if each.get("requirement_level") == "required"
    ]


def named(group: Group) -> list[str]:
    """Return all attributes of a group."""
    return [each.get("ref") or each["id"] for each in group.get("attributes", [])]
