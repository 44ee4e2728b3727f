"""The Hosts dashboard: the machines themselves, as the host agent reads them once a second."""

from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import VariableRefresh

from grafana.kit.board import board
from grafana.kit.panels import AnyPanel, graph, number
from grafana.kit.queries import Targets, promql, rate
from grafana.kit.sources import PROMETHEUS

HOST: Final = 'service_instance_id=~"$host"'
BUSY: Final = f'{HOST}, cpu_mode!="idle"'
BY_HOST: Final = "{{service_instance_id}}"


def hosts() -> dashboard.Dashboard:
    """Return the dashboard, not yet built."""
    variable = (
        dashboard.QueryVariable("host")
        .label("Host agent")
        .datasource(PROMETHEUS)
        .query("label_values(system_uptime_seconds, service_instance_id)")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".+")
    )
    return board(
        "hosts",
        "hosts",
        "Processors, memory, disks and network of the machines, once a second.",
        {"Now": _now(), "Processors and memory": _computing(), "Disks and network": _devices()},
        variable,
    )


def _each(metric: str, by: str, legend: str, more: str = "") -> Targets:
    """A counter's growth on each host, by one more label."""
    return promql(
        rate(metric, f"{HOST}{more}", f"service_instance_id, {by}"), f"{BY_HOST} {legend}"
    )


def _now() -> list[AnyPanel]:
    available = f"max by (service_instance_id) (system_memory_linux_available_bytes{{{HOST}}})"
    limit = f"max by (service_instance_id) (system_memory_limit_bytes{{{HOST}}})"
    idle = f'system_cpu_utilization_ratio{{{HOST}, cpu_mode="idle"}}'
    return [
        number(
            "Processors busy",
            promql(f"1 - avg by (service_instance_id) ({idle})", BY_HOST),
            unit="percentunit",
            width=6,
            about="Share of the time of all processors that was used.",
        ),
        number(
            "Memory in use",
            promql(f"1 - {available} / {limit}", BY_HOST),
            unit="percentunit",
            width=6,
            about="Share of memory that programs could not have without swapping.",
        ),
        number(
            "Fullest file system",
            promql(
                f"max by (service_instance_id) (system_filesystem_utilization_ratio{{{HOST}}})",
                BY_HOST,
            ),
            unit="percentunit",
            width=6,
            about="Share of the fullest file system that is used.",
        ),
        number(
            "Up since",
            promql(f"max by (service_instance_id) (system_uptime_seconds{{{HOST}}})", BY_HOST),
            unit="s",
            width=6,
            about="Time since the machine's start.",
        ),
    ]


def _computing() -> list[AnyPanel]:
    states = "sum by (service_instance_id, system_memory_state)"
    return [
        graph(
            "Processor time by mode",
            promql(
                f"sum by (service_instance_id, cpu_mode) (system_cpu_utilization_ratio{{{BUSY}}})",
                f"{BY_HOST} {{{{cpu_mode}}}}",
            ),
            unit="suffix: cores",
            width=12,
            stacked=True,
            about="Cores that are busy, and with what; iowait is waiting for a disk.",
        ),
        graph(
            "Memory by state",
            promql(
                f"{states} (system_memory_usage_bytes{{{HOST}}})",
                f"{BY_HOST} {{{{system_memory_state}}}}",
            ),
            unit="bytes",
            width=12,
            stacked=True,
            about="Memory of programs, of the kernel's caches, and what is free.",
        ),
    ]


def _devices() -> list[AnyPanel]:
    return [
        graph(
            "Disk traffic",
            _each(
                "system_disk_io_bytes_total",
                "system_device, disk_io_direction",
                "{{system_device}} {{disk_io_direction}}",
            ),
            unit="Bps",
            width=12,
            about="Bytes a second read from and written to each disk.",
        ),
        graph(
            "Disk operations",
            _each(
                "system_disk_operations_total",
                "system_device, disk_io_direction",
                "{{system_device}} {{disk_io_direction}}",
            ),
            unit="iops",
            width=12,
            about="Reads and writes of each disk a second.",
        ),
        graph(
            "File systems",
            promql(
                "max by (service_instance_id, system_filesystem_mountpoint)"
                f" (system_filesystem_utilization_ratio{{{HOST}}})",
                f"{BY_HOST} {{{{system_filesystem_mountpoint}}}}",
            ),
            unit="percentunit",
            width=8,
            about="Share of each file system that is used.",
        ),
        graph(
            "Network traffic",
            _each(
                "system_network_io_bytes_total",
                "network_interface_name, network_io_direction",
                "{{network_interface_name}} {{network_io_direction}}",
            ),
            unit="Bps",
            width=8,
            about="Bytes a second that each interface receives and sends.",
        ),
        graph(
            "Network errors",
            _each(
                "system_network_errors_total",
                "network_interface_name, network_io_direction",
                "{{network_interface_name}} {{network_io_direction}}",
            ),
            unit="ops",
            width=8,
            about="Packets with errors a second.",
        ),
    ]
