"""The Runbooks dashboard: docs/runbooks, page by page, so that an alert leads to its own."""

import re
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.kit.board import board, uid
from grafana.kit.panels import AnyPanel, words

PAGES: Final = Path(__file__).parents[1] / "docs" / "runbooks"
_LINK: Final = re.compile(r"\]\((\w+)\.md\)")


def runbooks() -> Dashboard:
    """Return the dashboard, not yet built."""
    return board(
        "runbooks",
        "runbooks",
        "For each alert: what it means, how to look, and what to do.",
        {"Runbooks": [_page(name, number) for name, number in numbers().items()]},
    )


def numbers() -> dict[str, int]:
    """Return the panel that an alert's page is in, by the alert's name."""
    names = sorted(page.stem for page in PAGES.glob("*.md"))
    return {name: 1000 + number for number, name in enumerate(names)}


def address(number: int | str) -> str:
    """Return where the page in a panel is to be read by itself."""
    return f"/d/{uid('runbooks')}?viewPanel={number}"


def _page(name: str, number: int) -> AnyPanel:
    known = numbers()
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8").partition("\n")[2].strip()
    content = _LINK.sub(lambda link: f"]({address(known[link[1]])})", text)
    return words(name, content, width=12, height=12, about="What to do when it fires.").id(number)
