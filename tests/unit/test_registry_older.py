"""otel-collector/today.yaml brings names to those that OpenTelemetry says are today's."""

from pathlib import Path

import pytest

from registry import conventions, older

FILE = Path("otel-collector/today.yaml")
BEFORE_THE_PACKAGE = {name for name in older.METRICS if name.startswith("http.")}
"""Metrics that its migration guide for HTTP names, and its package no longer has."""


def test_the_collectors_file_is_what_the_list_says() -> None:
    assert FILE.read_text(encoding="utf-8") == older.config(), "run: python -m registry older"


@pytest.mark.parametrize(
    ("old", "new"), [*older.ATTRIBUTES.items(), *older.RESOURCE.items()], ids=lambda name: name
)
def test_an_older_attribute_is_deprecated_in_favour_of_todays(old: str, new: str) -> None:
    known = conventions.attributes()
    assert known[old].deprecated
    assert new in known[old].instead
    assert not known[new].deprecated


@pytest.mark.parametrize(
    "old", sorted(older.METRICS.keys() - BEFORE_THE_PACKAGE), ids=lambda name: name
)
def test_an_older_metric_is_deprecated_in_favour_of_todays(old: str) -> None:
    known = conventions.metrics()
    assert known[old].deprecated
    assert older.METRICS[old] in known[old].instead


def test_todays_metrics_are_known_and_not_deprecated() -> None:
    known = conventions.metrics()
    assert [new for new in older.METRICS.values() if known[new].deprecated] == []
