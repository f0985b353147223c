"""Every endpoint, called by the official SDK, blocking and async, and by ours: the same objects."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import reduce
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests
import stripe
from attrs import frozen

import pinstripe
from pinstripe.sandbox import Sandbox

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


class Destination(BaseHTTPRequestHandler):
    """What requests are forwarded to."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response_only(200)  # without a date, which two answers need not share
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def destination() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Destination)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/charges"
    server.shutdown()
    thread.join()
    server.server_close()


@frozen
class World:
    """A running sandbox, and objects in it for calls to act on."""

    sandbox: Sandbox
    destination: str

    def ours(self, call: Callable[[pinstripe.AsyncClient], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            async with self.sandbox.client() as client:
                return await call(client)

        return asyncio.run(run())

    def session(self) -> str:
        made = self.ours(lambda c: c.identity.verification_sessions.create(type="document"))
        return str(made.id)

    def report(self) -> str:
        session = self.session()
        return str(self.sandbox.identity.verify(session)["last_verification_report"])

    def order(self) -> str:
        order = {"product": self.product(), "metric_tons": "1", "currency": "usd"}
        return str(self.ours(lambda c: c.climate.orders.create(**order)).id)

    def product(self) -> str:
        page = self.ours(lambda c: first(c.climate.products.list()))
        return str(max(page, key=lambda product: product.metric_tons_available).id)

    def supplier(self) -> str:
        return str(self.ours(lambda c: first(c.climate.suppliers.list())).data[0].id)

    def forwarded(self) -> str:
        made = self.ours(lambda c: c.forwarding.requests.create(**forwarding(self)))
        return str(made.id)

    def endpoint(self) -> str:
        made = self.ours(lambda c: c.webhook_endpoints.create(**webhook()))
        return str(made.id)

    def file(self) -> str:
        made = self.ours(lambda c: c.files.create(file=PNG, filename="a.png", purpose=LOGO))
        return str(made.id)

    def known_file(self) -> str:
        page = self.ours(lambda c: first(c.files.list(purpose=LOGO)))
        return str(page.data[0].id) if page else self.file()

    def link(self) -> str:
        file = self.known_file()
        return str(self.ours(lambda c: c.file_links.create(file=file)).id)

    def event(self) -> str:
        self.session()
        return str(self.ours(lambda c: first(c.events.list())).data[0].id)


LOGO = "business_logo"


async def first(pager: Any) -> Any:
    return await pager


def forwarding(world: World) -> dict[str, Any]:
    return {
        "payment_method": "pm_card_visa",
        "url": world.destination,
        "replacements": ["card_number"],
        "request": {
            "body": '{"card": {"number": ""}}',
            "headers": [{"name": "X-Twice", "value": "1"}, {"name": "X-Twice", "value": "2"}],
        },
        "metadata": {"batch": "41"},
    }


def webhook() -> dict[str, Any]:
    return {
        "url": "https://hooks.example/stripe",
        "enabled_events": ["climate.order.created", "identity.verification_session.redacted"],
        "description": "",
    }


@frozen
class Case:
    """One endpoint: what it is called with, by an id of the world where it takes one."""

    method: str
    id: Callable[[World], str] | None = None
    params: Callable[[World], dict[str, Any]] = lambda _: {}


SESSION = {
    "type": "document",
    "metadata": {"naïve": "été & [x]=+%", "empty?": " "},
    "options": {"document": {"allowed_types": ["passport"], "require_live_capture": False}},
    "provided_details": {"email": "somebody@example.com"},
}
CASES = [
    Case("identity.verification_sessions.create", None, lambda _: SESSION),
    Case(
        "identity.verification_sessions.retrieve",
        World.session,
        lambda _: {"expand": ["last_verification_report"]},
    ),
    Case(
        "identity.verification_sessions.update",
        World.session,
        lambda _: {"metadata": {"a": "1"}, "options": {"document": ""}},
    ),
    Case("identity.verification_sessions.list", None, lambda _: {"limit": 3}),
    Case("identity.verification_sessions.cancel", World.session),
    Case("identity.verification_sessions.redact", World.session),
    Case("identity.verification_reports.retrieve", World.report),
    Case("identity.verification_reports.list", None, lambda _: {"limit": 3, "type": "document"}),
    Case(
        "climate.orders.create",
        None,
        lambda w: {
            "product": w.product(),
            "metric_tons": "1.5",
            "currency": "eur",
            "beneficiary": {"public_name": "Brightwater"},
        },
    ),
    Case("climate.orders.retrieve", World.order, lambda _: {"expand": ["product"]}),
    Case("climate.orders.update", World.order, lambda _: {"metadata": {"quarter": "3"}}),
    Case("climate.orders.list", None, lambda _: {"limit": 3, "expand": ["data.product"]}),
    Case("climate.orders.cancel", World.order),
    Case("climate.products.retrieve", World.product),
    Case("climate.products.list", None, lambda _: {"limit": 3}),
    Case("climate.suppliers.retrieve", World.supplier),
    Case("climate.suppliers.list", None, lambda _: {"limit": 3}),
    Case("forwarding.requests.create", None, forwarding),
    Case("forwarding.requests.retrieve", World.forwarded),
    Case("forwarding.requests.list", None, lambda _: {"limit": 3}),
    Case("webhook_endpoints.create", None, lambda _: webhook()),
    Case("webhook_endpoints.retrieve", World.endpoint),
    Case("webhook_endpoints.update", World.endpoint, lambda _: {"disabled": True}),
    Case("webhook_endpoints.list", None, lambda _: {"limit": 3}),
    Case("webhook_endpoints.delete", World.endpoint),
    Case("files.retrieve", World.file),
    Case("files.list", None, lambda _: {"limit": 3}),
    Case("file_links.create", None, lambda w: {"file": w.known_file()}),
    Case("file_links.retrieve", World.link, lambda _: {"expand": ["file"]}),
    Case("file_links.update", World.link, lambda _: {"expires_at": "now"}),
    Case("file_links.list", None, lambda _: {"limit": 3, "expired": False}),
    Case("events.retrieve", World.event),
    Case("events.list", None, lambda _: {"limit": 3, "type": "identity.*"}),
]

RAW = [
    ("post", "/v1/crypto/onramp_sessions", "crypto.onramp_sessions.create"),
    ("get", "/v1/crypto/onramp_sessions", "crypto.onramp_sessions.list"),
    ("get", "/v1/crypto/onramp/quotes", "crypto.onramp_quotes.retrieve"),
]


@pytest.fixture
def world(destination: str) -> Iterator[World]:
    with Sandbox(seed=5) as sandbox:
        yield World(sandbox, destination)


@pytest.fixture
def blocking(world: World) -> Iterator[stripe.StripeClient]:
    session = requests.Session()
    session.trust_env = False
    http = stripe.RequestsClient(session=session)
    yield official(world, http)
    http.close()


def official(world: World, http: stripe.HTTPClient) -> stripe.StripeClient:
    addresses = {"api": world.sandbox.url, "files": world.sandbox.url}
    return stripe.StripeClient(world.sandbox.api_key, base_addresses=addresses, http_client=http)


@asynccontextmanager
async def over_aiohttp(world: World) -> AsyncIterator[stripe.StripeClient]:
    http = stripe.AIOHTTPClient()
    yield official(world, http)
    await http.close_async()


def method_of(client: object, path: str) -> Callable[..., Any]:
    found: Callable[..., Any] = reduce(getattr, path.split("."), client)
    return found


def plain(value: Any) -> Any:
    """What an object of either SDK holds: nothing that is None, decimals as text."""
    if isinstance(value, (stripe.StripeObject, dict)):
        items = value.to_dict() if isinstance(value, stripe.StripeObject) else value
        return {k: plain(v) for k, v in items.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Decimal) else value


# What is new in each answer: secrets, and whatever a call made anew.
FRESH = {"client_secret", "url", "id", "secret", "created", "destination_duration"}
FRESH |= {"confirmed_at", "canceled_at", "expires_at"}


def shape(value: Any, *, same: bool) -> Any:
    """An object with what is fresh in each answer blanked; `same` objects keep all but secrets."""
    blank = {"client_secret", "url"} if same else FRESH
    if isinstance(value, dict):
        return {k: "fresh" if k in blank else shape(v, same=same) for k, v in value.items()}
    return [shape(item, same=same) for item in value] if isinstance(value, list) else value


def makes(case: Case) -> bool:
    return case.method.endswith((".create", ".update", ".cancel", ".redact", ".delete"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.method)
def test_objects_agree(world: World, blocking: stripe.StripeClient, case: Case) -> None:
    for make in (World.report, World.order, World.forwarded, World.endpoint, World.link):
        make(world)  # so that no list is empty
    shared = case.id(world) if case.id and not makes(case) else None

    def arguments() -> tuple[list[str], dict[str, Any]]:
        return [shared or case.id(world)] if case.id else [], case.params(world)

    ids, params = arguments()
    theirs = method_of(blocking.v1, case.method)(*ids, params or None)

    async def call_theirs(ids: list[str], params: dict[str, Any]) -> Any:
        async with over_aiohttp(world) as client:
            return await method_of(client.v1, f"{case.method}_async")(*ids, params or None)

    awaited = asyncio.run(call_theirs(*arguments()))
    ids, params = arguments()
    ours = world.ours(lambda c: method_of(c, case.method)(*ids, **params))

    same = not makes(case)
    expected = shape(plain(theirs), same=same)
    assert expected
    assert shape(plain(awaited), same=same) == expected
    assert shape(plain(pinstripe.to_dict(ours)), same=same) == expected
    held = json.loads(pinstripe.response_of(ours).body)
    assert shape(plain(held), same=same) == expected


def test_uploads_agree(
    world: World,
    blocking: stripe.StripeClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    image = Path("logo.png")
    image.write_bytes(PNG)
    with image.open("rb") as opened:
        theirs = blocking.v1.files.create({"file": opened, "purpose": LOGO})
    ours = world.ours(lambda c: c.files.create(file=image, purpose=LOGO))
    assert shape(plain(pinstripe.to_dict(ours)), same=False) == shape(plain(theirs), same=False)
    assert world.ours(lambda c: c.files.read(theirs.id)) == PNG


@pytest.mark.parametrize(("verb", "path", "method"), RAW, ids=[method for *_, method in RAW])
def test_what_the_sdk_has_no_method_for(
    world: World, blocking: stripe.StripeClient, verb: str, path: str, method: str
) -> None:
    world.ours(lambda c: c.crypto.onramp_sessions.create())
    answer = blocking.raw_request(verb, path)
    theirs = plain(blocking.deserialize(answer, api_mode="V1"))
    ours = plain(pinstripe.to_dict(world.ours(lambda c: first(method_of(c, method)()))))
    assert set(ours) == set(theirs)
    assert shape(ours, same=False).keys() == shape(theirs, same=False).keys()
    assert ours["object"] == theirs["object"]
