"""Simulates, keeps the results, and writes page and picture from them."""

from collections.abc import Callable

from benchmarks.scaling import experiment, page, picture


def made(tell: Callable[[str], None]) -> None:
    """Do all of it anew, in a few minutes."""
    experiment.write(experiment.measured(tell))
    drawn()


def drawn() -> None:
    """Write page and picture from the last results."""
    results = experiment.read()
    text = page.PAGE.read_text(encoding="utf-8")
    page.PAGE.write_text(page.render(text, results), encoding="utf-8")
    picture.PICTURE.write_text(picture.drawn(results), encoding="utf-8")
