"""A page of another site attacks the sandbox from a real Chromium, and gets nothing done."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from playwright.async_api import Browser, Error, Page

from pinstripe.sandbox import ManualClock, Server
from pinstripe.sandbox._server import API_KEY
from tests.support.sandbox_api import Api
from tests.support.serving import served

pytestmark = pytest.mark.anyio

# Each attack is a script that ends when the browser has done its part.
ATTACKS = {
    "a form": """
        const frame = document.createElement("iframe");
        frame.name = "answer";
        document.body.append(frame);
        const form = document.createElement("form");
        Object.assign(form, {method: "POST", action: TARGET, target: "answer"});
        document.body.append(form);
        form.submit();
        await new Promise(resolve => frame.onload = resolve);
        frame.remove();
    """,
    "fetch": "await fetch(TARGET, {method: 'POST', mode: 'no-cors'}).catch(() => 0)",
    "fetch with a key": """
        const headers = {Authorization: "Bearer sk_test_any"};
        await fetch(TARGET, {method: "POST", headers}).catch(() => 0);
    """,
    "fetch with credentials": """
        const init = {method: "POST", mode: "no-cors", credentials: "include"};
        await fetch(TARGET, init).catch(() => 0);
    """,
    "a beacon": """
        navigator.sendBeacon(TARGET);
        await fetch(TARGET, {mode: "no-cors"});
    """,
    "a picture": """
        const picture = new Image();
        const done = new Promise(resolve => picture.onload = picture.onerror = resolve);
        picture.src = TARGET;
        await done;
    """,
    "a script": """
        const script = document.createElement("script");
        const done = new Promise(resolve => script.onload = script.onerror = resolve);
        script.src = TARGET;
        document.head.append(script);
        await done;
    """,
    "a stream": """
        const stream = new EventSource(TARGET);
        await new Promise(resolve => stream.onerror = resolve);
    """,
}
TARGETS = (
    "/v1/identity/verification_sessions?type=document",
    "/_sandbox/clock?advance=60",
    "/_sandbox/faults?cut=true",
    "/_sandbox/identity/seed?count=3",
)


@asynccontextmanager
async def other_site(browser: Browser) -> AsyncIterator[Page]:
    """Open a page of another site on this machine."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="<!doctype html><title>Shop</title>", content_type="text/html")

    async with served(handle) as url:
        page = await browser.new_page()
        await page.goto(url)
        yield page
        await page.close()


def statuses(caplog: pytest.LogCaptureFixture) -> set[int]:
    """Return what the sandbox has answered, by its own log."""
    lines = [record.getMessage() for record in caplog.records if record.name.endswith(".requests")]
    return {int(found[1]) for line in lines if (found := re.search(r": (\d{3}) ", line))}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_a_page_gets_nothing_done(
    browser: Browser,
    server: Server,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
    attack: str,
) -> None:
    before = clock.now
    caplog.set_level(logging.INFO, "pinstripe.sandbox.requests")
    async with other_site(browser) as page:
        # The first name makes the page one of the same site, the second one of another.
        for name, target in itertools.product(("127.0.0.1", "localhost"), TARGETS):
            url = server.url.replace("127.0.0.1", name) + target
            await page.evaluate(f"async TARGET => {{ {ATTACKS[attack]} }}", url)
    assert statuses(caplog) == {403}
    world = server.world
    assert (world.accounts(), world.effects.find(), world.faults.added) == ([], [], [])
    assert clock.now == before


async def test_an_address_with_a_key_opens_nothing(
    browser: Browser, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pinstripe.sandbox.requests")
    async with other_site(browser) as page:
        url = server.url.replace("://", f"://{API_KEY}:@") + "/v1/events"
        await page.goto(url)
        assert await page.locator("body").inner_text()
    # The browser asks without the key, and is not told to ask again with it.
    assert statuses(caplog) == {401}


async def test_an_uploaded_svg_runs_no_script(browser: Browser, api: Api, server: Server) -> None:
    # An SVG of a purpose that takes any format, with a link that needs no key.
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>document.title = 'Mine'</script></svg>"
    form = aiohttp.FormData({"purpose": "customer_signature", "file_link_data[create]": "true"})
    form.add_field("file", svg, filename="a.svg", content_type="image/svg+xml")
    file = await api.ok("POST", "/v1/files", form)
    (link,) = file["links"]["data"]
    async with other_site(browser) as page:
        async with page.expect_download() as download:
            with pytest.raises(Error, match="Download is starting"):
                await page.goto(link["url"])
        assert (await download.value).url == link["url"]
        assert await page.title() == "Shop"
        # As a picture it is still shown, without its script.
        await page.evaluate(
            "url => new Promise(r => { const i = new Image(); i.onload = r; i.src = url })",
            link["url"],
        )
        assert await page.title() == "Shop"
