"""What a user's code infers from the blocking client; checked, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from typing_extensions import assert_type

import pinstripe
from pinstripe import Page, Response
from pinstripe.bulk import Outcome
from pinstripe.climate import Order, Product
from pinstripe.crypto import OnrampSession, Quotes, QuotesQuery
from pinstripe.events import Event
from pinstripe.files import File, FileLink
from pinstripe.forwarding import ForwardingRequest
from pinstripe.identity import VerificationReport, VerificationSession
from pinstripe.sync import Client, Pager, VerificationSessions, fan_out, to_file
from pinstripe.v2 import EventDestination, ThinEvent
from pinstripe.webhook_endpoints import DeletedWebhookEndpoint, WebhookEndpoint


def sessions() -> None:
    with Client() as stripe:
        assert_type(stripe, Client)
        resource = stripe.identity.verification_sessions
        assert_type(resource, VerificationSessions)
        session = resource.create(type="document", metadata={"user": "42"})
        assert_type(session, VerificationSession)
        assert_type(session.created, datetime)
        assert_type(pinstripe.response_of(session), Response)
        resource.create(type="document", options={"document": {"require_live_capture": True}})
        resource.create(type=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        resource.retrieve()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def pages(stripe: Client) -> None:
    pager = stripe.identity.verification_sessions.list(
        status="verified", created=pinstripe.Created(gte=datetime.now().astimezone())
    )
    assert_type(pager, Pager[VerificationSession])
    assert_type(pager.first(), Page[VerificationSession])
    assert_type(pager.cursor, str | None)
    for session in pager:
        assert_type(session, VerificationSession)
    for page in pager.pages():
        assert_type(page, Page[VerificationSession])
    for report in stripe.identity.verification_reports.list():
        assert_type(report, VerificationReport)
    for onramp in stripe.crypto.onramp_sessions.list():
        assert_type(onramp, OnrampSession)
    assert_type(stripe.climate.orders.list(limit=10), Pager[Order])
    assert_type(stripe.climate.products.list(), Pager[Product])
    assert_type(stripe.events.list(type="climate.*"), Pager[Event])
    assert_type(stripe.forwarding.requests.list(), Pager[ForwardingRequest])
    assert_type(stripe.webhook_endpoints.list(), Pager[WebhookEndpoint])
    assert_type(stripe.file_links.list(expired=False), Pager[FileLink])
    assert_type(stripe.v2.core.events.list(types=["v1.file.created"]), Pager[ThinEvent])
    assert_type(stripe.v2.core.event_destinations.list().first(), Page[EventDestination])


def many(stripe: Client, later: AsyncIterator[QuotesQuery]) -> None:
    queries: list[QuotesQuery] = [{"source_amount": "10"}, {"source_amount": Decimal(20)}]
    outcomes = stripe.crypto.onramp_quotes.retrieve_many(queries, concurrency=8)
    assert_type(outcomes, Generator[Outcome[QuotesQuery, Quotes], None, None])
    for outcome in outcomes:
        assert_type(outcome.value, Quotes | None)
        assert_type(outcome.unwrap(), Quotes)
    stripe.crypto.onramp_quotes.retrieve_many(later)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    for retrieved in fan_out(stripe.identity.verification_sessions.retrieve, ["vs_1"]):
        assert_type(retrieved, Outcome[str, VerificationSession])
    assert_type(to_file(stripe.events.list(), "events.parquet"), int)


def calls(stripe: Client) -> None:
    assert_type(stripe.crypto.onramp_quotes.retrieve(source_amount=Decimal(1)), Quotes)
    order = stripe.climate.orders.create(product="climsku_1", metric_tons=Decimal("0.5"))
    assert_type(order, Order)
    assert_type(stripe.webhook_endpoints.delete("we_1"), DeletedWebhookEndpoint)
    assert_type(stripe.files.create(file=Path("x"), purpose="new"), File)
    assert_type(stripe.files.read("file_1"), bytes)
    assert_type(stripe.files.download("file_1", "receipt.pdf"), Path)
    report = stripe.identity.verification_reports.retrieve("vr_1")
    assert_type(stripe.files.download_images(report, Path("images")), dict[str, Path])


def anything_else(stripe: Client, params: dict[str, Any]) -> None:
    assert_type(stripe.request("GET", "/v1/balance", params), Response)
    assert_type(stripe.request("GET", "/v1/events/{id}", ids={"id": "evt_1"}), Response)
    assert_type(stripe.with_options(timeout=5.0), Client)
    stripe.warm_up()
    stripe.close()
    stripe.request("PUT", "/v1/x")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    Client(time_limit=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
