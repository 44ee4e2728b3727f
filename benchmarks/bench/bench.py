"""What a bench is made of: variants of one job, measured side by side, and their goals."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

QUIET: Final = {"OTEL_SDK_DISABLED": "true", "WEFT_CONSOLE": "off"}
"""What a subject without telemetry is given."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way of doing the job.

    `subject` is "module:function", an asynchronous context manager (see `subject`); each round
    runs it in a process of its own. With `telemetry` it is told where to export to, else to be
    quiet. `packages` names a lock file of this folder whose packages it needs instead of ours,
    `program` one on the PATH without which the variant is left out.
    """

    name: str
    about: str
    subject: str
    telemetry: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    packages: str = ""
    program: str = ""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a figure of `variant` should be beside that of `beside`, in the median of the rounds.

    With `above` it is what each adds to the figure of that variant; `beside` to that of
    `beside_above`, if it has one of its own.
    """

    variant: str
    metric: str
    beside: str
    bound: float
    kind: Literal["at least", "at most"] = "at least"
    above: str = ""
    beside_above: str = ""

    def reached(self, ratio: float) -> bool:
        """Tell whether `ratio` is good enough."""
        return ratio >= self.bound if self.kind == "at least" else ratio <= self.bound


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A job, what it is counted in, and its variants; the first one is what the rest is held to.

    Variants that serve are driven by `driver`, "module:function" as a subject is, which then gives
    units and latencies. `needs` names backing parts, or "system" for the whole. Each variant is
    warmed up for `warm` seconds and then measured for `seconds`. `far` is what they talk to, a
    subject as well, with the variant's environment: its address is their place's. `pictured` are
    the metrics that are drawn.
    """

    name: str
    about: str
    unit: str
    variants: tuple[Variant, ...]
    goals: tuple[Goal, ...] = ()
    needs: tuple[str, ...] = ()
    driver: str = ""
    far: str = ""
    warm: float = 1.0
    seconds: float = 4.0
    rounds: int = 5
    pictured: tuple[str, ...] = ("cpu_us_per_unit",)
