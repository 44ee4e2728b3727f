"""What a service is made of."""

from typing import Protocol


class Component(Protocol):
    """A part with a lifecycle: a pool, a connection, a consumer, a server, a background task."""

    @property
    def name(self) -> str:
        """The name that logs and /readyz show."""

    async def start(self) -> None:
        """Wait, with back-off and jitter, until the dependency answers; say its absence once."""

    async def check(self) -> None:
        """Raise if the dependency does not answer now."""

    async def stop(self) -> None:
        """Take nothing new, finish what is in hand, close. The service bounds its time."""
