"""A small shop for tests of pages: its user goes to the sandbox, and a webhook tells the rest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from attrs import define, field

from pinstripe import AsyncClient
from pinstripe.adapters.aiohttp import webhook_handler
from pinstripe.events import VerificationSessionVerified
from pinstripe.sandbox import Sandbox
from pinstripe.webhooks import Router, Webhook

_PAGE = """<!doctype html>
<html lang="en"><head><title>Shop</title><link rel="icon" href="data:,"></head><body>{body}</body>
</html>"""

_START = """<form method="post" action="/start"><button>Prove who I am</button></form>"""

# What Stripe's guides show, with the script of the sandbox in place of theirs.
_MODAL = """<button id="verify">Prove who I am</button> <output id="result"></output>
<script src="{sandbox}/_sandbox/stripe.js"></script>
<script>
  const stripe = Stripe("pk_test_shop");
  document.getElementById("verify").addEventListener("click", async () => {{
    const result = await stripe.verifyIdentity("{secret}");
    document.getElementById("result").textContent = JSON.stringify(result);
  }});
</script>"""

_ONRAMP = """<div id="onramp"></div> <ol id="heard"></ol>
<script src="{sandbox}/_sandbox/stripe.js"></script>
<script>
  const hear = (event) => {{
    const line = document.createElement("li");
    line.textContent = event.type + " " + event.payload.session.status;
    document.getElementById("heard").append(line);
  }};
  const session = StripeOnramp("pk_test_shop")
    .createSession({{ clientSecret: "{secret}", appearance: {{ theme: "dark" }} }})
    .addEventListener("onramp_ui_loaded", hear)
    .addEventListener("onramp_session_updated", hear)
    .mount("#onramp");
</script>"""


@define
class Shop:
    """A shop with one user.

    Attributes:
        stripe: The client that the shop calls the API with.
        sandbox: The address of the sandbox.
        url: The address of the shop.
        verified: The sessions that a webhook said are verified.
        params: Parameters of the sessions that the shop makes.
        session: The last session that the shop made.
    """

    stripe: AsyncClient
    sandbox: str
    url: str = ""
    verified: list[str] = field(factory=list)
    params: dict[str, Any] = field(factory=lambda: {"type": "document"})
    session: Any = None

    async def new_session(self) -> Any:
        sessions = self.stripe.identity.verification_sessions
        self.session = await sessions.create(return_url=f"{self.url}/back?user=7", **self.params)
        return self.session

    async def start(self, request: web.Request) -> web.StreamResponse:
        raise web.HTTPSeeOther((await self.new_session()).url)

    async def back(self, request: web.Request) -> web.StreamResponse:
        known = self.session is not None and self.session.id in self.verified
        word = "is verified" if known else "is not verified yet"
        return _html(f"<p>User {request.query['user']} {word}.</p>")

    async def modal(self, request: web.Request) -> web.StreamResponse:
        session = await self.new_session()
        return _html(_MODAL.format(sandbox=self.sandbox, secret=session.client_secret))

    async def onramp(self, request: web.Request) -> web.StreamResponse:
        self.session = await self.stripe.crypto.onramp_sessions.create()
        return _html(_ONRAMP.format(sandbox=self.sandbox, secret=self.session.client_secret))


def _html(body: str) -> web.Response:
    return web.Response(text=_PAGE.format(body=body), content_type="text/html")


async def _home(request: web.Request) -> web.StreamResponse:
    return _html(_START)


@asynccontextmanager
async def open_shop(sandbox: Sandbox) -> AsyncIterator[Shop]:
    """Run a shop on loopback until the block ends, with a webhook endpoint of its own."""
    async with sandbox.client() as stripe:
        shop = Shop(stripe, sandbox.url)
        app = web.Application()
        app.add_routes(
            [
                web.get("/", _home),
                web.post("/start", shop.start),
                web.get("/back", shop.back),
                web.get("/modal", shop.modal),
                web.get("/onramp", shop.onramp),
            ]
        )
        # An endpoint has its secret once its address is known, and so the port.
        handlers: list[Any] = []

        async def deliver(request: web.Request) -> web.StreamResponse:
            return await handlers[0](request)

        app.router.add_post("/hook", deliver)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            shop.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            endpoint = await stripe.webhook_endpoints.create(
                url=f"{shop.url}/hook", enabled_events=["*"]
            )
            handlers.append(webhook_handler(_router(shop, endpoint.secret or "")))
            yield shop
        finally:
            await runner.cleanup()


def _router(shop: Shop, secret: str) -> Router:
    router = Router(Webhook(secret))

    @router.on(VerificationSessionVerified)
    async def admit(event: VerificationSessionVerified) -> None:
        shop.verified.append(event.data.object.id)

    return router
