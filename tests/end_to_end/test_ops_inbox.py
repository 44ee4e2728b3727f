"""The notifier's inbox in a real browser: on a phone and a desk's screen, in light and dark."""

import re
import secrets

import aiohttp
import pytest
from playwright.async_api import Browser, Locator, Page, ViewportSize, expect

from stack.system import System as Stack
from tests.end_to_end.browser import MILLISECONDS
from tests.end_to_end.outside import Running
from tests.integration.notifier.conftest import alert, hook

PHONE: ViewportSize = {"width": 390, "height": 844}
DESK: ViewportSize = {"width": 1280, "height": 800}
DAY = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
READABLE = 4.5
"""Contrast that WCAG 2.2 asks of text (level AA)."""
CONTRAST = """element => {
    const canvas = document.createElement("canvas").getContext("2d");
    const light = colour => {
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        const parts = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(c => c / 255);
        const [r, g, b] = parts.map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const background = one => getComputedStyle(one).backgroundColor;
    let behind = element;
    while (background(behind) === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
    const plane = light(background(behind));
    const ink = light(getComputedStyle(element).color);
    return (Math.max(ink, plane) + 0.05) / (Math.min(ink, plane) + 0.05);
}"""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
async def name(system: Running) -> str:
    """An alert that people were told of, and of its end."""
    name = f"Inbox{secrets.token_hex(4)}"
    told = {"description": f"It has <b>not</b> moved for {'long ' * 60}"}
    key = Stack.load(system.environment).credentials.password("alerts-key")
    url = f"{system.url('notifier')}/hooks/alertmanager"
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as http:
        for status in ("firing", "resolved"):
            one = alert(status, name=name, labels={"severity": "critical"}, annotations=told)
            async with http.post(url, json=hook(one)) as answer:
                assert (await answer.json()) == {"told": True}
    return name


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_who_signs_in_finds_what_people_were_told_of_an_alert_and_what_to_do(
    browser: Browser, system: Running, name: str, viewport: ViewportSize, scheme: str
) -> None:
    context = await browser.new_context(viewport=viewport)
    context.set_default_timeout(MILLISECONDS)
    page = await context.new_page()
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    try:
        await _sign_in(page, system)
        await page.get_by_role("link", name="Inbox").click()
        await expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
        rows = page.locator("tr", has_text=name)
        await expect(rows).to_have_count(2)
        for row, word in ((rows.nth(0), "resolved"), (rows.nth(1), "critical")):
            await expect(row.locator(".badge")).to_have_text(word)
            await expect(row).to_contain_text(DAY)
        await _opened(page, rows.nth(1), name)
    finally:
        await context.close()


async def _sign_in(page: Page, system: Running) -> None:
    """Open the inbox as somebody who is not signed in yet."""
    await page.goto(f"{system.url('gateway')}/ops")
    await page.get_by_label("Token").fill(system.token("operator", ["ops"]))
    await page.get_by_role("button", name="Sign in").click()


async def _opened(page: Page, row: Locator, name: str) -> None:
    """By keyboard alone; all of it is readable and nothing stands beyond the screen's edge."""
    await row.locator("summary").focus()
    await page.keyboard.press("Enter")
    runbook = row.get_by_text(f"runbook: docs/runbooks/{name}.md")
    await expect(runbook).to_be_visible()
    await expect(row.get_by_text("<b>not</b>")).to_be_visible()
    for told in (row.locator(".badge"), row.locator("summary"), runbook):
        assert await told.evaluate(CONTRAST) >= READABLE
    assert await page.evaluate(OVERFLOW) <= 0
