"""What this process takes of its machine (semantic conventions, process metrics)."""

import gc

import psutil

from weft.telemetry.metrics import Readings, observed_counter, observed_up_down_counter


def observe_process() -> None:
    """Report CPU time, resident memory, threads and garbage collections at each export."""
    process = psutil.Process()

    def cpu() -> Readings:
        times = process.cpu_times()
        return {(("cpu.mode", "user"),): times.user, (("cpu.mode", "system"),): times.system}

    observed_counter("process.cpu.time", "s", "CPU time by mode.", cpu)
    observed_up_down_counter(
        "process.memory.usage", "By", "Resident memory.", lambda: process.memory_info().rss
    )
    observed_up_down_counter("process.thread.count", "{thread}", "Threads.", process.num_threads)
    observed_counter("cpython.gc.collections", "{collection}", "Garbage collections.", _collections)


def _collections() -> Readings:
    return {
        (("cpython.gc.generation", number),): generation["collections"]
        for number, generation in enumerate(gc.get_stats())
    }
