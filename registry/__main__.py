"""`python -m registry` writes docs/telemetry.md, `older` the collector's list of older names.

`python -m registry check FOLDER` checks what was received.
"""

import sys
from pathlib import Path

from registry import older
from registry.check import checked
from registry.listed import Registry
from registry.page import page

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "telemetry.md"
TODAY = ROOT / "otel-collector" / "today.yaml"


def main(arguments: list[str]) -> int:
    """Return the exit code: 1 if something received is not as it should be, 2 for wrong usage."""
    match arguments:
        case []:
            PAGE.write_text(page(Registry.load()), encoding="utf-8")
            return 0
        case ["older"]:
            TODAY.write_text(older.config(), encoding="utf-8")
            return 0
        case ["check", folder]:
            findings, seen = checked(Path(folder))
            for finding in findings:
                sys.stdout.write(f"{finding}\n")
            counted = f"{seen.spans} spans, {seen.points} points, {seen.records} log records"
            sys.stdout.write(
                f"{len(findings)} findings in {counted} of {len(seen.services)} services\n"
            )
            return 1 if findings else 0
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
