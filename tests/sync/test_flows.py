"""Flows through every resource, written once and driven over both clients."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest

import pinstripe
from pinstripe.bulk import Progress
from pinstripe.sandbox import Sandbox
from pinstripe.sandbox._server import API_KEY, RESTRICTED_KEY
from tests.support.driving import drive_async, drive_blocking

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


@pytest.fixture(params=[drive_async, drive_blocking], ids=["async", "blocking"])
def drive(request: pytest.FixtureRequest) -> Any:
    with Sandbox() as sandbox:
        yield lambda flow, key=API_KEY: request.param(flow, sandbox, key)


def test_a_verification_from_its_start_to_its_redaction(drive: Any) -> None:
    async def flow(stripe: Any, sandbox: Sandbox) -> None:
        sessions = stripe.identity.verification_sessions
        made = await sessions.create(type="document", metadata={"user": "42"})
        assert pinstripe.response_of(made).status == 200
        sandbox.identity.verify(made.id)
        expand = ["verified_outputs", "last_verification_report"]
        verified = await sessions.retrieve(made.id, expand=expand)
        assert (verified.status, verified.metadata) == ("verified", {"user": "42"})
        report = verified.last_verification_report
        assert (await stripe.identity.verification_reports.retrieve(report.id)).id == report.id
        found = [r.id async for r in stripe.identity.verification_reports.list()]
        assert found == [report.id]
        assert (await sessions.redact(made.id)).redaction.status == "processing"
        other = await sessions.create(type="id_number")
        changed = await sessions.update(other.id, metadata={"a": "b"})
        assert changed.metadata == {"a": "b"}
        assert (await sessions.cancel(other.id)).status == "canceled"

    drive(flow)


def test_quotes_one_by_one_and_many_at_once(drive: Any) -> None:
    async def flow(stripe: Any, sandbox: Sandbox) -> None:
        quotes = await stripe.crypto.onramp_quotes.retrieve(source_amount="250")
        assert quotes.source_amount == Decimal(250)
        reports: list[Progress] = []
        queries = [{"source_amount": n} for n in range(100, 300)] + [{"source_amount": "-1"}]
        outcomes = stripe.crypto.onramp_quotes.retrieve_many(
            queries, concurrency=7, on_progress=reports.append
        )
        seen = [(o.index, o.value and o.value.source_amount) async for o in outcomes]
        assert seen == [*((n, Decimal(100 + n)) for n in range(200)), (200, None)]
        assert reports[-1] == Progress(done=201, failed=1, total=201)

    drive(flow)


def test_an_onramp_session(drive: Any) -> None:
    async def flow(stripe: Any, sandbox: Sandbox) -> None:
        sessions = stripe.crypto.onramp_sessions
        made = await sessions.create(source_currency="usd", customer_ip_address="8.8.8.8")
        sandbox.crypto.advance(made.id, "requires_payment")
        assert (await sessions.retrieve(made.id)).status == "requires_payment"
        assert [s.id async for s in sessions.list(status="requires_payment")] == [made.id]

    drive(flow)


def test_carbon_removal(drive: Any) -> None:
    async def flow(stripe: Any, sandbox: Sandbox) -> None:
        climate = stripe.climate
        products = [p async for p in climate.products.list()]
        product = await climate.products.retrieve(products[0].id)
        suppliers = [s.id async for s in climate.suppliers.list()]
        assert (await climate.suppliers.retrieve(suppliers[0])).id == suppliers[0]
        order = await climate.orders.create(product=product.id, metric_tons="0.5", currency="usd")
        updated = await climate.orders.update(order.id, beneficiary={"public_name": "Ada"})
        assert updated.beneficiary.public_name == "Ada"
        assert (
            await climate.orders.retrieve(order.id, expand=["product"])
        ).product.id == product.id
        assert (await climate.orders.cancel(order.id)).status == "canceled"
        assert len(await climate.orders.list(limit=1)) == 1

    drive(flow)


class Destination(BaseHTTPRequestHandler):
    """What requests are forwarded to."""

    bodies: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def destination() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Destination)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/charges"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_forwarded_card(drive: Any, destination: str) -> None:
    async def flow(stripe: Any, sandbox: Sandbox) -> None:
        requests = stripe.forwarding.requests
        made = await requests.create(
            payment_method="pm_card_visa",
            url=destination,
            replacements=["card_number"],
            request={"body": '{"number": ""}'},
        )
        assert made.destination_ok
        assert len(json.loads(Destination.bodies[-1])["number"]) == 16
        assert (await requests.retrieve(made.id)).id == made.id
        assert [r.id async for r in requests.list()] == [made.id]

    drive(flow)


def test_webhook_endpoints(drive: Any) -> None:
    async def flow(stripe: Any, sandbox: Sandbox) -> None:
        endpoints = stripe.webhook_endpoints
        made = await endpoints.create(url="http://127.0.0.1:9/x", enabled_events=["file.created"])
        assert made.secret.startswith("whsec_")
        assert (await endpoints.retrieve(made.id)).secret is None
        assert (await endpoints.update(made.id, disabled=True)).status == "disabled"
        assert [e.id async for e in endpoints.list()] == [made.id]
        assert (await endpoints.delete(made.id)).deleted
        with pytest.raises(pinstripe.NotFoundError):
            await endpoints.retrieve(made.id)

    drive(flow)


def test_files_up_and_down(drive: Any, tmp_path: Path) -> None:
    async def flow(stripe: Any, sandbox: Sandbox) -> None:
        path = tmp_path / "logo.png"
        path.write_bytes(PNG)
        made = await stripe.files.create(file=path, purpose="business_logo")
        with path.open("rb") as stream:
            again = await stripe.files.create(file=stream, purpose="business_logo")
            assert not stream.closed
        assert (made.filename, made.size, again.size) == ("logo.png", len(PNG), len(PNG))
        assert (await stripe.files.retrieve(made.id)).purpose == "business_logo"
        assert [f.id async for f in stripe.files.list()] == [again.id, made.id]
        down = await stripe.files.download(made, tmp_path / f"down-{made.id}.png")
        assert down.read_bytes() == PNG == await stripe.files.read(again.id)
        link = await stripe.file_links.create(file=made.id)
        linked = await stripe.file_links.download(link, tmp_path / f"link-{made.id}.png")
        assert linked.read_bytes() == PNG
        assert (await stripe.file_links.update(link.id, expires_at="now")).expired
        assert (await stripe.file_links.retrieve(link.id)).url is None
        assert len(await stripe.file_links.list(expired=True)) == 1

    drive(flow)


def test_the_images_of_a_report(drive: Any, tmp_path: Path) -> None:
    async def flow(stripe: Any, sandbox: Sandbox) -> None:
        made = await stripe.identity.verification_sessions.create(type="document")
        sandbox.identity.verify(made.id)
        reports = await stripe.identity.verification_reports.list(verification_session=made.id)
        folder = tmp_path / made.id
        paths = await stripe.files.download_images(reports.data[0], folder)
        assert paths.keys() == set(reports.data[0].document.files)
        assert all(path.parent == folder and path.read_bytes() for path in paths.values())

    drive(flow, key=RESTRICTED_KEY)


def test_walks(drive: Any) -> None:
    async def flow(stripe: Any, sandbox: Sandbox) -> None:
        sandbox.identity.seed(30)
        sessions = stripe.identity.verification_sessions
        pager = sessions.list(limit=7)
        walked = [session.id async for session in pager]
        assert len(walked) == len(set(walked)) == 30
        assert [len(page) async for page in pager.pages()] == [7, 7, 7, 7, 2]
        some = sessions.list(limit=4, max_items=10)
        assert [s.id async for s in some] == walked[:10]
        assert [s.id async for s in sessions.list(cursor=some.cursor)] == walked[10:]
        assert [s.id async for s in sessions.list(ending_before=walked[3])] == walked[2::-1]
        first = await pager
        assert (first.data[0].id, first.has_more) == (walked[0], True)

    drive(flow)


def test_options_and_the_other_endpoints(drive: Any) -> None:
    async def flow(stripe: Any, sandbox: Sandbox) -> None:
        await stripe.warm_up()
        sibling = stripe.with_options(account="acct_1Other", timeout=5)
        made = await sibling.identity.verification_sessions.create(type="document")
        assert (await stripe.events.list(type="identity.*")).data == ()
        event = (await sibling.events.list(type="identity.*")).data[0]
        assert (await sibling.events.retrieve(event.id)).data.object == made
        with pytest.raises(pinstripe.NotFoundError):
            await stripe.identity.verification_sessions.retrieve(made.id)
        path = f"/v1/identity/verification_sessions/{made.id}"
        answer = await sibling.request("GET", path)
        assert json.loads(answer.body)["id"] == made.id

    drive(flow)


def test_an_answer_that_is_lost_and_one_key_that_finishes_it(drive: Any) -> None:
    async def flow(stripe: Any, sandbox: Sandbox) -> None:
        sandbox.faults.add(method="POST", cut=True, effect=True, count=3)
        with pytest.raises(pinstripe.TransportError) as caught:
            await stripe.identity.verification_sessions.create(type="document")
        assert (caught.value.outcome, caught.value.attempts) == ("unknown", 3)
        options = pinstripe.RequestOptions(idempotency_key=caught.value.idempotency_key)
        made = await stripe.identity.verification_sessions.create(
            type="document", request_options=options
        )
        assert pinstripe.response_of(made).replayed
        assert [effect["id"] for effect in sandbox.effects()] == [made.id]

    drive(flow)


def test_what_is_wrong_is_refused_alike(drive: Any) -> None:
    async def flow(stripe: Any, sandbox: Sandbox) -> None:
        with pytest.raises(pinstripe.ConfigurationError, match="metadata"):
            await stripe.identity.verification_sessions.create(type="document", metadata={"a": 1})
        with pytest.raises(pinstripe.ConfigurationError, match="limit"):
            stripe.events.list(limit=0)
        with pytest.raises(pinstripe.InvalidRequestError) as caught:
            await stripe.climate.orders.create(product="climsku_none", metric_tons=1)
        assert caught.value.request_id
        with pytest.raises(pinstripe.ConfigurationError, match="concurrency"):
            stripe.crypto.onramp_quotes.retrieve_many([], concurrency=0)

    drive(flow)


def test_the_blocking_client_has_every_method() -> None:
    def methods(kind: Any) -> set[str]:
        return {name for name, _ in inspect.getmembers(kind) if not name.startswith("_")}

    renamed = {"aclose": "close"}
    ours = {renamed.get(name, name) for name in methods(pinstripe.AsyncClient)}
    assert methods(pinstripe.Client) == ours
