"""Crypto onramp: sessions in which a customer buys crypto, and quotes of what that costs.

https://docs.stripe.com/api/crypto/onramp_sessions

The network Base is `base` among the values of the API and `base_network` among its keys. Here it
is written `base` in every argument and every lookup, and put on the wire as the API wants it;
`base_network` as an argument is refused. The models keep the wire's keys as their field names.

Whatever opens a session or leads to its customer (client secret, link, wallets and their tags, the
hash of a transaction, metadata) is left out of every repr; read the attribute, or use `to_dict`.
"""

from __future__ import annotations

from collections.abc import (
    AsyncIterable,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from datetime import datetime
from decimal import Context, Decimal
from fractions import Fraction
from typing import Literal

from attrs import asdict

from pinstripe._config.options import RequestOptions
from pinstripe._core.tracebacks import hide_frames
from pinstripe._http.encoding import headers_for
from pinstripe._http.messages import Sender
from pinstripe._models.page import Page
from pinstripe._models.record import Listed, Model, Private, Record, model
from pinstripe._resources.endpoint import Endpoint
from pinstripe._resources.onramp_params import (
    WIRE_KEYS,
    DestinationCurrency,
    DestinationNetwork,
    DestinationTagsParam,
    KycAddressParam,
    KycDetailsParam,
    KycDobParam,
    QuotesQuery,
    SourceCurrency,
    WalletAddressesParam,
    check_code,
    check_queries,
    check_query,
    check_session,
)
from pinstripe._resources.pager import Pager
from pinstripe._resources.resource import Resource
from pinstripe._resources.walk import Created, Paging
from pinstripe.bulk import Outcomes, Progress, fan_out

__all__ = [
    "Crypto",
    "DestinationCurrency",
    "DestinationNetwork",
    "DestinationTagsParam",
    "KycAddressParam",
    "KycDetailsParam",
    "KycDobParam",
    "OnrampDestinationTags",
    "OnrampQuote",
    "OnrampQuoteFees",
    "OnrampQuotes",
    "OnrampSession",
    "OnrampSessionFees",
    "OnrampSessionStatus",
    "OnrampSessions",
    "OnrampTransactionDetails",
    "OnrampWalletAddresses",
    "Quotes",
    "QuotesQuery",
    "SettlementSpeed",
    "SourceCurrency",
    "WalletAddressesParam",
    "check_query",
]

OnrampSessionStatus = (
    Literal[
        "fulfillment_complete",
        "fulfillment_processing",
        "initialized",
        "quote_ready",
        "rejected",
        "requires_payment",
    ]
    | str
)
"""Where a session stands; `quote_ready` is seen only where there is no widget."""

SettlementSpeed = Literal["instant", "standard"] | str
"""When the crypto is delivered: at once, or when the payment has settled."""

# Sums do not depend on the caller's decimal context; no amount of the API has so many digits.
_EXACT = Context(prec=1000, traps=[])


@model
class OnrampDestinationTags(Record):
    """The tags that tell apart the users of one shared wallet."""

    stellar: Private[str | None] = None


@model
class OnrampWalletAddresses(Record):
    """The customer's wallets, one a network."""

    avalanche: Private[str | None] = None
    base_network: Private[str | None] = None
    bitcoin: Private[str | None] = None
    celo: Private[str | None] = None
    destination_tags: Private[OnrampDestinationTags | None] = None
    ethereum: Private[str | None] = None
    optimism: Private[str | None] = None
    polygon: Private[str | None] = None
    solana: Private[str | None] = None
    stellar: Private[str | None] = None
    sui: Private[str | None] = None
    tempo: Private[str | None] = None
    worldchain: Private[str | None] = None

    @property
    def base(self) -> str | None:
        """The wallet on Base."""
        return self.base_network

    def for_network(self, network: DestinationNetwork) -> str | None:
        """Return the wallet on a network, or None where there is none.

        Args:
            network: The name of the network, such as `"base"`.
        """
        address = asdict(self, recurse=False).get(WIRE_KEYS.get(network, network))
        return address if isinstance(address, str) else None


@model
class OnrampSessionFees(Record):
    """The fees of a session, in its source currency."""

    network_fee_amount: Decimal | None = None
    transaction_fee_amount: Decimal | None = None


@model
class OnrampTransactionDetails(Record):
    """What is bought, where it goes and what it costs.

    `source_amount` is without the fees. `last_error` and `settlement_speed` are there only in
    previews of the API.
    """

    destination_amount: Decimal | None = None
    destination_currencies: tuple[DestinationCurrency, ...] | None = None
    destination_currency: DestinationCurrency | None = None
    destination_network: DestinationNetwork | None = None
    destination_networks: tuple[DestinationNetwork, ...] | None = None
    fees: OnrampSessionFees | None = None
    last_error: str | None = None
    lock_wallet_address: bool | None = None
    settlement_speed: SettlementSpeed | None = None
    source_amount: Decimal | None = None
    source_currency: SourceCurrency | None = None
    transaction_id: Private[str | None] = None
    wallet_address: Private[str | None] = None
    wallet_addresses: Private[OnrampWalletAddresses | None] = None


@model
class OnrampSession(Listed):
    """One visit of a customer who buys crypto.

    https://docs.stripe.com/api/crypto/onramp_sessions/object

    Whoever holds `client_secret` or `redirect_url` can go on with the purchase.
    """

    id: str
    object: Literal["crypto.onramp_session"] = "crypto.onramp_session"
    created: datetime
    livemode: bool
    status: OnrampSessionStatus
    client_secret: Private[str]
    transaction_details: OnrampTransactionDetails
    kyc_details_provided: bool | None = None
    metadata: Private[dict[str, str] | None] = None
    redirect_url: Private[str | None] = None


@model
class OnrampQuoteFees(Record):
    """The fees of a quote, in the source currency."""

    network_fee_monetary: Decimal
    transaction_fee_monetary: Decimal


@model
class OnrampQuote(Record):
    """What one currency costs on one network.

    `source_total_amount` is what the customer pays for `destination_amount`, fees included.
    """

    id: str | None = None
    destination_amount: Decimal
    destination_currency: DestinationCurrency
    destination_network: DestinationNetwork
    fees: OnrampQuoteFees
    source_total_amount: Decimal

    @property
    def total_fees(self) -> Decimal:
        """Both fees together, in the source currency."""
        return _EXACT.add(self.fees.network_fee_monetary, self.fees.transaction_fee_monetary)

    @property
    def unit_cost(self) -> Fraction | None:
        """What one unit of the crypto costs, fees included; exact, so a fraction.

        None where it has no price: nothing is received, or an amount is negative, not a number,
        or longer than any amount can be.
        """
        if not (_is_amount(self.destination_amount) and _is_amount(self.source_total_amount)):
            return None
        if self.destination_amount <= 0 or self.source_total_amount < 0:
            return None
        return Fraction(self.source_total_amount) / Fraction(self.destination_amount)


def _is_amount(value: Decimal) -> bool:
    # A fraction writes its exponent out: 1E+999999999 would be a gigabyte of zeros.
    exponent, longest = value.as_tuple().exponent, _EXACT.prec
    return isinstance(exponent, int) and exponent > -longest and value.adjusted() < longest


def _rank(quote: OnrampQuote) -> tuple[Fraction, Decimal, Decimal, str, str] | None:
    cost = quote.unit_cost
    if cost is None:
        return None
    # Where both cost nothing, more of it is better; minus would round in the caller's context.
    received = quote.destination_amount.copy_negate()
    total = quote.source_total_amount
    return cost, total, received, quote.destination_network, quote.id or ""


@model
class Quotes(Model):
    """Estimates for every currency and network that was asked for; iterate it for each quote.

    https://docs.stripe.com/api/crypto/onramp_quotes

    Attributes:
        id: An id of this answer, by which it cannot be retrieved.
        destination_network_quotes: The quotes by the API's key of each network, of which a new
            one can come any time; `for_network` looks one up by its name.
        rate_fetched_at: When the rates were current; the price can have moved since.
        source_amount: What is paid for the crypto, without the fees.
    """

    id: str
    object: Literal["crypto.onramp.quotes"] = "crypto.onramp.quotes"
    destination_network_quotes: dict[str, tuple[OnrampQuote, ...] | None]
    livemode: bool
    rate_fetched_at: datetime
    source_amount: Decimal
    source_currency: SourceCurrency

    def __repr__(self) -> str:
        paid = f"{self.source_amount} {self.source_currency}"
        return f"OnrampQuotes(<{len(self)} quotes for {paid}>)"

    def __iter__(self) -> Iterator[OnrampQuote]:
        for quotes in self.destination_network_quotes.values():
            yield from quotes or ()

    def __len__(self) -> int:
        return sum(len(quotes or ()) for quotes in self.destination_network_quotes.values())

    @property
    def currencies(self) -> tuple[DestinationCurrency, ...]:
        """The currencies that have a quote, each once, in the order of the answer."""
        return tuple(dict.fromkeys(quote.destination_currency for quote in self))

    def for_network(self, network: DestinationNetwork) -> tuple[OnrampQuote, ...]:
        """Return the quotes on a network, none where it has none.

        Args:
            network: The name of the network, such as `"base"`.
        """
        return self.destination_network_quotes.get(WIRE_KEYS.get(network, network)) or ()

    def filter(
        self,
        *,
        currency: DestinationCurrency | None = None,
        network: DestinationNetwork | None = None,
    ) -> tuple[OnrampQuote, ...]:
        """Return the quotes of a currency, on a network, or both, in the order of the answer.

        Args:
            currency: Only those of this currency.
            network: Only those on this network, such as `"base"`.
        """
        quotes = self if network is None else self.for_network(network)
        return tuple(q for q in quotes if currency in (None, q.destination_currency))

    def cheapest(self, currency: DestinationCurrency) -> OnrampQuote | None:
        """Return the quote with the lowest cost a unit, fees included; compared exactly.

        Of those that cost the same a unit it is the one with the lower total, of those that cost
        nothing the one that gives more, then the one whose network, then whose id, comes first by
        alphabet.

        Args:
            currency: The currency that is bought.

        Returns:
            The quote, or None where the currency has none with a price.
        """
        ranked = [(_rank(quote), quote) for quote in self.filter(currency=currency)]
        priced = [(rank, quote) for rank, quote in ranked if rank is not None]
        return min(priced, key=lambda pair: pair[0])[1] if priced else None


class OnrampSessions(Resource):
    """Calls on onramp sessions.

    https://docs.stripe.com/api/crypto/onramp_sessions
    """

    _CREATE = Endpoint("POST", "/v1/crypto/onramp_sessions", OnrampSession)
    _RETRIEVE = Endpoint("GET", "/v1/crypto/onramp_sessions/{session}", OnrampSession)
    _LIST = Endpoint("GET", "/v1/crypto/onramp_sessions", Page[OnrampSession])

    async def create(
        self,
        *,
        source_currency: SourceCurrency | None = None,
        source_amount: Decimal | int | str | None = None,
        destination_currency: DestinationCurrency | None = None,
        destination_network: DestinationNetwork | None = None,
        destination_amount: Decimal | int | str | None = None,
        destination_currencies: Sequence[DestinationCurrency] | None = None,
        destination_networks: Sequence[DestinationNetwork] | None = None,
        wallet_addresses: WalletAddressesParam | None = None,
        lock_wallet_address: bool | None = None,
        settlement_speed: SettlementSpeed | None = None,
        customer_ip_address: str | None = None,
        kyc_details: KycDetailsParam | None = None,
        metadata: Mapping[str, str] | None = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> OnrampSession:
        """Start the visit of a customer; make one for each.

        https://docs.stripe.com/api/crypto/onramp_sessions/create

        Args:
            source_currency: What the customer pays in; from the customer's locale by default.
            source_amount: What is spent, without the fees, in whole cents; needs its currency.
            destination_currency: What is bought; needs `destination_network`.
            destination_network: Where it is delivered; needs `destination_currency`.
            destination_amount: What is received, in place of `source_amount`; needs its currency.
            destination_currencies: All that the customer may choose from.
            destination_networks: All networks that the customer may choose from.
            wallet_addresses: The customer's wallets by network, `{"base": "0x..."}`; each on one
                of `destination_networks`, where those are given.
            lock_wallet_address: Whether the customer may use no other wallet.
            settlement_speed: When the crypto is delivered; a private preview of the API.
            customer_ip_address: Where the customer is, IPv4 or IPv6; the API may refuse the place.
            kyc_details: What you know of the customer.
            metadata: Your own facts: up to 50 keys.
            expand: Fields to expand.
            request_options: Options of this call.

        Raises:
            InvalidRequestError: The onramp is not offered to the customer, or not this pair of
                currency and network.
        """
        params = check_session(
            {
                "source_currency": source_currency,
                "source_amount": source_amount,
                "destination_currency": destination_currency,
                "destination_network": destination_network,
                "destination_amount": destination_amount,
                "destination_currencies": destination_currencies,
                "destination_networks": destination_networks,
                "wallet_addresses": wallet_addresses,
                "lock_wallet_address": lock_wallet_address,
                "settlement_speed": settlement_speed,
                "customer_ip_address": customer_ip_address,
                "kyc_details": kyc_details,
                "metadata": metadata,
                "expand": expand,
            }
        )
        return await self._call(self._CREATE, params, request_options)

    async def retrieve(
        self,
        session: str,
        *,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> OnrampSession:
        """Return a session.

        https://docs.stripe.com/api/crypto/onramp_sessions/retrieve

        Args:
            session: Its id (`cos_...`).
            expand: Fields to expand.
            request_options: Options of this call.

        Raises:
            NotFoundError: There is no such session.
        """
        return await self._call(
            self._RETRIEVE, {"expand": expand}, request_options, session=session
        )

    def list(
        self,
        *,
        created: Created | datetime | None = None,
        destination_currency: DestinationCurrency | None = None,
        destination_network: DestinationNetwork | None = None,
        status: OnrampSessionStatus | None = None,
        limit: int | None = None,
        max_items: int | None = None,
        starting_after: str | None = None,
        ending_before: str | None = None,
        cursor: str | None = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> Pager[OnrampSession]:
        """List sessions, newest first.

        https://docs.stripe.com/api/crypto/onramp_sessions/list

        Args:
            created: Only those made in this range, or at this very second.
            destination_currency: Only those that buy this currency.
            destination_network: Only those delivered on this network.
            status: Only those in this status.
            limit: Objects a page, 1 to 100; 100 by default.
            max_items: Objects the walk gives at most.
            starting_after: The id after which the walk starts.
            ending_before: The id from which the walk goes back, to ever newer objects.
            cursor: Where an earlier walk stood, from `Pager.cursor`.
            expand: Fields to expand, with the prefix `data.`.
            request_options: Options of each call.

        Returns:
            A pager: iterate it with `async for`, or await it for the first page.
        """
        check_code("destination_currency", destination_currency)
        check_code("destination_network", destination_network)
        params = {
            "created": created,
            "destination_currency": destination_currency,
            "destination_network": destination_network,
            "status": status,
            "expand": expand,
        }
        paging = Paging(limit, max_items, starting_after, ending_before, cursor)
        return self._list(self._LIST, params, paging, request_options)


class OnrampQuotes(Resource):
    """Calls for quotes.

    https://docs.stripe.com/api/crypto/onramp_quotes
    """

    _RETRIEVE = Endpoint("GET", "/v1/crypto/onramp/quotes", Quotes)

    async def retrieve(
        self,
        *,
        source_amount: Decimal | int | str | None = None,
        source_currency: SourceCurrency | None = None,
        destination_amount: Decimal | int | str | None = None,
        destination_currencies: Sequence[DestinationCurrency] | None = None,
        destination_networks: Sequence[DestinationNetwork] | None = None,
        request_options: RequestOptions | None = None,
    ) -> Quotes:
        """Estimate what crypto costs: one quote for each currency and network that go together.

        https://docs.stripe.com/api/crypto/onramp_quotes/retrieve

        Args:
            source_amount: What is spent, without the fees; 100.00 by default.
            source_currency: What it is paid in; `usd` by default.
            destination_amount: What is received, in place of `source_amount`; needs exactly one
                currency and one network.
            destination_currencies: The currencies to quote; all by default.
            destination_networks: The networks to quote; all by default.
            request_options: Options of this call.
        """
        query: QuotesQuery = {
            "source_amount": source_amount,
            "source_currency": source_currency,
            "destination_amount": destination_amount,
            "destination_currencies": destination_currencies,
            "destination_networks": destination_networks,
        }
        return await self._ask(query, request_options)

    def _ask(self, query: QuotesQuery, options: RequestOptions | None) -> Awaitable[Quotes]:
        return self._call(self._RETRIEVE, check_query(query), options)

    def retrieve_many(
        self,
        queries: Iterable[QuotesQuery] | AsyncIterable[QuotesQuery],
        *,
        concurrency: int = 32,
        ordered: bool = True,
        on_progress: Callable[[Progress], object] | None = None,
        request_options: RequestOptions | None = None,
    ) -> Outcomes[QuotesQuery, Quotes]:
        """Ask for quotes many times, many at once, in bounded memory.

            async for outcome in stripe.crypto.onramp_quotes.retrieve_many(queries):
                print(outcome.index, outcome.error or outcome.unwrap().cheapest("usdc"))

        Args:
            queries: The parameters of each call to `retrieve`; read as the work goes on.
            concurrency: How many calls may be under way at once.
            ordered: True for outcomes in the order of the queries, False as they come.
            on_progress: A plain function, called after each query.
            request_options: Options of each call.

        Returns:
            Iterate it for one outcome a query: its quotes or its error. A query that cannot be
            sent has a `ConfigurationError`, and the others are not touched by it.

        Raises:
            ConfigurationError: Another argument is wrong; raised at once.
        """
        check_queries(queries)
        headers_for("GET", request_options)  # options that no call can have are refused here

        @hide_frames
        async def ask(query: QuotesQuery) -> Quotes:
            return await self._ask(query, request_options)

        return fan_out(
            ask,
            queries,
            concurrency=concurrency,
            ordered=ordered,
            on_progress=on_progress,
        )


class Crypto:
    """The resources of the crypto onramp.

    Attributes:
        onramp_sessions: Visits of customers who buy crypto.
        onramp_quotes: Estimates of what crypto costs.
    """

    def __init__(self, send: Sender) -> None:
        self.onramp_sessions = OnrampSessions(send)
        self.onramp_quotes = OnrampQuotes(send)
