"""A chassis for asyncio services: HTTP, RabbitMQ, PostgreSQL, and all three telemetry signals."""

from importlib.metadata import version

__version__ = version("weft")
