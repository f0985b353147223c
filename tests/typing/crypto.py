"""What a user's code infers from the crypto room; checked, never run."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from typing_extensions import assert_type

from pinstripe import AsyncClient, Page, Pager
from pinstripe.bulk import Outcomes
from pinstripe.crypto import OnrampQuote, OnrampSession, Quotes, QuotesQuery, check_query


async def sessions(stripe: AsyncClient) -> None:
    session = await stripe.crypto.onramp_sessions.create(
        source_amount=Decimal("12.50"),
        source_currency="usd",
        destination_networks=("base", "a_new_network"),
        wallet_addresses={"base": "0x", "destination_tags": {"stellar": "1"}},
        kyc_details={"dob": {"year": 1990, "month": 1, "day": 2}},
    )
    assert_type(session, OnrampSession)
    assert_type(session.created, datetime)
    assert_type(session.transaction_details.source_amount, Decimal | None)
    wallets = session.transaction_details.wallet_addresses
    assert_type(wallets.for_network("base") if wallets else None, str | None)
    await stripe.crypto.onramp_sessions.create(
        wallet_addresses={"base_network": "0x"},  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    )
    await stripe.crypto.onramp_sessions.create(
        source_amount=1.5,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    )
    assert_type(stripe.crypto.onramp_sessions.list(status="rejected"), Pager[OnrampSession])
    assert_type(await stripe.crypto.onramp_sessions.list(), Page[OnrampSession])


async def quotes(stripe: AsyncClient, rows: list[dict[str, object]]) -> None:
    answer = await stripe.crypto.onramp_quotes.retrieve(source_amount="100")
    assert_type(answer, Quotes)
    assert_type(answer.rate_fetched_at, datetime)
    assert_type(list(answer), list[OnrampQuote])
    assert_type(answer.filter(currency="usdc", network="base"), tuple[OnrampQuote, ...])
    assert_type(answer.for_network("base"), tuple[OnrampQuote, ...])
    best = answer.cheapest("usdc")
    assert_type(best, OnrampQuote | None)
    if best is not None:
        assert_type(best.unit_cost, Fraction | None)
        assert_type(best.total_fees, Decimal)
    for row in rows:
        check_query(row)


async def many(stripe: AsyncClient) -> None:
    queries: list[QuotesQuery] = [{"source_amount": "1"}, {"destination_networks": ["base"]}]
    outcomes = stripe.crypto.onramp_quotes.retrieve_many(queries)
    assert_type(outcomes, Outcomes[QuotesQuery, Quotes])
    async for outcome in outcomes:
        assert_type(outcome.value, Quotes | None)
        assert_type(outcome.unwrap(), Quotes)
    await stripe.crypto.onramp_quotes.retrieve(**queries[0])
