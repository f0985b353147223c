"""Prices of the onramp: exact decimals with fees and totals, which move with the clock.

The rates follow from the seed and the clock alone, so the same minute always has the same prices.
Each currency has an invented base value in US dollars. For each hour a hash of the seed gives a
number from -1 to 1, and between two hours this number moves along a straight line. A currency is
worth its base value, changed by that number times a few percent.

A price is consistent in itself: the total is the amount plus both fees, exact to the cent, and the
amount received is the amount divided by the rate, rounded down at the precision of the currency.

Choices where the published facts are silent: the transaction fee is 2.49 %; usdc has two decimals,
six on base; quotes are given in usd and eur, sessions in the other source currencies too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Context, Decimal, localcontext
from functools import lru_cache
from typing import Final

from attrs import frozen

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

# The API names a network in its maps as in its lists, with one exception.
NETWORK_KEYS: Final[Mapping[str, str]] = {
    network: "base_network" if network == "base" else network for network in NETWORKS
}

TRANSACTION_FEE: Final = Decimal("0.0249")
CENT: Final = Decimal("0.01")

# How many decimals an amount of a currency has. USDC differs by network.
_PRECISION: Final = {"avax": 18, "btc": 8, "eth": 18, "matic": 18, "sol": 9, "xlm": 8, "usdc": 2}
_USDC_ON_BASE: Final = 6

# The invented base values in US dollars, close to those of a day in late 2025.
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
# The invented base fees in US dollars. Every other pair pays about a cent.
_NETWORK_FEE: Final = {
    ("btc", "bitcoin"): Decimal("1.84"),
    ("eth", "ethereum"): Decimal("0.62"),
    ("usdc", "ethereum"): Decimal("1.31"),
    ("usdc", "solana"): Decimal("0.03"),
    ("usdc", "avalanche"): Decimal("0.02"),
}
_PEGGED: Final = frozenset({"usd", "usdc"})
# The largest share by which a value departs from its base: 0.004 is 0.4 %.
_FIAT_SWING: Final = Decimal("0.004")
_CRYPTO_SWING: Final = Decimal("0.05")
_FEE_SWING: Final = Decimal("0.4")
_MINUTES: Final = 60
# An amount can have 15 digits before the point and 18 after; the default of 28 would round it.
_CONTEXT: Final = Context(prec=60)


@frozen
class Price:
    """The price of one currency on one network. Amounts of money are in the source currency.

    Attributes:
        currency: The currency that is bought.
        network: The network that it is delivered on.
        source_amount: The money that is exchanged, with two decimals.
        destination_amount: The amount that arrives, at the precision of the currency.
        network_fee: The fee of the network, with two decimals.
        transaction_fee: The fee of the service, with two decimals.
    """

    currency: str
    network: str
    source_amount: Decimal
    destination_amount: Decimal
    network_fee: Decimal
    transaction_fee: Decimal

    @property
    def total(self) -> Decimal:
        """The amount that the customer pays: the exchanged money and both fees."""
        return self.source_amount + self.network_fee + self.transaction_fee


@frozen
class Market:
    """The rates of one minute.

    Attributes:
        seed: The seed that the rates follow from.
        minute: Whole minutes since the epoch.
    """

    seed: int
    minute: int

    @classmethod
    def at(cls, seed: int, now: float) -> Market:
        """Return the market at a time in seconds since the epoch."""
        return cls(seed, int(now) // 60)

    @property
    def fetched_at(self) -> float:
        """The time at which the rates were fetched: within the second before the minute."""
        return round(self.minute * 60 - _noise(self.seed, "fetched", self.minute) / 2**32, 7)

    def rate(self, currency: str, source: str) -> Decimal:
        """Return the price of one unit of a currency, in the source currency."""
        return _rate(self.seed, self.minute, currency, source)

    def spend(self, amount: Decimal, source: str, currency: str, network: str) -> Price:
        """Return the price if a given amount of money is exchanged.

        Args:
            amount: The money, with at most two decimals.
            source: The currency of the money.
            currency: The currency that is bought.
            network: The network that it is delivered on.
        """
        with localcontext(_CONTEXT):
            # The customer never receives more than the money buys.
            received = round_down(
                amount / self.rate(currency, source), precision(currency, network)
            )
            return self._price(round_down(amount, 2), received, source, currency, network)

    def receive(self, amount: Decimal, source: str, currency: str, network: str) -> Price:
        """Return the price if a given amount has to arrive.

        Args:
            amount: The amount that arrives, at most as precise as the currency.
            source: The currency that is paid with.
            currency: The currency that is bought.
            network: The network that it is delivered on.
        """
        with localcontext(_CONTEXT):
            # The customer never pays less than the amount costs.
            cost = (amount * self.rate(currency, source)).quantize(CENT, ROUND_UP)
            received = round_down(amount, precision(currency, network))
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


def as_text(amount: Decimal) -> str:
    """Return an amount as text, without an exponent and with its trailing zeros."""
    return f"{amount:f}"


def round_down(amount: Decimal, places: int) -> Decimal:
    """Return an amount with exactly this number of decimals, rounded down."""
    return amount.quantize(Decimal(1).scaleb(-places), ROUND_DOWN, _CONTEXT)


def existing_pairs(
    currencies: list[str] | None, networks: list[str] | None
) -> tuple[tuple[str, str], ...]:
    """Return the pairs of currency and network that exist and pass two filters.

    Args:
        currencies: The currencies to keep; None for all.
        networks: The networks to keep; None for all.
    """
    return tuple(
        (currency, network)
        for currency, network in PAIRS
        if (currencies is None or currency in currencies)
        and (networks is None or network in networks)
    )


# The caches below hold what the quotes of one minute share: every currency and every pair at once.


@lru_cache(maxsize=256)
def _rate(seed: int, minute: int, currency: str, source: str) -> Decimal:
    with localcontext(_CONTEXT):
        ratio = _dollars(seed, minute, currency) / _dollars(seed, minute, source)
        return ratio.quantize(Decimal("1e-12"))


@lru_cache(maxsize=256)
def _network_fee(seed: int, minute: int, currency: str, network: str, source: str) -> Decimal:
    with localcontext(_CONTEXT):
        base = _NETWORK_FEE.get((currency, network), CENT)
        swing = 1 + _FEE_SWING * _drift(seed, f"fee:{currency}:{network}", minute)
        fee = base * swing / _dollars(seed, minute, source)
        return max(CENT, fee.quantize(CENT, ROUND_HALF_UP))


def _dollars(seed: int, minute: int, currency: str) -> Decimal:
    if currency in _PEGGED:
        return _DOLLARS[currency]
    swing = _FIAT_SWING if currency in SOURCE_CURRENCIES else _CRYPTO_SWING
    return _DOLLARS[currency] * (1 + swing * _drift(seed, currency, minute))


def _drift(seed: int, name: str, minute: int) -> Decimal:
    """Return a number from -1 to 1 that moves smoothly from minute to minute."""
    hour, step = divmod(minute, _MINUTES)
    before, after = _noise(seed, name, hour), _noise(seed, name, hour + 1)
    # A straight line between the hours, in integers so that it is exact. The noise has 32 bits:
    # divided by 2**31 it goes from 0 to 2.
    mixed = before * (_MINUTES - step) + after * step
    return Decimal(mixed) / (_MINUTES * 2**31) - 1


@lru_cache(maxsize=1024)
def _noise(seed: int, name: str, step: int) -> int:
    digest = hashlib.sha256(f"{seed}:{name}:{step}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
