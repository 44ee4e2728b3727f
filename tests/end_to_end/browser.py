"""A real Chromium on the web app."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright, expect

from stack import parts

MILLISECONDS = 60_000
"""How long a step in the page is waited for."""
expect.set_options(timeout=MILLISECONDS)


@asynccontextmanager
async def chromium(logs: Path) -> AsyncIterator[Browser]:
    """Start the browser; apt brings it where it is not here yet."""
    found = parts.install("chromium", log=logs / "chromium.log", progress=lambda _: None)
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=found.binaries["chromium"], args=arguments
        )
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def visit(browser: Browser, url: str) -> AsyncIterator[Page]:
    """Open the app as a new visitor, who never loads it again.

    What goes wrong in the page fails the test at its end.
    """
    context = await browser.new_context()
    context.set_default_timeout(MILLISECONDS)
    page = await context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if _is_refusal(said.text) else None)
    try:
        await page.goto(url)
        await page.evaluate("window.neverReloaded = true")
        yield page
        assert await page.evaluate("window.neverReloaded"), "the page was loaded anew"
        assert not wrong, wrong
    finally:
        await context.close()


def _is_refusal(text: str) -> bool:
    """Whether the browser tells of something that the page's policy forbids."""
    return "Content Security Policy" in text or "Trusted" in text
