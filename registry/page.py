"""docs/telemetry.md, made from the registry."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from registry.listed import Group, Registry, named, required

INTRODUCTION = """\
# Telemetry: every span, metric, event and attribute

Made from registry/weft.yaml by `python -m registry`; change it there. Spans, metrics and log
records follow OpenTelemetry's semantic conventions, stable for HTTP and databases, current for
messaging; what Weft adds begins with `weft.`. In Prometheus dots are underscores, a unit is part of
the name, and a counter ends with `_total`; in Loki dots are underscores.

`tests/end_to_end/test_telemetry_received.py` holds what the collector received in a run of the
tests against this page. It fails on a name that is not here, a required attribute that is missing,
a wrong unit, instrument or type, a deprecated convention, and on names of spans and attributes of
metrics that take too many values.
"""


def page(registry: Registry) -> str:
    """Return the page."""
    parts = _metrics(registry), _spans(registry), _events(registry), _attributes(registry)
    return "\n".join([INTRODUCTION, *chain(*parts)]) + "\n"


def _metrics(registry: Registry) -> Iterator[str]:
    yield "## Metrics\n"
    yield "| metric | instrument | unit | attributes | meaning |"
    yield "| --- | --- | --- | --- | --- |"
    for name, group in sorted(registry.metrics.items()):
        unit = f"`{group['unit']}`" if group["unit"] else "(ratio)"
        yield _row(f"`{name}`", group["instrument"], unit, _names(group), _brief(group))


def _spans(registry: Registry) -> Iterator[str]:
    yield "\n## Spans\n"
    yield "Attributes in bold are on every one of them.\n"
    yield "| kind | attributes | meaning |"
    yield "| --- | --- | --- |"
    for group in registry.spans:
        yield _row(group["span_kind"], _names(group), _brief(group))


def _events(registry: Registry) -> Iterator[str]:
    yield "\n## Events\n"
    yield "Log records with an event name, in Loki the fact `event_name`.\n"
    yield "| event | attributes | meaning |"
    yield "| --- | --- | --- |"
    for name, group in sorted(registry.events.items()):
        yield _row(f"`{name}`", _names(group), _brief(group))


def _attributes(registry: Registry) -> Iterator[str]:
    for group in registry.of("attribute_group"):
        yield f"\n## {group['display_name']}\n"
        yield "| attribute | type | meaning | example |"
        yield "| --- | --- | --- | --- |"
        for one in sorted(group["attributes"], key=lambda one: str(one["id"])):
            examples = one.get("examples") or [""]
            example = f"`{_plain(examples[0])}`" if examples[0] != "" else ""
            yield _row(f"`{one['id']}`", one["type"], _brief(one), example)


def _names(group: Group) -> str:
    must = set(required(group))
    return ", ".join(f"**`{name}`**" if name in must else f"`{name}`" for name in named(group))


def _brief(group: Group) -> str:
    return " ".join(str(group["brief"]).split()).removesuffix(".")


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _row(*cells: str) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"
