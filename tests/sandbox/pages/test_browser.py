"""The browser of the tests itself: what a page did wrong comes out."""

from __future__ import annotations

import pytest
from aiohttp import web
from playwright.async_api import Browser

from tests.support.browser import Tab
from tests.support.serving import served

pytestmark = pytest.mark.anyio

PAGE = """<!doctype html><title>Wrong</title><body>
<button>Named</button><input><script>{script}</script>"""


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("console.error('Bad.')", "errors"),
        ("throw new Error('Bad.')", "errors"),
        # No name server knows it, and the request is noted before it is asked.
        ("new Image().src = 'http://elsewhere.invalid/Bad.'", "strangers"),
    ],
)
async def test_what_a_page_does_wrong_fails_its_test(
    browser: Browser, script: str, kind: str
) -> None:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text=PAGE.format(script=script), content_type="text/html")

    tab = Tab(await browser.new_page())
    tab.listen()
    async with served(handle) as url:
        await tab.page.goto(url)
        await tab.page.close()
    assert any("Bad." in each for each in getattr(tab, kind))
    with pytest.raises(AssertionError, match=r"Bad\."):
        tab.check()


async def test_fields_without_a_name_and_pages_that_are_too_wide_are_seen(tab: Tab) -> None:
    await tab.page.set_content(PAGE.format(script=""))
    assert await tab.unlabelled() == ["<input>"]
    assert not await tab.overflows()
    await tab.page.set_content("<p style='width: 500px'>Wide</p>")
    assert await tab.overflows()
