"""Rounds: every variant once, again and again, so that a noisy minute falls on all of them."""

import asyncio
import shutil
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

from benchmarks.bench import packages
from benchmarks.bench.bench import QUIET, Bench, Variant
from benchmarks.bench.processes import subject
from benchmarks.bench.rows import Samples
from benchmarks.bench.servers import Servers
from benchmarks.bench.subject import Place

_MICRO = 1e6


async def measure(
    bench: Bench, servers: Servers, *, rounds: int, tell: Callable[[str], None]
) -> Samples:
    """Return the figures of every variant that can run here; `tell` hears of the progress."""
    samples = Samples(bench)
    variants = [one for one in bench.variants if not one.program or shutil.which(one.program)]
    for absent in (one for one in bench.variants if one not in variants):
        tell(f"{bench.name} {absent.name}: left out, no {absent.program} on the PATH")
    for number in range(1, rounds + 1):
        for variant in variants:
            figures = await _measured(bench, variant, servers)
            samples.add(variant.name, figures)
            shown = " ".join(f"{name}={value:.4g}" for name, value in figures.items())
            tell(f"{bench.name} {number}/{rounds} {variant.name}: {shown}")
    return samples


async def _measured(bench: Bench, variant: Variant, servers: Servers) -> dict[str, float]:
    python = packages.python(variant.packages)
    ours = packages.python("")
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        environment, address = dict(variant.environment), ""
        if variant.telemetry:
            sink = await enter(subject("benchmarks.bench.sink:sink", Place(), {}, ours))
            address = sink.address
            # The console's line is no signal: no other variant writes one.
            environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "WEFT_CONSOLE": "off"}
        else:
            environment = {**QUIET, **environment}
        place = await enter(servers.place(address))
        if bench.far:
            far = await enter(subject(bench.far, place, {**QUIET, **variant.environment}, ours))
            place = replace(place, address=far.address)
        tested = await enter(subject(variant.subject, place, environment, python))
        counting = tested
        if bench.driver:
            driven = replace(place, address=tested.address)
            counting = await enter(subject(bench.driver, driven, QUIET, ours))
        await asyncio.sleep(bench.warm)
        for one in {tested, counting}:
            await one.begin()
        await asyncio.sleep(bench.seconds)
        counted = await counting.end()
        used = counted if counting is tested else await tested.end()
        await counting.finish()
        return _figures(counted, used)


def _figures(counted: dict[str, Any], used: dict[str, Any]) -> dict[str, float]:
    figures: dict[str, float] = {"per_second": counted["rate"]}
    if counted["rate"]:
        figures["cpu_us_per_unit"] = used["cores"] / counted["rate"] * _MICRO
    for metric in ("p50_ms", "p99_ms"):
        if counted[metric] is not None:
            figures[metric] = counted[metric]
    figures.update(used["figures"])
    figures.update(counted["figures"])
    return figures
