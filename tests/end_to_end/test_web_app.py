"""The web app in a real browser, on the whole system."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
from playwright.async_api import Browser, Page, expect

from tests.end_to_end.browser import visit
from tests.end_to_end.conftest import Caller
from tests.end_to_end.outside import Running, an_order

SECONDS = 60
EVERYTHING = ("orders:read", "orders:write", "reports:read", "reports:write", "ops")
WATCH = """() => {
    window.seen = [];
    const look = () => window.seen.push(document.querySelector("tr[data-report]")?.textContent);
    const all = {subtree: true, childList: true, characterData: true};
    new MutationObserver(look).observe(document.body, all);
}"""
"""Notes all that is shown of the first report."""


@pytest.fixture
async def page(browser: Browser, system: Running) -> AsyncIterator[Page]:
    """The app as somebody sees it who comes for the first time."""
    async with visit(browser, system.url("gateway")) as opened:
        yield opened


async def sign_in(page: Page, token: str | None) -> None:
    assert token
    await page.get_by_label("Token").fill(token)
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await expect(page.get_by_role("heading", name="Shop")).to_be_visible()


async def order(page: Page, product: str = "Loom bench") -> None:
    """Place an order; the app shows it in the list of orders then."""
    await page.get_by_role("button", name=f"Add {product}").click()
    await page.get_by_role("button", name="Place order").click()
    await expect(page.get_by_role("heading", name="Orders")).to_be_visible()


async def stored(system: Running, trace_id: str, *names: str) -> list[dict[str, Any]]:
    """Return the spans of a trace, once Jaeger has these of the browser with all above them."""
    url = f"{system.url('jaeger')}/api/traces/{trace_id}"
    async with aiohttp.ClientSession() as session, asyncio.timeout(SECONDS):
        while True:
            async with session.get(url) as answer:
                found = (await answer.json()) if answer.status == 200 else {}
            spans = [each for trace in found.get("data") or [] for each in _spans(trace)]
            ids = {each["id"] for each in spans}
            whole = all(each["parent"] in {None, *ids} for each in spans)
            if whole and set(names) <= {each["name"] for each in spans if each["service"] == "web"}:
                return spans
            await asyncio.sleep(0.25)


def _spans(trace: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "id": span["spanID"],
            "parent": next((each["spanID"] for each in span["references"]), None),
            "name": span["operationName"],
            "service": trace["processes"][span["processID"]]["serviceName"],
            "tags": {tag["key"]: tag["value"] for tag in span["tags"]},
        }
        for span in trace["spans"]
    ]


async def test_the_demo_user_enters_without_a_token(page: Page) -> None:
    await page.get_by_role("button", name="Enter as the demo user").click()
    await expect(page.get_by_role("heading", name="Shop")).to_be_visible()
    await expect(page.get_by_text("demo", exact=True)).to_be_visible()


async def test_an_order_becomes_confirmed_before_the_customers_eyes(
    page: Page, caller: Caller
) -> None:
    await sign_in(page, caller(scopes=EVERYTHING).token)
    await order(page)
    row = page.locator("tr[data-order]")
    await expect(row).to_contain_text("confirmed")
    await expect(row).to_contain_text("Loom bench")


async def test_a_declined_card_is_told_with_its_reason(page: Page, caller: Caller) -> None:
    await sign_in(page, caller(scopes=EVERYTHING).token)
    await page.get_by_label("Payment").select_option("tok_declined")
    await order(page)
    await expect(page.locator("tr[data-order]")).to_contain_text("rejected: payment declined")


async def test_an_orders_trace_begins_with_the_click_and_ends_with_the_update_in_the_browser(
    page: Page, caller: Caller, system: Running
) -> None:
    buyer = caller(scopes=EVERYTHING)
    await sign_in(page, buyer.token)
    await order(page)
    await expect(page.locator("tr[data-order]")).to_contain_text("confirmed")
    [told] = (await buyer.get("/v1/orders")).json["orders"]
    ends = ("process order.placed", "process order.confirmed")
    spans = await stored(system, told["trace_id"], "click Place order", "POST /v1/orders", *ends)
    by_id = {each["id"]: each for each in spans}
    [root] = [each for each in spans if each["parent"] is None]
    assert (root["service"], root["name"]) == ("web", "click Place order")
    assert {each["tags"]["user.id"] for each in spans if each["service"] == "web"} == {
        buyer.subject
    }
    [served] = [each for each in spans if _is(each, "gateway", "POST /v1/orders", "server")]
    asked = by_id[served["parent"]]
    assert _is(asked, "web", "POST /v1/orders", "client")
    assert asked["parent"] == root["id"]
    assert asked["tags"]["http.response.status_code"] == 202
    for name in ends:
        [end] = [each for each in spans if _is(each, "web", name, "consumer")]
        above = [each["service"] for each in _above(end, by_id)]
        assert above[0] == "reports", "what the browser handles was sent by reports"
        assert {"orders", "gateway", "web"} <= set(above)
        assert above[-1] == "web", "and comes from the click, without a gap"


async def test_an_orders_trace_and_log_lines_are_one_click_away(
    page: Page, caller: Caller, system: Running
) -> None:
    buyer = caller(scopes=EVERYTHING)
    await sign_in(page, buyer.token)
    await order(page)
    await expect(page.locator("tr[data-order]")).to_contain_text("confirmed")
    [told] = (await buyer.get("/v1/orders")).json["orders"]
    await stored(system, told["trace_id"], "click Place order")
    for link, shown in (("Trace", "click Place order"), ("Logs", "Logs of click Place order")):
        async with page.expect_popup() as opening:
            await page.get_by_role("link", name=f"{link} of order").click()
        opened = await opening.value
        await expect(opened.get_by_role("heading")).to_have_text(shown)
        await expect(opened.locator("ol.waterfall > li").first).to_be_visible()


async def test_every_tab_of_a_user_hears_what_happens_in_another(
    browser: Browser, page: Page, caller: Caller, system: Running
) -> None:
    buyer, other = caller(scopes=EVERYTHING), caller(scopes=EVERYTHING)
    async with (
        visit(browser, system.url("gateway")) as second,
        visit(browser, system.url("gateway")) as stranger,
    ):
        for tab, token in ((page, buyer.token), (second, buyer.token), (stranger, other.token)):
            await sign_in(tab, token)
            await tab.get_by_role("link", name="Orders").click()
            await expect(tab.get_by_text("None yet.")).to_be_visible()
            await expect(tab.get_by_text("live", exact=True)).to_be_visible()
        await page.get_by_role("link", name="Shop").click()
        await order(page)
        await expect(second.locator("tr[data-order]")).to_contain_text("confirmed")
        await expect(stranger.get_by_text("None yet.")).to_be_visible()


async def test_a_report_is_asked_for_watched_shown_and_downloaded(
    page: Page, caller: Caller, system: Running
) -> None:
    customer = caller(scopes=EVERYTHING)
    await sign_in(page, customer.token)
    await order(page, "Boat shuttle")
    await expect(page.locator("tr[data-order]")).to_contain_text("confirmed")
    [bought] = (await customer.get("/v1/orders")).json["orders"]
    await projected(system, bought["order_id"])

    await page.get_by_role("link", name="Reports").click()
    await page.evaluate(WATCH)
    await page.get_by_role("button", name="Request report").click()
    row = page.locator("tr[data-report]")
    await expect(row).to_contain_text("finished")
    assert "running" in await page.evaluate("window.seen.join()"), "the progress was shown"

    await row.get_by_role("link").first.click()
    await expect(page.get_by_role("img", name="Revenue a day")).to_be_visible()
    await page.get_by_label("Product").select_option(label="Boat shuttle")
    today = page.get_by_role("row").filter(has_text=bought["placed_at"][:10])
    await expect(today).to_contain_text("Boat shuttle")
    async with page.expect_download() as downloading:
        await page.get_by_role("button", name="Download").click()
    file = await downloading.value
    [report] = (await customer.get("/v1/reports")).json["reports"]
    path = f"/v1/reports/{report['report_id']}/download"
    assert Path(await file.path()).read_bytes() == (await customer.get(path)).body  # noqa: ASYNC240 - a small local file
    assert file.suggested_filename.endswith(".csv")

    ends = ("click Request report", "process report.finished")
    spans = await stored(system, report["trace_id"], *ends)
    by_id = {each["id"]: each for each in spans}
    [end] = [each for each in spans if _is(each, "web", ends[1], "consumer")]
    above = _above(end, by_id)
    assert above[-1]["name"] == "click Request report"
    assert {"gateway", "reports", "report_runner"} <= {each["service"] for each in above}


async def test_a_report_without_sales_is_told_with_its_reason(page: Page, caller: Caller) -> None:
    await sign_in(page, caller(scopes=EVERYTHING).token)
    await page.get_by_role("link", name="Reports").click()
    await page.get_by_label("From").fill("2001-01-01")
    await page.get_by_label("Until before").fill("2001-02-01")
    await page.get_by_role("button", name="Request report").click()
    row = page.locator("tr[data-report]")
    await expect(row).to_contain_text("failed: nothing was sold in these days")
    await page.get_by_label("Until before").fill("2000-01-01")
    await page.get_by_role("button", name="Request report").click()
    await expect(page.get_by_role("alert")).to_contain_text("no report for these dates")


async def projected(system: Running, order_id: str) -> None:
    """Wait until the read model has an order, half a second after its end."""
    reader = await asyncpg.connect(system.variables["WEFT_ORDERS_READER_DATABASE_URL"])
    try:
        async with asyncio.timeout(SECONDS):
            while True:
                query = "SELECT count(*) FROM read_v1.sales WHERE order_id = $1"
                if await reader.fetchval(query, order_id):
                    return
                await asyncio.sleep(0.1)
    finally:
        await reader.close()


@pytest.mark.alone
async def test_what_happens_while_the_servers_restart_is_shown_when_they_are_back(
    page: Page, caller: Caller, system: Running
) -> None:
    buyer = caller(scopes=EVERYTHING)
    sku = await caller().product(stock=10)
    await sign_in(page, buyer.token)
    await page.get_by_role("link", name="Orders").click()
    await expect(page.get_by_text("live", exact=True)).to_be_visible()
    _kill(system, "reports", signal.SIGKILL)
    placed = [(await buyer.place(an_order(sku))).json["order_id"] for _ in range(3)]
    for order_id in placed:
        await buyer.finished(order_id)
    _kill(system, "gateway", signal.SIGTERM)
    for order_id in placed:
        row = page.locator(f"tr[data-order='{order_id}']")
        await expect(row).to_contain_text("confirmed")
    await expect(page.get_by_text("live", exact=True)).to_be_visible()
    assert await page.locator("tr[data-order]").count() == len(placed)


def _kill(system: Running, name: str, how: signal.Signals) -> None:
    """End every instance of a service; its supervisor starts it again."""
    for each in json.loads(system.weft("status", "--json").stdout):
        if each["name"] == name:
            os.kill(each["pid"], how)


def _is(span: dict[str, Any], service: str, name: str, kind: str) -> bool:
    return (span["service"], span["name"], span["tags"]["span.kind"]) == (service, name, kind)


def _above(span: dict[str, Any], by_id: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the spans above one, the nearest first; all of them are stored."""
    above = []
    while span["parent"] is not None:
        span = by_id[span["parent"]]
        above.append(span)
    return above


async def test_a_token_that_is_not_good_is_refused_and_kept_nowhere(page: Page) -> None:
    for wrong in ("nonsense", "e30.eyJzdWIiOiJhIiwiZXhwIjo5OTk5OTk5OTk5fQ.AA"):
        await page.get_by_label("Token").fill(wrong)
        await page.get_by_role("button", name="Sign in", exact=True).click()
        await expect(page.get_by_role("alert")).to_be_visible()
        assert await page.evaluate("sessionStorage.length") == 0


async def test_the_app_is_used_by_keyboard_alone(page: Page, caller: Caller) -> None:
    await sign_in(page, caller(scopes=EVERYTHING).token)
    await page.get_by_label("Search the catalogue").press_sequentially("drop spindle")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Add Drop spindle")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Place order").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Orders")).to_be_focused()
    await expect(page.locator("tr[data-order]")).to_contain_text("Drop spindle")
