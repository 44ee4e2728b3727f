"""What each Go part is built from: the files that lock its modules, its packages, its flags."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stack.parts import cache

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stack.parts.part import Part

STAMP = "manifest.sha256"
COLLECTOR = Path(__file__).parents[2] / "otel-collector" / "builder.yaml"

_HERE = Path(__file__).parent / "go"
_COMPONENT = re.compile(r"^  - gomod: (\S+ v\S+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """How one part is built.

    `module` is the main one, `path@version`. `version_symbol` is the string variable that the
    linker sets to `version`; `output` names the program where its package does not. CPU seconds
    and bytes were measured on an empty cache; the bytes are those of modules, compiled packages
    and programs together.
    """

    name: str
    module: str
    packages: tuple[str, ...]
    cpu_seconds: float
    disk_bytes: int
    version_symbol: str | None = None
    version: str = ""
    output: str = ""
    tags: str = ""
    sources: tuple[Path, ...] = ()

    @property
    def folder(self) -> Path:
        return _HERE / self.name

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.folder / "go.mod", self.folder / "go.sum", *self.sources)

    def flags(self) -> list[str]:
        """The flags that decide what comes out, the same for listing and for building."""
        tags = [f"-tags={self.tags}"] if self.tags else []
        return ["-mod=readonly", "-trimpath", "-buildvcs=false", *tags]

    def linker_flags(self) -> str:
        strip = "-s -w"
        return f"{strip} -X {self.version_symbol}={self.version}" if self.version_symbol else strip

    def digest(self) -> str:
        """Changes with everything that the part is built from."""
        digest = hashlib.sha256(" ".join((*self.flags(), self.linker_flags())).encode())
        for file in self.files:
            digest.update(file.read_bytes())
        return digest.hexdigest()

    def locked_modules(self) -> int:
        """How many modules the lock holds: at most so many are downloaded."""
        lines = (self.folder / "go.sum").read_text().splitlines()
        return sum("/go.mod " not in line for line in lines)


_GB = 10**9

_ALL = (
    Manifest(
        name="otel-collector",
        module="go.opentelemetry.io/collector/otelcol@v0.161.0",
        packages=("./otelcol",),
        sources=(COLLECTOR,),
        cpu_seconds=240,
        disk_bytes=int(1.6 * _GB),
    ),
    Manifest(
        name="jaeger",
        module="github.com/jaegertracing/jaeger@v1.76.0",
        packages=("github.com/jaegertracing/jaeger/cmd/jaeger",),
        version_symbol="github.com/jaegertracing/jaeger/internal/version.latestVersion",
        version="v2.13.0",
        cpu_seconds=420,
        disk_bytes=int(2.7 * _GB),
    ),
    Manifest(
        name="prometheus",
        module="github.com/prometheus/prometheus@v0.316.0",
        packages=(
            "github.com/prometheus/prometheus/cmd/prometheus",
            "github.com/prometheus/prometheus/cmd/promtool",
        ),
        version_symbol="github.com/prometheus/common/version.Version",
        version="3.16.0",
        tags="remove_all_sd",
        cpu_seconds=280,
        disk_bytes=int(2.0 * _GB),
    ),
    Manifest(
        name="alertmanager",
        module="github.com/prometheus/alertmanager@v0.31.1",
        packages=(
            "github.com/prometheus/alertmanager/cmd/alertmanager",
            "github.com/prometheus/alertmanager/cmd/amtool",
        ),
        version_symbol="github.com/prometheus/common/version.Version",
        version="0.31.1",
        cpu_seconds=115,
        disk_bytes=int(0.7 * _GB),
    ),
    Manifest(
        name="loki",
        module="github.com/grafana/loki/v3@v3.7.8",
        packages=("github.com/grafana/loki/v3/cmd/loki",),
        version_symbol="github.com/grafana/loki/v3/pkg/util/build.Version",
        version="3.7.8",
        cpu_seconds=540,
        disk_bytes=int(4.2 * _GB),
    ),
    Manifest(
        name="compose",
        module="github.com/docker/compose/v2@v2.40.3",
        packages=("github.com/docker/compose/v2/cmd",),
        output="docker-compose",
        version_symbol="github.com/docker/compose/v2/internal.Version",
        version="v2.40.3",
        cpu_seconds=240,
        disk_bytes=int(1.2 * _GB),
    ),
)

MANIFESTS: Mapping[str, Manifest] = {manifest.name: manifest for manifest in _ALL}


def is_current(part: Part) -> bool:
    """Whether the cached part was built from today's manifest; one without a stamp was put there.

    By hand or by an image: its maker answers for it.
    """
    stamp = cache.part_folder(part) / STAMP
    return not stamp.exists() or stamp.read_text().strip() == MANIFESTS[part.name].digest()


def collector_components() -> frozenset[str]:
    """The Go modules (`path vVERSION`) that the collector is made of, its providers aside."""
    modules = _COMPONENT.findall(COLLECTOR.read_text())
    return frozenset(module for module in modules if "/confmap/provider/" not in module)
