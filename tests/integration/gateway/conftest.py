from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.gateway.kit import Gateway


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """A gateway that knows no Redis, with orders and inventory behind it."""
    folder: Path = tmp_path_factory.mktemp("gateway")
    async with Gateway.running(folder) as running:
        yield running
