"""The wiring of host_agent: the metrics of the machine that it runs on, once a second."""

import platform
from typing import Final

from opentelemetry.sdk.resources import Resource

from services.host_agent.readings import register
from weft import __version__
from weft.http import Routes
from weft.service import Service, run
from weft.settings import ServiceSettings
from weft.telemetry.options import TelemetryOptions

METRICS_EVERY: Final = 1.0
"""Seconds between two exports."""


class HostAgentSettings(ServiceSettings, frozen=True, kw_only=True):
    port: int = 8107


def build(settings: HostAgentSettings) -> Service:
    """Return the service, not yet started."""
    service = Service("host_agent", settings, version=__version__)
    register()
    service.serve(Routes())
    return service


def main() -> None:
    """Run the service until it is told to stop."""
    resource = Resource(
        {
            "host.name": platform.node(),
            "host.arch": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os.type": platform.system().lower(),
        }
    )
    options = TelemetryOptions(metrics_every=METRICS_EVERY, resource=resource)
    run(build, HostAgentSettings, telemetry=options)


_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
"""What the conventions call what the kernel calls otherwise."""
