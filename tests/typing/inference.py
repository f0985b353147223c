"""What a type checker infers in a user's code; checked by mypy and pyright, never run."""

from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

from typing_extensions import assert_type

import pinstripe
from pinstripe import AsyncClient, Page, Pager, Response
from pinstripe.bulk import Outcome, Outcomes, fan_out
from pinstripe.climate import Order, OrderBeneficiary, Product, ProductPrice, Supplier
from pinstripe.crypto import OnrampQuote, OnrampSession, Quotes, QuotesQuery
from pinstripe.events import Event
from pinstripe.files import File, FileLink
from pinstripe.forwarding import ForwardingHeader, ForwardingRequest
from pinstripe.identity import (
    VerificationReport,
    VerificationSession,
    VerificationSessionVerifiedOutputs,
)


async def sessions(stripe: AsyncClient) -> None:
    resource = stripe.identity.verification_sessions
    session = await resource.create(type="document", metadata={"user": "42"})
    assert_type(session, VerificationSession)
    assert_type(session.created, datetime)
    assert_type(session.metadata, dict[str, str])
    assert_type(session.last_verification_report, str | VerificationReport | None)
    assert_type(session.verified_outputs, VerificationSessionVerifiedOutputs | None)
    assert_type(pinstripe.response_of(session), Response)
    session.id = "vs_other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    await resource.create(type="document", options={"document": {"require_live_capture": True}})
    await resource.create(type=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await resource.retrieve()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def pages(stripe: AsyncClient) -> None:
    pager = stripe.identity.verification_sessions.list(
        status="verified", created=pinstripe.Created(gte=datetime.now().astimezone())
    )
    assert_type(pager, Pager[VerificationSession])
    assert_type(await pager, Page[VerificationSession])
    assert_type(pager.cursor, str | None)
    async for session in pager:
        assert_type(session, VerificationSession)
    async for page in pager.pages():
        assert_type(page, Page[VerificationSession])
        assert_type(page.data, tuple[VerificationSession, ...])
    async for report in stripe.identity.verification_reports.list():
        assert_type(report, VerificationReport)
    async for onramp in stripe.crypto.onramp_sessions.list():
        assert_type(onramp, OnrampSession)


async def quotes(stripe: AsyncClient) -> None:
    answer = await stripe.crypto.onramp_quotes.retrieve(source_amount=Decimal("12.50"))
    assert_type(answer, Quotes)
    assert_type(answer.source_amount, Decimal)
    cheapest = answer.cheapest("usdc")
    assert_type(cheapest, OnrampQuote | None)
    if cheapest is not None:
        assert_type(cheapest.destination_amount, Decimal)
        assert_type(cheapest.unit_cost, Fraction | None)
    await stripe.crypto.onramp_quotes.retrieve(source_amount=1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def orders(stripe: AsyncClient) -> None:
    resource = stripe.climate.orders
    order = await resource.create(product="climsku_1", metric_tons=Decimal("0.5"))
    assert_type(order, Order)
    assert_type(order.metric_tons, Decimal)
    assert_type(order.amount_total, int)
    assert_type(order.product, str | Product)
    assert_type(order.delivered_at, datetime | None)
    assert_type(order.beneficiary, OrderBeneficiary | None)
    await resource.update(order.id, beneficiary="")
    await resource.update(order.id, beneficiary={"public_name": "Brindle"})
    await resource.create(product="climsku_1", metric_tons=0.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(resource.list(limit=10), Pager[Order])
    async for product in stripe.climate.products.list():
        assert_type(product.current_prices_per_metric_ton, dict[str, ProductPrice])
        assert_type(product.suppliers, tuple[Supplier, ...])
    assert_type(await stripe.climate.suppliers.retrieve("climsup_1"), Supplier)


async def many(stripe: AsyncClient) -> None:
    queries: list[QuotesQuery] = [{"source_amount": "10"}, {"source_amount": Decimal(20)}]
    outcomes = stripe.crypto.onramp_quotes.retrieve_many(queries, concurrency=8)
    assert_type(outcomes, Outcomes[QuotesQuery, Quotes])
    async for outcome in outcomes:
        assert_type(outcome.value, Quotes | None)
        assert_type(outcome.error, Exception | None)
        assert_type(outcome.unwrap(), Quotes)
    async for retrieved in fan_out(stripe.identity.verification_sessions.retrieve, ["vs_1"]):
        assert_type(retrieved, Outcome[str, VerificationSession])


async def events(stripe: AsyncClient) -> None:
    event = await stripe.events.retrieve("evt_1")
    assert_type(
        event.data.object,
        VerificationSession | OnrampSession | Order | Product | File | dict[str, Any],
    )
    assert_type(event.data.previous_attributes, dict[str, Any] | None)
    if isinstance(event.data.object, Order):
        assert_type(event.data.object.metric_tons, Decimal)
    assert_type(stripe.events.list(type="climate.*"), Pager[Event])


async def forwarding(stripe: AsyncClient) -> None:
    request = await stripe.forwarding.requests.create(
        payment_method="pm_1",
        replacements=["card_number"],
        request={"body": "{}", "headers": [{"name": "Accept", "value": "text/plain"}]},
        url="https://vault.example/",
    )
    assert_type(request, ForwardingRequest)
    assert_type(request.destination_ok, bool)
    if request.response_details is not None:
        assert_type(request.response_details.status, int)
        assert_type(request.response_details.headers, tuple[ForwardingHeader, ...])
    assert_type(stripe.forwarding.requests.list(), Pager[ForwardingRequest])
    stripe.forwarding.requests.list(created=datetime.now().astimezone())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def files(stripe: AsyncClient) -> None:
    file = await stripe.files.create(file=BytesIO(b"x"), filename="x", purpose="pci_document")
    await stripe.files.create(
        file=b"x", filename="x", purpose="new", file_link_data={"create": True}
    )
    await stripe.files.create(file=Path("x"), purpose="new")
    await stripe.files.create(file=7, purpose="new")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(file, File)
    assert_type(file.links, Page[FileLink] | None)
    assert_type(file.url, str | None)
    assert_type(await stripe.files.read(file), bytes)
    assert_type(await stripe.files.download(file.id, "receipt.pdf"), Path)
    report = await stripe.identity.verification_reports.retrieve("vr_1")
    assert_type(await stripe.files.download_images(report, Path("images")), dict[str, Path])
    link = await stripe.file_links.update("link_1", expires_at="now")
    assert_type(link.file, str | File)
    async for listed in stripe.file_links.list(expired=False):
        assert_type(listed, FileLink)
    await stripe.file_links.update("link_1", expires_at="later")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def anything_else(stripe: AsyncClient) -> None:
    assert_type(await stripe.request("GET", "/v1/balance"), Response)
    assert_type(await stripe.request("GET", "/v1/events/{id}", ids={"id": "evt_1"}), Response)
    assert_type(stripe.with_options(timeout=5.0), AsyncClient)
    await stripe.request("PUT", "/v1/x")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
