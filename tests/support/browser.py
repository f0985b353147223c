"""A headless Chromium for tests of pages, which fails a test for what a person would not see.

Fixtures, imported by the `conftest.py` of the tests that use them:

- `browser`: one Chromium for each module, since a start takes a second;
- `tab`: a fresh tab for each test, without cookies or cache of another. At its end the test fails
  if a page wrote an error to the console, raised one, or asked another host for anything.

A test whose page has to fail at something says so: `tab.errors.clear()` after it has looked.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
from attrs import define, field
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright, expect
from yarl import URL

from tests.support.missing import leave_out

LOCAL = {"127.0.0.1", "localhost", "::1"}

# A page on loopback answers in milliseconds: only a page that never will takes this long.
PATIENCE = 15_000


@define(slots=False)  # Playwright keeps its own notes on the object of a listener
class Tab:
    """A tab, and what it did.

    Attributes:
        page: The page of Playwright.
        errors: What the console had as errors, and what scripts raised.
        strangers: The addresses on other hosts that were asked for.
    """

    page: Page
    errors: list[str] = field(factory=list)
    strangers: list[str] = field(factory=list)

    def listen(self) -> None:
        """Note what every page of the tab does from now on, in frames too."""
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._on_request)

    def check(self) -> None:
        """Fail for an error, or for a request to another host."""
        wrong = [*self.strangers, *self.errors]
        assert not wrong, wrong

    async def shows(self, text: str) -> None:
        """Wait until the page shows a text."""
        await expect(self.page.locator("body")).to_contain_text(text)

    async def unlabelled(self) -> list[str]:
        """Return the fields and buttons of the page that have no name for a screen reader."""
        return await self.page.evaluate(
            """() => [...document.querySelectorAll("input, select, textarea, button")]
                .filter((each) => each.type !== "hidden")
                .filter((each) => !(each.labels?.length || each.ariaLabel || each.innerText))
                .map((each) => each.outerHTML)"""
        )

    async def overflows(self, width: int = 360) -> bool:
        """Return whether the page is wider than a phone, which then scrolls sideways."""
        await self.page.set_viewport_size({"width": width, "height": 740})
        return bool(
            await self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        )

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _on_request(self, request: Request) -> None:
        url = URL(request.url)
        if url.scheme in ("http", "https", "ws", "wss") and url.host not in LOCAL:
            self.strangers.append(request.url)


# The first has no window to draw, and takes a quarter of the time for a tab.
CHROMIUMS = ("chromium-headless-shell", "chromium", "chromium-browser")


def chromium_path() -> str:
    """Return the path of Chromium; skip the test where there is none, except in CI."""
    found = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if found is None:
        leave_out("there is no Chromium here; install Debian's package chromium-headless-shell")
    return found


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The loop of a module's tests, in which its browser lives too."""
    return "asyncio"


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    path = chromium_path()
    async with async_playwright() as playwright:
        # Its own sandbox needs rights that a container does not give.
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture
def servers_first(request: pytest.FixtureRequest) -> None:
    """Start the servers of a test before its tab, which then is closed before they stop."""
    for name in ("sandbox", "server", "shop"):
        if name in request.fixturenames:
            request.getfixturevalue(name)


@pytest.fixture
async def tab(
    browser: Browser, servers_first: None, request: pytest.FixtureRequest
) -> AsyncIterator[Tab]:
    context: dict[str, Any] = getattr(request, "param", {})
    page = await browser.new_page(**context)
    page.set_default_timeout(PATIENCE)
    tab = Tab(page)
    tab.listen()
    yield tab
    await page.close()
    tab.check()


expect.set_options(timeout=PATIENCE)
