"""Prices onramp quotes: exact decimals that move with the clock, fees, totals.

Rates walk smoothly around an invented base price, from minute to minute, as a function of seed
and clock alone. What a quote says is consistent: the total is the amount plus both fees to the
cent, and the amount received is the amount divided by the rate, rounded down at the precision of
the currency. Choices where the published facts are silent: the transaction fee is 2.49 %; usdc
has two decimals, six on base; quotes are given in usd and eur, sessions in the other source
currencies too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Context, Decimal, localcontext
from functools import lru_cache
from typing import Final

import attrs

CURRENCIES: Final = ("avax", "btc", "eth", "matic", "ripusd", "sol", "usdc", "usdt", "wld", "xlm")
NETWORKS: Final = (
    "avalanche",
    "base",
    "bitcoin",
    "celo",
    "ethereum",
    "optimism",
    "polygon",
    "solana",
    "stellar",
    "sui",
    "tempo",
    "worldchain",
)
QUOTED_NETWORKS: Final = (
    "avalanche",
    "base",
    "bitcoin",
    "ethereum",
    "polygon",
    "solana",
    "stellar",
)
SOURCE_CURRENCIES: Final = ("cad", "cop", "eur", "gbp", "php", "usd")

PAIRS: Final = (
    ("avax", "avalanche"),
    ("usdc", "avalanche"),
    ("eth", "base"),
    ("usdc", "base"),
    ("btc", "bitcoin"),
    ("eth", "ethereum"),
    ("usdc", "ethereum"),
    ("matic", "polygon"),
    ("usdc", "polygon"),
    ("sol", "solana"),
    ("usdc", "solana"),
    ("xlm", "stellar"),
    ("usdc", "stellar"),
)

TRANSACTION_FEE: Final = Decimal("0.0249")
CENT: Final = Decimal("0.01")

_PRECISION: Final = {"avax": 18, "btc": 8, "eth": 18, "matic": 18, "sol": 9, "xlm": 8, "usdc": 2}
_USDC_ON_BASE: Final = 6

_DOLLARS: Final = {
    "avax": Decimal("23.62"),
    "btc": Decimal(94800),
    "eth": Decimal(3470),
    "matic": Decimal("0.235"),
    "sol": Decimal("166.8"),
    "usdc": Decimal(1),
    "xlm": Decimal("0.26"),
    "cad": Decimal("0.715"),
    "cop": Decimal("0.00026"),
    "eur": Decimal("1.165"),
    "gbp": Decimal("1.315"),
    "php": Decimal("0.0171"),
    "usd": Decimal(1),
}
_NETWORK_FEE: Final = {
    ("btc", "bitcoin"): Decimal("1.84"),
    ("eth", "ethereum"): Decimal("0.62"),
    ("usdc", "ethereum"): Decimal("1.31"),
    ("usdc", "solana"): Decimal("0.03"),
    ("usdc", "avalanche"): Decimal("0.02"),
}
_STEADY: Final = frozenset({"usd", "usdc"})
_FIAT_SWING: Final = Decimal("0.004")
_CRYPTO_SWING: Final = Decimal("0.05")
_FEE_SWING: Final = Decimal("0.4")
_MINUTES: Final = 60
_CONTEXT: Final = Context(prec=60)


@attrs.frozen
class Price:
    """What one currency on one network costs; amounts of money are in the source currency.

    Args:
        currency: what is bought.
        network: where it is delivered.
        source_amount: money that is exchanged, two decimals.
        destination_amount: what arrives, at the precision of the currency.
        network_fee: two decimals.
        transaction_fee: two decimals.
    """

    currency: str
    network: str
    source_amount: Decimal
    destination_amount: Decimal
    network_fee: Decimal
    transaction_fee: Decimal

    @property
    def total(self) -> Decimal:
        """What the customer pays: the amount and both fees."""
        return self.source_amount + self.network_fee + self.transaction_fee


@attrs.frozen
class Market:
    """The prices of one minute.

    Args:
        seed: sets the walk of the rates.
        minute: whole minutes since the epoch.
    """

    seed: int
    minute: int

    @classmethod
    def at(cls, seed: int, now: float) -> Market:
        """Return the market at a time in seconds since the epoch."""
        return cls(seed, int(now) // 60)

    @property
    def fetched_at(self) -> float:
        """When the rates were fetched: within the second before the minute began."""
        return round(self.minute * 60 - _noise(self.seed, "fetched", self.minute) / 2**32, 7)

    def rate(self, currency: str, source: str) -> Decimal:
        """Return the price of one unit of a currency, in the source currency."""
        return _rate(self.seed, self.minute, currency, source)

    def spend(self, amount: Decimal, source: str, currency: str, network: str) -> Price:
        """Price an amount of money, with two decimals at most."""
        with localcontext(_CONTEXT):
            places = precision(currency, network)
            received = fixed(amount / self.rate(currency, source), places)
            return self._price(fixed(amount, 2), received, source, currency, network)

    def receive(self, amount: Decimal, source: str, currency: str, network: str) -> Price:
        """Price an amount of what arrives."""
        with localcontext(_CONTEXT):
            cost = (amount * self.rate(currency, source)).quantize(CENT, ROUND_UP)
            received = fixed(amount, precision(currency, network))
            return self._price(cost, received, source, currency, network)

    def _price(
        self, cost: Decimal, received: Decimal, source: str, currency: str, network: str
    ) -> Price:
        return Price(
            currency=currency,
            network=network,
            source_amount=cost,
            destination_amount=received,
            network_fee=_network_fee(self.seed, self.minute, currency, network, source),
            transaction_fee=(cost * TRANSACTION_FEE).quantize(CENT, ROUND_HALF_UP),
        )


def precision(currency: str, network: str) -> int:
    """Return the number of decimals of amounts of a currency on a network."""
    return _USDC_ON_BASE if (currency, network) == ("usdc", "base") else _PRECISION[currency]


def plain(amount: Decimal) -> str:
    """Write an amount without an exponent, trailing zeros kept."""
    return f"{amount:f}"


def fixed(amount: Decimal, places: int) -> Decimal:
    """Return an amount with exactly so many decimals, rounded down."""
    return amount.quantize(Decimal(1).scaleb(-places), ROUND_DOWN, _CONTEXT)


def pairs(currencies: list[str] | None, networks: list[str] | None) -> tuple[tuple[str, str], ...]:
    """Return the pairs of currency and network that exist, within two filters (None for all)."""
    return tuple(
        (currency, network)
        for currency, network in PAIRS
        if (currencies is None or currency in currencies)
        and (networks is None or network in networks)
    )


@lru_cache(maxsize=256)
def _rate(seed: int, minute: int, currency: str, source: str) -> Decimal:
    with localcontext(_CONTEXT):
        ratio = _dollars(seed, minute, currency) / _dollars(seed, minute, source)
        return ratio.quantize(Decimal("1e-12"))


@lru_cache(maxsize=256)
def _network_fee(seed: int, minute: int, currency: str, network: str, source: str) -> Decimal:
    with localcontext(_CONTEXT):
        base = _NETWORK_FEE.get((currency, network), CENT)
        swing = 1 + _FEE_SWING * _walk(seed, f"fee:{currency}:{network}", minute)
        fee = base * swing / _dollars(seed, minute, source)
        return max(CENT, fee.quantize(CENT, ROUND_HALF_UP))


def _dollars(seed: int, minute: int, currency: str) -> Decimal:
    if currency in _STEADY:
        return _DOLLARS[currency]
    swing = _FIAT_SWING if currency in SOURCE_CURRENCIES else _CRYPTO_SWING
    return _DOLLARS[currency] * (1 + swing * _walk(seed, currency, minute))


def _walk(seed: int, name: str, minute: int) -> Decimal:
    hour, step = divmod(minute, _MINUTES)
    before, after = _noise(seed, name, hour), _noise(seed, name, hour + 1)
    mixed = before * (_MINUTES - step) + after * step
    return Decimal(mixed) / (_MINUTES * 2**31) - 1


@lru_cache(maxsize=1024)
def _noise(seed: int, name: str, step: int) -> int:
    digest = hashlib.sha256(f"{seed}:{name}:{step}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


MAP_KEYS: Final[Mapping[str, str]] = {
    network: "base_network" if network == "base" else network for network in NETWORKS
}
