"""Takes the screenshots of README from a running system, in Chromium, as a person sees the pages.

    .venv/bin/python docs/screenshots.py      (needs `chromium`, and a system started by weft up)

They go to docs/images/; ONLY=web or ONLY=ops takes those alone.
"""  # noqa: INP001 - a script

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from playwright.async_api import Page, ViewportSize, async_playwright, expect

from stack.backends.connect import Backends, connect
from stack.system import System

IMAGES = Path(__file__).resolve().parent / "images"
DEADLINE = 30_000
"""Milliseconds for each step in the browser."""
DESK: ViewportSize = {"width": 1280, "height": 860}
PHONE: ViewportSize = {"width": 390, "height": 844}
ORDERS = (
    ("alice", "SKU-0002", 3, "tok_ok"),
    ("bob", "SKU-0001", 1, "tok_ok"),
    ("carol", "SKU-0004", 2, "tok_slow"),
    ("alice", "SKU-0003", 5, "tok_declined"),
    ("dave", "SKU-0001", 1, "tok_flaky"),
    ("carol", "SKU-0005", 1000, "tok_ok"),
    ("bob", "SKU-0002", 2, "tok_ok"),
    ("erin", "SKU-0001", 4, "tok_ok"),
)
"""Who orders what, and how they pay."""
CUSTOMER = ("orders:read", "orders:write", "reports:read", "reports:write", "ops")


@asynccontextmanager
async def chromium() -> AsyncIterator[Page]:
    """Run a Chromium and open a page."""
    program = shutil.which("chromium")
    if program is None:
        sys.exit("there is no chromium on the PATH")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=arguments)
        page = await browser.new_page(viewport=DESK)
        page.set_default_timeout(DEADLINE)
        expect.set_options(timeout=DEADLINE)
        yield page
        await browser.close()


async def take(
    page: Page, name: str, size: ViewportSize = DESK, scheme: Literal["light", "dark"] = "light"
) -> None:
    """Write a screenshot of what is on the screen."""
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await page.set_viewport_size(size)
    await page.mouse.move(0, 0)
    await page.evaluate("scrollTo(0, 0)")
    wide = await page.evaluate("document.documentElement.scrollWidth")
    if wide > size["width"]:
        raise ValueError(f"{name} is {wide} pixels wide, the screen {size['width']}")
    await page.screenshot(path=IMAGES / f"{name}.png")


async def take_all(page: Page, name: str) -> None:
    """Write a page as it is on a desk, light and dark, and on a phone."""
    await take(page, f"{name}-light")
    await take(page, f"{name}-dark", scheme="dark")
    await take(page, f"{name}-phone", PHONE)
    await page.set_viewport_size(DESK)


async def web(page: Page, url: str, token: str) -> None:
    """Go through the web app."""
    await page.goto(url)
    await expect(page.get_by_role("button", name="Enter as the demo user")).to_be_visible()
    await take_all(page, "web-sign-in")
    await page.get_by_label("Token").fill(token)
    await page.get_by_role("button", name="Sign in", exact=True).click()
    for product in ("Boat shuttle", "Boat shuttle", "Heddle hook"):
        await page.get_by_role("button", name=f"Add {product}", exact=True).click()
    await take_all(page, "web-shop")
    await page.get_by_role("button", name="Place order").click()
    for means, product in (("tok_declined", "Bobbin winder"), ("tok_slow", "Loom bench")):
        await page.get_by_role("link", name="Shop").click()
        await page.get_by_role("button", name=f"Add {product}", exact=True).click()
        await page.get_by_label("Payment").select_option(means)
        await page.get_by_role("button", name="Place order").click()
        await expect(page.locator("tr[data-order]").first).to_contain_text(product)
    await take_all(page, "web-orders")
    await page.get_by_role("link", name="Reports").click()
    await page.get_by_role("button", name="Request report").click()
    row = page.locator("tr[data-report]").first
    await expect(row).to_contain_text("finished")
    await take_all(page, "web-reports")
    await row.get_by_role("link").first.click()
    await expect(page.get_by_role("img")).to_be_visible()
    await take_all(page, "web-report")


async def ops(page: Page, url: str, token: str, trace_id: str) -> None:
    """Go through the operators' pages."""
    await page.goto(f"{url}/ops")
    await take(page, "ops-sign-in", PHONE)
    await page.get_by_label("Token").fill(token)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator(".states")).to_be_visible()
    for path, name in (("", "ops"), (f"/traces/{trace_id}", "ops-trace")):
        await page.goto(f"{url}/ops{path}")
        await take_all(page, name)


async def place(backends: Backends) -> str:
    """Place the orders; return the trace of the last, once it is whole."""
    trace_id = ""
    for user, sku, quantity, payment in ORDERS:
        shop = backends.gateway(user, ["orders:write"])
        placed = await shop.place(sku, quantity, payment)
        async for _ in shop.follow(placed.order_id):
            pass
        trace_id = placed.trace_id
    await backends.jaeger.settled(trace_id)
    return trace_id


async def main() -> None:
    system = System.load()
    url = system.ports.url("gateway")
    signer = system.credentials.signer()
    wanted = os.environ.get("ONLY", "web ops").split()
    IMAGES.mkdir(exist_ok=True)
    async with connect(system) as backends, chromium() as page:
        trace_id = await place(backends)
        if "ops" in wanted:
            await ops(page, url, signer.mint("operator", ["ops"], 900.0).token, trace_id)
        if "web" in wanted:
            await page.context.clear_cookies()
            await web(page, url, signer.mint("alice", CUSTOMER, 900.0).token)


if __name__ == "__main__":
    asyncio.run(main())
