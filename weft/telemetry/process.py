"""What this process takes of its machine (semantic conventions, process metrics)."""

import gc

import psutil
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation


def observe_process() -> None:
    """Report CPU time, resident memory, threads and garbage collections at each export."""
    process = psutil.Process()

    def cpu(_: CallbackOptions) -> list[Observation]:
        times = process.cpu_times()
        return [
            Observation(times.user, {"cpu.mode": "user"}),
            Observation(times.system, {"cpu.mode": "system"}),
        ]

    def memory(_: CallbackOptions) -> list[Observation]:
        return [Observation(process.memory_info().rss)]

    def threads(_: CallbackOptions) -> list[Observation]:
        return [Observation(process.num_threads())]

    def collections(_: CallbackOptions) -> list[Observation]:
        return [
            Observation(generation["collections"], {"cpython.gc.generation": number})
            for number, generation in enumerate(gc.get_stats())
        ]

    meter = metrics.get_meter("weft")
    meter.create_observable_counter("process.cpu.time", [cpu], "s", "CPU time by mode.")
    meter.create_observable_up_down_counter(
        "process.memory.usage", [memory], "By", "Resident memory."
    )
    meter.create_observable_up_down_counter(
        "process.thread.count", [threads], "{thread}", "Threads."
    )
    meter.create_observable_counter(
        "cpython.gc.collections", [collections], "{collection}", "Garbage collections."
    )
