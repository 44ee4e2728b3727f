"""Takes the screenshots of README from a running system, in Chromium, signed in by the form.

    python docs/screenshots.py      (needs `chromium` on the PATH, and a system started by weft up)

They go to docs/images/.
"""  # noqa: INP001 - a script

import asyncio
import base64
import itertools
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from stack.backends.connect import Backends, connect
from stack.system import System

IMAGES = Path(__file__).resolve().parent / "images"
DEADLINE = 30.0
"""Seconds for each step in the browser."""
DESK, PHONE = (1280, 860), (390, 844)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
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


class Browser:
    """One page of a Chromium, by the DevTools protocol."""

    def __init__(self, page: aiohttp.ClientWebSocketResponse) -> None:
        self._page = page
        self._ids = itertools.count(1)

    async def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give a command and return its result."""
        identity = next(self._ids)
        await self._page.send_json({"id": identity, "method": method, "params": parameters})
        async with asyncio.timeout(DEADLINE):
            while True:
                message = await self._page.receive_json()
                if message.get("id") == identity:
                    result: dict[str, Any] = message["result"]
                    return result

    async def value(self, expression: str) -> Any:
        """Return what a JavaScript expression is in the page."""
        done = await self.do("Runtime.evaluate", expression=expression, returnByValue=True)
        return done["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until an expression is true in the page."""
        end = time.monotonic() + DEADLINE
        while not await self.value(expression):
            if time.monotonic() > end:
                raise TimeoutError(expression)
            await asyncio.sleep(0.05)

    async def open(self, url: str) -> None:
        """Go to an address and wait for the whole page."""
        await self.value("window.old = true")
        await self.do("Page.navigate", url=url)
        await self.until("!window.old && document.readyState === 'complete'")

    async def take(self, name: str, size: tuple[int, int], scheme: str) -> None:
        """Write a screenshot of the page, `size` in CSS pixels, `scheme` light or dark."""
        width, height = size
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.do("Emulation.setEmulatedMedia", features=features)
        await self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=size == PHONE,
        )
        wide = await self.value("document.documentElement.scrollWidth")
        if wide > width:
            raise ValueError(f"{name} is {wide} pixels wide, the screen {width}")
        shot = await self.do("Page.captureScreenshot", format="png")
        (IMAGES / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))


@asynccontextmanager
async def chromium(session: aiohttp.ClientSession) -> AsyncIterator[Browser]:
    """Run a Chromium with a profile of its own."""
    program = shutil.which("chromium")
    if program is None:
        sys.exit("there is no chromium on the PATH")
    profile = Path(tempfile.mkdtemp(prefix="weft-chromium-"))
    process = await asyncio.create_subprocess_exec(
        program,
        *FLAGS,
        f"--user-data-dir={profile}",
        "about:blank",
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        port = await _port(profile / "DevToolsActivePort")
        async with session.get(f"http://127.0.0.1:{port}/json") as answer:
            pages = [each for each in await answer.json() if each["type"] == "page"]
        async with session.ws_connect(
            pages[0]["webSocketDebuggerUrl"], max_msg_size=1 << 26
        ) as page:
            yield Browser(page)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        shutil.rmtree(profile, ignore_errors=True)


async def _port(told: Path) -> int:
    end = time.monotonic() + DEADLINE
    while not told.exists() or not told.read_text():  # noqa: ASYNC240 - a local file of one line
        if time.monotonic() > end:
            raise TimeoutError("chromium does not start")
        await asyncio.sleep(0.05)
    return int(told.read_text().splitlines()[0])  # noqa: ASYNC240 - the same


async def sign_in(browser: Browser, url: str, token: str) -> None:
    """Type the token as a person does."""
    await browser.open(f"{url}/ops")
    await browser.take("ops-sign-in", PHONE, "light")
    await browser.value("document.querySelector('#token').focus()")
    await browser.do("Input.insertText", text=token)
    await browser.value("document.querySelector('.sign-in button').click()")
    await browser.until("location.pathname === '/ops' && !!document.querySelector('.states')")


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
    token = system.credentials.signer().mint("operator", ["ops"], 900.0).token
    IMAGES.mkdir(exist_ok=True)
    async with connect(system) as backends, chromium(backends.session) as browser:
        trace_id = await place(backends)
        await sign_in(browser, url, token)
        for path, name in (("", "ops"), (f"/traces/{trace_id}", "ops-trace")):
            await browser.open(f"{url}/ops{path}")
            await browser.take(f"{name}-light", DESK, "light")
            await browser.take(f"{name}-dark", DESK, "dark")
            await browser.take(f"{name}-phone", PHONE, "light")


if __name__ == "__main__":
    asyncio.run(main())
