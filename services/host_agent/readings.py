"""What the kernel tells of its machine, under the names of the semantic conventions for systems.

Each function reads one thing anew, in the exporter's thread; what this kernel does not tell is left
out. Network interfaces and disks are bounded in number, since a machine with containers may have
thousands.
"""

import time
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import islice
from typing import Any, Final

import psutil

from weft.telemetry import Readings, gauge, observed_counter, observed_up_down_counter

MOST_DEVICES: Final = 32
"""Disks, file systems and network interfaces that are told of, of each the first by name."""
_MODES: Final = ("user", "system", "idle", "iowait", "nice", "irq", "softirq", "steal")
_KERNELS_MODES: Final = {"irq": "interrupt"}
_MEMORY: Final = ("used", "free", "buffers", "cached")
_UNSEEN: Final = ("loop", "ram")
"""Block devices that are files or memory."""

Attribute = tuple[str, str | int]


def register() -> None:
    """Tell of this machine at every export from now on."""
    counter = partial(observed_counter, since=psutil.boot_time())
    counter("system.cpu.time", "s", "Seconds of each CPU, by mode.", cpu_time)
    gauge("system.cpu.utilization", "1", "Share of each CPU's time, by mode.", Utilization())
    observed_up_down_counter(
        "system.cpu.logical.count", "{cpu}", "Logical CPUs.", lambda: psutil.cpu_count() or 0
    )
    observed_up_down_counter("system.memory.usage", "By", "Memory, by state.", memory)
    observed_up_down_counter(
        "system.memory.limit", "By", "Memory in all.", lambda: psutil.virtual_memory().total
    )
    observed_up_down_counter(
        "system.memory.linux.available",
        "By",
        "Memory that programs can have without swapping.",
        lambda: psutil.virtual_memory().available,
    )
    gauge("system.memory.utilization", "1", "Share of memory, by state.", memory_shares)
    observed_up_down_counter("system.paging.usage", "By", "Swap space, by state.", swap)
    counter("system.disk.io", "By", "Bytes read and written.", disk_bytes)
    counter("system.disk.operations", "{operation}", "Reads and writes.", disk_operations)
    observed_up_down_counter("system.filesystem.usage", "By", "Space, by state.", filesystems)
    gauge("system.filesystem.utilization", "1", "Share of the space used.", filesystem_shares)
    counter("system.network.io", "By", "Bytes received and sent.", network_bytes)
    counter("system.network.errors", "{error}", "Packets with errors.", network_errors)
    counter("system.network.packet.dropped", "{packet}", "Packets dropped.", network_drops)
    gauge("system.uptime", "s", "Time since the machine's start.", uptime)


def cpu_time() -> Readings:
    """Seconds that each logical CPU has spent in each mode."""
    return {
        (("cpu.logical_number", number), ("cpu.mode", _KERNELS_MODES.get(mode, mode))): told
        for number, times in enumerate(psutil.cpu_times(percpu=True))
        for mode in _MODES
        if (told := getattr(times, mode, None)) is not None
    }


class Utilization:
    """What share of its time each logical CPU spent in each mode since the call before."""

    def __init__(self) -> None:
        self._before = cpu_time()

    def __call__(self) -> Readings:
        now, before = cpu_time(), self._before
        self._before = now
        spent = {key: max(0.0, value - before.get(key, value)) for key, value in now.items()}
        of_cpu: dict[Attribute, float] = {}
        for (cpu, _), seconds in spent.items():
            of_cpu[cpu] = of_cpu.get(cpu, 0.0) + seconds
        return {key: value / of_cpu[key[0]] for key, value in spent.items() if of_cpu[key[0]]}


def memory() -> Readings:
    """Bytes of memory in each state."""
    return _states("system.memory.state", psutil.virtual_memory(), _MEMORY)


def memory_shares() -> Readings:
    """What share of all memory is in each state."""
    total = psutil.virtual_memory().total
    return {key: value / total for key, value in memory().items()}


def swap() -> Readings:
    """Bytes of swap space in each state."""
    return _states("system.paging.state", psutil.swap_memory(), ("used", "free"))


def disk_bytes() -> Readings:
    """Bytes that were read from and written to each disk."""
    return _both("disk.io.direction", _disks(), read="read_bytes", write="write_bytes")


def disk_operations() -> Readings:
    """Reads and writes of each disk."""
    return _both("disk.io.direction", _disks(), read="read_count", write="write_count")


def filesystems() -> Readings:
    """Bytes of each file system that are used and free."""
    return {
        (*where, ("system.filesystem.state", state)): getattr(usage, state)
        for where, usage in _filesystems()
        for state in ("used", "free")
    }


def filesystem_shares() -> Readings:
    """What share of each file system is used, of what programs may use of it."""
    return {where: usage.percent / 100 for where, usage in _filesystems()}


def network_bytes() -> Readings:
    """Bytes that each network interface received and sent."""
    return _network(receive="bytes_recv", transmit="bytes_sent")


def network_errors() -> Readings:
    """Errors of each network interface."""
    return _network(receive="errin", transmit="errout")


def network_drops() -> Readings:
    """Packets that each network interface dropped."""
    return _network(receive="dropin", transmit="dropout")


def uptime() -> float:
    """Seconds since the machine started."""
    return time.time() - psutil.boot_time()


def _network(**ways: str) -> Readings:
    counters = psutil.net_io_counters(pernic=True)
    return {
        (("network.interface.name", name), ("network.io.direction", way)): getattr(told, field)
        for name, told in _first(counters)
        for way, field in ways.items()
    }


def _states(attribute: str, told: Any, states: Iterable[str]) -> Readings:
    return {((attribute, state),): getattr(told, state) for state in states if hasattr(told, state)}


def _both(attribute: str, devices: Iterable[tuple[str, Any]], **ways: str) -> Readings:
    return {
        (("system.device", name), (attribute, way)): getattr(told, field)
        for name, told in devices
        for way, field in ways.items()
    }


def _disks() -> Iterable[tuple[str, Any]]:
    """The disks, without their partitions."""
    counters = psutil.disk_io_counters(perdisk=True, nowrap=True) or {}
    return _first({name: told for name, told in counters.items() if not name.startswith(_UNSEEN)})


def _filesystems() -> Iterable[tuple[tuple[Attribute, ...], Any]]:
    mounted = sorted(psutil.disk_partitions(), key=lambda one: one.mountpoint)
    for each in islice(mounted, MOST_DEVICES):
        try:
            usage = psutil.disk_usage(each.mountpoint)
        except OSError:  # taken away, or not for us to see
            continue
        yield (
            (
                ("system.device", each.device),
                ("system.filesystem.mountpoint", each.mountpoint),
                ("system.filesystem.type", each.fstype),
            ),
            usage,
        )


def _first(devices: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    return islice(sorted(devices.items()), MOST_DEVICES)
