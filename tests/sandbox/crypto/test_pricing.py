"""Prices: the identities that every quote keeps, and how they move."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.sandbox._crypto.pricing import (
    PAIRS,
    SOURCE_CURRENCIES,
    TRANSACTION_FEE,
    Market,
    as_text,
    existing_pairs,
    precision,
)
from pinstripe.sandbox._params.numbers import decimals

CENT = Decimal("0.01")
markets = st.builds(Market, st.integers(0, 2**64), st.integers(0, 60_000_000))
money = st.decimals("0.01", "999999999999999.99", places=2)
sources = st.sampled_from(SOURCE_CURRENCIES)


@given(markets, money, sources, st.sampled_from(PAIRS))
def test_spending(market: Market, amount: Decimal, source: str, pair: tuple[str, str]) -> None:
    price = market.spend(amount, source, *pair)
    unit = Decimal(1).scaleb(-precision(*pair))
    rate = market.rate(pair[0], source)
    assert price.source_amount == amount
    assert price.total == price.source_amount + price.network_fee + price.transaction_fee
    assert abs(price.transaction_fee - amount * TRANSACTION_FEE) <= CENT / 2
    assert price.network_fee >= CENT
    assert price.destination_amount * rate <= amount
    assert (price.destination_amount + unit) * rate * (1 + Decimal("1e-20")) > amount


@given(markets, st.sampled_from(PAIRS), sources, st.data())
def test_receiving(market: Market, pair: tuple[str, str], source: str, data: st.DataObject) -> None:
    unit = Decimal(1).scaleb(-precision(*pair))
    amount = unit * data.draw(st.integers(1, 10**18))  # what the test multiplies stays exact
    price = market.receive(amount, source, *pair)
    cost = amount * market.rate(pair[0], source)
    assert price.destination_amount == amount
    assert cost <= price.source_amount < cost + CENT
    assert price.total == price.source_amount + price.network_fee + price.transaction_fee


@given(markets, st.sampled_from(PAIRS), money)
def test_texts_keep_the_precision_of_the_currency(
    market: Market, pair: tuple[str, str], amount: Decimal
) -> None:
    price = market.spend(amount, "usd", *pair)
    assert len(as_text(price.destination_amount).partition(".")[2]) == precision(*pair)
    for fiat in (price.source_amount, price.network_fee, price.transaction_fee, price.total):
        assert len(as_text(fiat).partition(".")[2]) == 2


@given(markets, st.sampled_from(["btc", "eth", "sol", "avax", "matic", "xlm", "eur"]))
def test_rates_move_smoothly(market: Market, currency: str) -> None:
    now = market.rate(currency, "usd")
    later = Market(market.seed, market.minute + 1).rate(currency, "usd")
    assert abs(later / now - 1) < Decimal("0.003")


def test_rates_do_move_and_a_dollar_stays_a_dollar() -> None:
    rates = {Market(1, minute).rate("btc", "usd") for minute in range(100)}
    assert len(rates) == 100
    assert all(Market(1, minute).rate("usdc", "usd") == 1 for minute in range(100))
    assert Market(1, 5).rate("btc", "usd") != Market(2, 5).rate("btc", "usd")


@given(st.integers(0, 2**32), st.floats(0, 4e9))
def test_the_rates_of_a_quote_were_fetched_shortly_before(seed: int, now: float) -> None:
    assert 0 <= now - Market.at(seed, now).fetched_at <= 61


@pytest.mark.parametrize(
    ("currencies", "networks", "expected"),
    [
        (None, None, PAIRS),
        (["btc"], None, (("btc", "bitcoin"),)),
        (None, ["base"], (("eth", "base"), ("usdc", "base"))),
        (
            ["eth", "usdc"],
            ["base", "solana"],
            (("eth", "base"), ("usdc", "base"), ("usdc", "solana")),
        ),
        (["btc"], ["solana"], ()),
        (["doge"], None, ()),
    ],
)
def test_pairs(currencies: list[str] | None, networks: list[str] | None, expected: object) -> None:
    assert existing_pairs(currencies, networks) == expected


@pytest.mark.parametrize(
    ("amount", "needed"), [("1", 0), ("1.10", 1), ("100", 0), ("0.010", 2), ("1e-18", 18)]
)
def test_decimals_that_are_needed(amount: str, needed: int) -> None:
    assert decimals(Decimal(amount)) == needed
