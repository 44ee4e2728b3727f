"""reports and a report_runner for a module's tests, each of which has users of its own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.backing import database, virtual_host
from tests.integration.reporting.kit import Shop, read_model
from tests.integration.shop.kit import Keys, Running


@pytest.fixture(scope="module")
async def shop(
    parts: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    folder = tmp_path_factory.mktemp("reporting")
    keys = Keys(folder)
    async with AsyncExitStack() as stack:
        urls = {
            name: await stack.enter_async_context(database(parts))
            for name in ("reports", "report_runner", "orders")
        }
        urls["broker"] = await stack.enter_async_context(virtual_host(parts))
        await read_model(urls["orders"])
        shop = Shop(keys, keys._signer, urls, folder)
        yield shop
        await shop.close()


@pytest.fixture(scope="module")
async def reports(shop: Shop) -> Running:
    return await shop.reports()


@pytest.fixture(scope="module")
async def runner(shop: Shop, reports: Running) -> Running:
    return await shop.runner(reports)
