"""Writes the dashboards: `python -m grafana.build`."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.overview import overview

FOLDER: Final = Path(__file__).with_name("dashboards")
DASHBOARDS: Final[dict[str, Callable[[], Dashboard]]] = {"overview.json": overview}


def rendered(make: Callable[[], Dashboard]) -> str:
    """Return the JSON of a dashboard, as it lies in its file."""
    return JSONEncoder(indent=2, sort_keys=True).encode(make().build()) + "\n"


def main() -> None:
    """Write every dashboard to its file."""
    for name, make in DASHBOARDS.items():
        (FOLDER / name).write_text(rendered(make), encoding="utf-8")


if __name__ == "__main__":
    main()
