"""`python -m benchmarks.bench [OPTIONS]`, by `make bench`: see README.md in this folder."""

import argparse
import asyncio
import importlib
import sys
from dataclasses import replace
from typing import Final

from benchmarks.bench import machine, page, picture, rows
from benchmarks.bench.bench import Bench
from benchmarks.bench.measuring import measure
from benchmarks.bench.processes import SubjectError
from benchmarks.bench.servers import Servers, ServersError, running
from benchmarks.scaling import making as scaling

NAMES: Final = (
    *("http", "client", "publish", "consume", "channel", "sql", "burst", "waiting", "etl"),
    *("orders", "replicas", "growth", "scaling"),
)
"""Each a module of this folder with its BENCH; scaling is simulated, and has a page of its own."""


def main() -> None:
    """Run the benches that the command line asks for, one after the other."""
    options = _options()
    try:
        for name in options.only:
            if name == "scaling":
                scaling.made(_tell)
                continue
            bench = _bench(name, options)
            with running(bench.needs) as servers:
                asyncio.run(
                    _run(bench, servers, page_wanted=not (options.no_page or options.variants))
                )
    except (ServersError, SubjectError) as error:
        sys.exit(f"bench: {error}")


async def _run(bench: Bench, servers: Servers, *, page_wanted: bool) -> None:
    samples = await measure(bench, servers, rounds=bench.rounds, tell=_tell)
    found = samples.rows()
    rows.write(found)
    cells, judged = page.table(bench, found), page.goals(samples)
    _tell("\n".join(["", page.text(cells), *judged, ""]))
    if page_wanted:
        described = machine.described(await servers.versions())
        drawn = picture.put(bench, found)
        page.put(bench.name, page.section(bench, cells, judged, described, drawn))


def _bench(name: str, options: argparse.Namespace) -> Bench:
    bench: Bench = importlib.import_module(f"benchmarks.bench.{name}").BENCH
    wanted = options.variants or [one.name for one in bench.variants]
    return replace(
        bench,
        variants=tuple(one for one in bench.variants if one.name in wanted),
        rounds=options.rounds or bench.rounds,
        seconds=options.seconds or bench.seconds,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Measured comparisons.")
    names = ", ".join(NAMES)
    parser.add_argument("--only", type=_names, default=NAMES, help=f"of {names}, with commas")
    parser.add_argument("--variants", type=_words, help="with commas; all by default")
    parser.add_argument("--rounds", type=int, help="how often each variant is measured")
    parser.add_argument("--seconds", type=float, help="for how long each time")
    parser.add_argument("--no-page", action="store_true", help=f"leave {page.PAGE} as it is")
    return parser.parse_args()


def _words(text: str) -> list[str]:
    return [word for word in text.replace(",", " ").split() if word]


def _names(text: str) -> list[str]:
    words = _words(text)
    for word in words:
        if word not in NAMES:
            raise argparse.ArgumentTypeError(f"{word!r}: expected some of {', '.join(NAMES)}")
    return words


def _tell(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - this is a command


if __name__ == "__main__":
    main()
