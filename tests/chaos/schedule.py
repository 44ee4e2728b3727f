"""Which faults come when: a pure function of the seed, so that a seed tells the same story again.

Two tracks run beside each other: kills, and all other troubles. Each goes round after round through
its kinds, in an order drawn anew for each round.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

SERVICES: Final = ("gateway", "orders", "inventory", "payments", "card_provider")
QUEUES: Final = ("orders.events", "inventory.commands", "payments.commands")
KILLED: Final = (*SERVICES, "rabbitmq", "postgres")
PAUSED: Final = (*SERVICES, "rabbitmq", "postgres")
LATE: Final = ("inventory", "payments")


@dataclass(frozen=True)
class Fault:
    """One fault: `at` seconds after the start, on `targets`, held for `seconds`."""

    at: float
    kind: str
    targets: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Pace:
    """Seconds between two faults of a track, how long faults are held, and replies held back."""

    kills: float = 26.0
    troubles: float = 29.0
    held: float = 10.0
    late: float = 35.0


LONG: Final = Pace()
SHORT: Final = Pace(kills=3.5, troubles=4.0, held=3.0, late=7.0)


def schedule(seed: int, seconds: float, pace: Pace = LONG) -> list[Fault]:
    """The faults of a run of `seconds`, by time; none goes on after the end."""
    chance = random.Random(seed)
    kills = _track(random.Random(chance.random()), seconds, pace.kills, _kills)
    held = _Troubles(pace)
    troubles = _track(random.Random(chance.random()), seconds, pace.troubles, held.round)
    within = [fault for fault in (*kills, *troubles) if fault.at + fault.seconds <= seconds]
    return sorted(within, key=lambda fault: fault.at)


Round = Callable[[random.Random], list[Fault]]


def _track(chance: random.Random, seconds: float, gap: float, make: Round) -> Iterator[Fault]:
    """Endless rounds, as far as the time goes."""
    at = gap * chance.uniform(0.3, 0.7)
    while True:
        faults = make(chance)
        chance.shuffle(faults)
        for fault in faults:
            if at >= seconds:
                return
            yield Fault(round(at, 3), fault.kind, fault.targets, fault.seconds)
            at += gap * chance.uniform(0.8, 1.2)


def _kills(chance: random.Random) -> list[Fault]:
    """Everything once, and two services at once."""
    alone = [Fault(0, "kill", (name,)) for name in KILLED]
    return [*alone, Fault(0, "kill two", tuple(chance.sample(SERVICES, 2)))]


@dataclass(frozen=True)
class _Troubles:
    pace: Pace

    def round(self, chance: random.Random) -> list[Fault]:
        held = self.pace.held
        return [
            Fault(0, "pause", (chance.choice(PAUSED),), held),
            Fault(0, "late replies", (chance.choice(LATE),), self.pace.late),
            Fault(0, "memory alarm", ("rabbitmq",), held),
            Fault(0, "connections dropped", ("rabbitmq",)),
            Fault(0, "full queue", (chance.choice(QUEUES),), held),
            Fault(0, "delivered twice", ("every message",), held * 2),
            Fault(0, "reordered", QUEUES, held),
            Fault(0, "unparsable", ("orders.events", "inventory.commands", "payments.commands")),
        ]
