"""What a type checker infers in a user's code; checked by mypy and pyright, never run."""

from collections.abc import AsyncGenerator
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from typing_extensions import assert_type

import pinstripe
from pinstripe import AsyncClient, Page, Pager, Response
from pinstripe.bulk import Outcome, fan_out
from pinstripe.crypto import OnrampQuote, OnrampQuotes, OnrampSession, QuotesQuery
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
    assert_type(answer, OnrampQuotes)
    assert_type(answer.source_amount, Decimal)
    cheapest = answer.cheapest("usdc")
    assert_type(cheapest, OnrampQuote | None)
    if cheapest is not None:
        assert_type(cheapest.destination_amount, Decimal)
        assert_type(cheapest.unit_cost, Fraction | None)
    await stripe.crypto.onramp_quotes.retrieve(source_amount=1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def many(stripe: AsyncClient) -> None:
    queries: list[QuotesQuery] = [{"source_amount": "10"}, {"source_amount": Decimal(20)}]
    outcomes = stripe.crypto.onramp_quotes.retrieve_many(queries, concurrency=8)
    assert_type(outcomes, AsyncGenerator[Outcome[QuotesQuery, OnrampQuotes], None])
    async for outcome in outcomes:
        assert_type(outcome.value, OnrampQuotes | None)
        assert_type(outcome.error, Exception | None)
        assert_type(outcome.unwrap(), OnrampQuotes)
    async for retrieved in fan_out(stripe.identity.verification_sessions.retrieve, ["vs_1"]):
        assert_type(retrieved, Outcome[str, VerificationSession])


async def anything_else(stripe: AsyncClient) -> None:
    assert_type(await stripe.request("GET", "/v1/balance"), Response)
    assert_type(stripe.with_options(timeout=5.0), AsyncClient)
    await stripe.request("PUT", "/v1/x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
