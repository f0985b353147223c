"""Every endpoint, called by the official SDK, blocking and async, and by ours: the same objects."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
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
from pinstripe.events import ThinEvent
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


class Received(ThreadingHTTPServer):
    """A receiver of webhooks, and what it received: bodies with their signatures."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiving)
        self.url = f"http://127.0.0.1:{self.server_port}/hook"
        self.deliveries: list[tuple[bytes, str]] = []


class Receiving(Destination):
    """Keeps what it is sent."""

    server: Received

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.deliveries.append((body, self.headers["Stripe-Signature"]))
        self.send_response_only(200)
        self.end_headers()


@pytest.fixture
def received() -> Iterator[Received]:
    with Received() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


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

    def event_destination(self) -> str:
        made = self.ours(lambda c: c.v2.core.event_destinations.create(**ledger()))
        return str(made.id)

    def thin_event(self) -> str:
        self.session()
        return str(self.ours(lambda c: first(c.v2.core.events.list())).data[0].id)

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


def ledger() -> dict[str, Any]:
    return {
        "name": "ledger",
        "type": "webhook_endpoint",
        "event_payload": "thin",
        "enabled_events": ["v1.climate.order.created"],
        "events_from": ["@self", "@accounts"],
        "metadata": {"naïve": "été & [x]=+%"},
        "webhook_endpoint": {"url": "https://hooks.example/stripe?a=b&c"},
        "include": ["webhook_endpoint.signing_secret", "webhook_endpoint.url"],
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

SHOWN = {"include": ["webhook_endpoint.url"]}
CHANGED = {"name": "books", "metadata": {"naïve": None, "b": "1"}, **SHOWN}
V2_CASES = [
    Case("v2.core.events.retrieve", World.thin_event),
    Case(
        "v2.core.events.list",
        None,
        lambda _: {"limit": 2, "types": ["v1.identity.verification_session.created"]},
    ),
    Case("v2.core.event_destinations.create", None, lambda _: ledger()),
    Case("v2.core.event_destinations.retrieve", World.event_destination, lambda _: SHOWN),
    Case("v2.core.event_destinations.update", World.event_destination, lambda _: CHANGED),
    Case("v2.core.event_destinations.list", None, lambda _: {"limit": 2, **SHOWN}),
    Case("v2.core.event_destinations.disable", World.event_destination),
    Case("v2.core.event_destinations.enable", World.event_destination),
    Case("v2.core.event_destinations.ping", World.event_destination),
    Case("v2.core.event_destinations.delete", World.event_destination),
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


RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def plain(value: Any) -> Any:
    """What an object of either SDK holds: nothing that is None, decimals as text."""
    if isinstance(value, (stripe.StripeObject, dict)):
        items = value.to_dict() if isinstance(value, stripe.StripeObject) else value
        return {k: plain(v) for k, v in items.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, str) and RFC3339.fullmatch(value):
        return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
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


@pytest.mark.uncounted
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


def v2_shape(value: Any) -> Any:
    """An object of `/v2` with what is fresh in each answer blanked."""
    fresh = {*FRESH, "updated", "signing_secret", "idempotency_key", "snapshot_event"}
    if isinstance(value, dict):
        return {k: "fresh" if k in fresh else v2_shape(v) for k, v in value.items()}
    return [v2_shape(item) for item in value] if isinstance(value, list) else value


@pytest.mark.uncounted
@pytest.mark.parametrize("case", V2_CASES, ids=lambda case: case.method)
def test_objects_of_version_2_agree(
    world: World, blocking: stripe.StripeClient, case: Case
) -> None:
    for make in (World.event_destination, World.thin_event, World.session):
        make(world)  # so that no list is empty

    def arguments() -> tuple[list[str], dict[str, Any]]:
        return [case.id(world)] if case.id else [], case.params(world)

    ids, params = arguments()
    extra = [params] if params else []
    theirs = plain(method_of(blocking, case.method)(*ids, *extra))

    async def call_theirs(ids: list[str]) -> Any:
        async with over_aiohttp(world) as client:
            return await method_of(client, f"{case.method}_async")(*ids, *extra)

    awaited = plain(asyncio.run(call_theirs(arguments()[0])))
    ids, params = arguments()
    ours = world.ours(lambda c: method_of(c, case.method)(*ids, **params))
    held = plain(json.loads(pinstripe.response_of(ours).body))
    if case.method.endswith(".list"):
        held, theirs, awaited = held["data"], theirs["data"], awaited["data"]
    read = [plain(pinstripe.to_dict(one)) for one in (ours if isinstance(theirs, list) else [ours])]
    expected = v2_shape(theirs)
    assert expected
    assert v2_shape(awaited) == v2_shape(held) == expected
    assert v2_shape(read if isinstance(theirs, list) else read[0]) == expected


def test_pages_of_version_2_agree(world: World, blocking: stripe.StripeClient) -> None:
    for _ in range(5):
        world.session()
    theirs = blocking.v2.core.events.list({"limit": 2}).auto_paging_iter()
    ours = world.ours(ids_of_events)
    assert [event.id for event in theirs] == ours
    assert len(ours) == 5


async def ids_of_events(client: pinstripe.AsyncClient) -> list[str]:
    return [event.id async for event in client.v2.core.events.list(limit=2)]


def test_a_thin_delivery_is_read_and_completed_by_both(
    world: World, blocking: stripe.StripeClient, received: Received
) -> None:
    async def deliver(client: pinstripe.AsyncClient) -> tuple[Any, str]:
        made = await client.v2.core.event_destinations.create(
            **{
                **ledger(),
                "enabled_events": ["v1.identity.verification_session.created"],
                "webhook_endpoint": {"url": received.url},
            }
        )
        connected = client.with_options(context="acct_connected")
        session = await connected.identity.verification_sessions.create(type="document")
        await asyncio.to_thread(world.sandbox.webhooks.wait)
        return made, session.id

    destination, session = world.ours(deliver)
    secret = destination.webhook_endpoint.signing_secret
    (delivery,) = received.deliveries
    body, signature = delivery
    theirs = blocking.parse_event_notification(body, signature, secret)
    ours = pinstripe.webhooks.Webhook(secret).parse(body, signature)
    assert isinstance(ours, ThinEvent)
    assert str(theirs.context) == ours.context == "acct_connected"
    assert theirs.fetch_related_object().id == session
    assert world.ours(lambda c: c.events.fetch_related(ours)).id == session
    options = pinstripe.RequestOptions(context=ours.context)
    whole = world.ours(lambda c: c.v2.core.events.retrieve(ours.id, request_options=options))
    assert theirs.fetch_event().snapshot_event == whole.snapshot_event is not None


def test_the_errors_of_version_2_agree(world: World, blocking: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as theirs:
        blocking.v2.core.event_destinations.retrieve("ed_test_none")
    with pytest.raises(pinstripe.NotFoundError) as ours:
        world.ours(lambda c: c.v2.core.event_destinations.retrieve("ed_test_none"))
    assert theirs.value.code == ours.value.code == "not_found"
    assert theirs.value.http_status == ours.value.status == 404
    for _ in range(16):
        world.event_destination()
    with pytest.raises(stripe.QuotaExceededError):
        blocking.v2.core.event_destinations.create(ledger())
    with pytest.raises(pinstripe.APIError) as ours_too:
        world.event_destination()
    assert ours_too.value.type == "quota_exceeded"


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
