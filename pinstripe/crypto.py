"""Crypto onramp: sessions in which a customer buys crypto, and quotes of its price.

A session is one visit of a customer: create it, and give its `client_secret` to your page or send
the customer to its `redirect_url`. Quotes are estimates, and need no session.

```python
import asyncio
import pinstripe


async def main() -> None:
    async with pinstripe.AsyncClient() as stripe:
        quotes = await stripe.crypto.onramp_quotes.retrieve(
            source_amount="250", source_currency="usd"
        )
        best = quotes.cheapest("usdc")
        if best is not None:
            print(best.destination_network, best.destination_amount, best.total_fees)
        session = await stripe.crypto.onramp_sessions.create(
            source_amount="250", source_currency="usd", destination_networks=["base"]
        )
        print(session.id, session.status)


asyncio.run(main())
```

Amounts are exact `Decimal` values. The API calls the network Base `base` in its values and
`base_network` in its keys. Every argument and lookup says `base`, and `base_network` is refused;
the models keep the keys of the API as names of their fields.

Anything that opens a session or identifies its customer (client secret, link, wallets and their
tags, the hash of a transaction, metadata) is left out of every repr; read the attribute, or use
`to_dict`.

https://docs.stripe.com/api/crypto/onramp_sessions
"""

from __future__ import annotations

from collections.abc import (
    AsyncIterable,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from datetime import datetime
from decimal import Context, Decimal
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from pinstripe._config.options import RequestOptions
from pinstripe._core.checks import check_id
from pinstripe._core.tracebacks import hide_frames
from pinstripe._http.encoding import headers_for
from pinstripe._http.messages import Sender
from pinstripe._models.open_map import Entry, OpenMap
from pinstripe._models.page import Page
from pinstripe._models.record import Listed, Model, Private, Record, model
from pinstripe._resources.endpoint import Endpoint
from pinstripe._resources.onramp_params import (
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
    wire_key,
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
    "OnrampSessionGoal",
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

OnrampSessionStatus: TypeAlias = (
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
"""The status of a session; `quote_ready` occurs only without the widget."""

OnrampSessionGoal: TypeAlias = Literal[
    "fulfillment_complete", "fulfillment_processing", "quote_ready", "rejected", "requires_payment"
]
"""A status that `wait` can wait for; `initialized` only comes first."""

SettlementSpeed: TypeAlias = Literal["instant", "standard"] | str
"""When the crypto is delivered: at once, or when the payment has settled."""

# Sums must not depend on the decimal context of the caller, which could round them. No amount of
# the API has this many digits.
_EXACT = Context(prec=1000, traps=[])


class OnrampDestinationTags(OpenMap):
    """The tags that identify the user of a shared wallet, by network; a network can be new."""

    __slots__ = ()

    stellar = Entry[str]()


class OnrampWalletAddresses(OpenMap):
    """The wallets of the customer, by the API's key of each network; a network can be new.

    The networks that are known are attributes too, and `for_network` finds every one by its name.
    """

    __slots__ = ()

    avalanche = Entry[str]()
    base = base_network = Entry[str]("base_network")
    bitcoin = Entry[str]()
    celo = Entry[str]()
    destination_tags = Entry[OnrampDestinationTags]()
    ethereum = Entry[str]()
    optimism = Entry[str]()
    polygon = Entry[str]()
    solana = Entry[str]()
    stellar = Entry[str]()
    sui = Entry[str]()
    tempo = Entry[str]()
    worldchain = Entry[str]()

    def for_network(self, network: DestinationNetwork) -> str | None:
        """Return the wallet on a network; None if there is none.

        Args:
            network: The name of the network, such as `"base"`.
        """
        address = self.get(wire_key(network))
        return address if isinstance(address, str) else None


if TYPE_CHECKING:
    _Wallets: TypeAlias = OnrampWalletAddresses
else:
    # What msgspec reads; `OnrampTransactionDetails` makes the map of it.
    _Wallets = dict[str, str | dict[str, str | None] | None]


@model
class OnrampSessionFees(Record):
    """The fees of a session, in its source currency."""

    network_fee_amount: Decimal | None = None
    transaction_fee_amount: Decimal | None = None


@model
class OnrampTransactionDetails(Record):
    """What the customer buys, where it is delivered and what it costs.

    `source_amount` is without the fees. Only previews of the API set `last_error` and
    `settlement_speed`.
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
    wallet_addresses: Private[_Wallets | None] = None

    def __post_init__(self) -> None:
        if self.wallet_addresses is None:
            return
        wallets = OnrampWalletAddresses(self.wallet_addresses)
        tags = wallets.destination_tags
        if tags is not None:
            wallets["destination_tags"] = OnrampDestinationTags(tags)
        details: Any = self
        msgspec.structs.force_setattr(details, "wallet_addresses", wallets)


@model
class OnrampSession(Listed):
    """One visit of a customer who buys crypto.

    https://docs.stripe.com/api/crypto/onramp_sessions/object

    Anybody who has `client_secret` or `redirect_url` can continue the purchase.
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
    """The price of one currency on one network.

    The customer pays `source_total_amount`, fees included, for `destination_amount`.
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
        """The price of one unit of the crypto, fees included; exact, so a fraction.

        None if there is no price: nothing is received, or an amount is negative, not a number, or
        longer than any amount can be.
        """
        if not (_is_amount(self.destination_amount) and _is_amount(self.source_total_amount)):
            return None
        if self.destination_amount <= 0 or self.source_total_amount < 0:
            return None
        return Fraction(self.source_total_amount) / Fraction(self.destination_amount)


def _is_amount(value: Decimal) -> bool:
    # A fraction writes all digits out, so 1E+999999999 would be a gigabyte of zeros.
    exponent, longest = value.as_tuple().exponent, _EXACT.prec
    return isinstance(exponent, int) and exponent > -longest and value.adjusted() < longest


def _rank(quote: OnrampQuote) -> tuple[Fraction, Decimal, Decimal, str, str] | None:
    cost = quote.unit_cost
    if cost is None:
        return None
    # If two quotes cost nothing, the one that gives more is better. A minus sign would round the
    # amount in the decimal context of the caller; `copy_negate` does not.
    received = quote.destination_amount.copy_negate()
    total = quote.source_total_amount
    return cost, total, received, quote.destination_network, quote.id or ""


@model
class Quotes(Model):
    """One answer with a quote for each currency and network; iterate it for every quote.

    https://docs.stripe.com/api/crypto/onramp_quotes

    Attributes:
        id: The id of this answer; no call retrieves an answer by it.
        destination_network_quotes: The quotes by the API's key of each network, which can be new;
            `for_network` looks a network up by its name.
        rate_fetched_at: When the rates were current; the price can have changed since.
        source_amount: The price of the crypto, without the fees.
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
        return f"Quotes(<{len(self)} quotes for {paid}>)"

    def _repr_html_(self) -> str:
        from pinstripe._resources.quotes_html import quotes_html  # noqa: PLC0415 -- few need it

        def order(quote: OnrampQuote) -> tuple[bool, Any]:
            rank = _rank(quote)
            return rank is None, rank or ()

        ranked = {each: sorted(self.filter(currency=each), key=order) for each in self.currencies}
        return quotes_html(self, ranked)

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
        """Return the quotes on a network; an empty tuple if it has none.

        Args:
            network: The name of the network, such as `"base"`.
        """
        return self.destination_network_quotes.get(wire_key(network)) or ()

    def filter(
        self,
        *,
        currency: DestinationCurrency | None = None,
        network: DestinationNetwork | None = None,
    ) -> tuple[OnrampQuote, ...]:
        """Return the quotes of a currency, on a network, or both, in the order of the answer.

        Args:
            currency: Only quotes of this currency.
            network: Only quotes on this network, such as `"base"`.
        """
        quotes = self if network is None else self.for_network(network)
        return tuple(q for q in quotes if currency in (None, q.destination_currency))

    def cheapest(self, currency: DestinationCurrency) -> OnrampQuote | None:
        """Return the quote with the lowest price of a unit, fees included; compared exactly.

        If quotes have the same price of a unit, the lower total wins. If they cost nothing, the
        one that gives more wins. After that the first by network and by id wins, in alphabetical
        order.

        Args:
            currency: The currency that is bought.

        Returns:
            The quote, or None if the currency has no quote with a price.
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
        wallet_addresses: Private[WalletAddressesParam | None] = None,
        lock_wallet_address: bool | None = None,
        settlement_speed: SettlementSpeed | None = None,
        customer_ip_address: Private[str | None] = None,
        kyc_details: Private[KycDetailsParam | None] = None,
        metadata: Private[Mapping[str, str] | None] = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> OnrampSession:
        """Start the visit of a customer; each visit needs a session of its own.

        https://docs.stripe.com/api/crypto/onramp_sessions/create

        Args:
            source_currency: The currency of the payment; by default from the customer's locale.
            source_amount: The amount to spend, without fees, in whole cents; needs its currency.
            destination_currency: The currency to buy; needs `destination_network`.
            destination_network: The network of the delivery; needs `destination_currency`.
            destination_amount: The amount to buy, in place of `source_amount`; needs its currency.
            destination_currencies: The currencies that the customer may choose from.
            destination_networks: The networks that the customer may choose from.
            wallet_addresses: The wallets of the customer by network, `{"base": "0x..."}`. If
                `destination_networks` are given, each wallet is on one of them.
            lock_wallet_address: Whether the customer may use no other wallet.
            settlement_speed: When the crypto is delivered; a private preview of the API.
            customer_ip_address: The IPv4 or IPv6 address of the customer; the API may refuse its
                region.
            kyc_details: Details of the customer that you know.
            metadata: Your own data: up to 50 keys.
            expand: Fields to expand.
            request_options: Options of this call.

        Raises:
            InvalidRequestError: The onramp is not available to this customer, or for this pair of
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
            NotFoundError: The session does not exist.
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
            created: Only those created in this range, or in this second.
            destination_currency: Only sessions that buy this currency.
            destination_network: Only sessions with this network of the delivery.
            status: Only sessions with this status.
            limit: Objects in a page, 1 to 100; 100 by default.
            max_items: Objects in the whole walk, at most.
            starting_after: The id after which the walk starts.
            ending_before: The id before which the walk starts; it goes back to newer objects.
            cursor: Where an earlier walk stopped, from `Pager.cursor`.
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

    async def wait(
        self,
        session: str,
        *,
        until: OnrampSessionGoal | Collection[OnrampSessionGoal],
        timeout: float,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> OnrampSession:
        """Wait until a session has a status, and return it.

        It retrieves the session again and again, with longer and longer pauses up to a minute. An
        event about it that a `Router` of this process receives ends the pause. A status that
        lasts less than a pause can be missed, so name those behind it too.

        Args:
            session: Its id (`cos_...`).
            until: The status to wait for, or several.
            timeout: Seconds to wait at most; `math.inf` waits without an end.
            expand: Fields to expand.
            request_options: Options of each call.

        Raises:
            GoalUnreachable: The session can no longer come to it, as after a rejection.
            WaitTimedOut: The time is over.
            NotFoundError: The session does not exist.
        """
        from pinstripe._resources.waiting import ONRAMP_SESSION, wait_until  # noqa: PLC0415 -- few wait

        retrieve = partial(self.retrieve, session, expand=expand, request_options=request_options)
        return await wait_until(
            ONRAMP_SESSION, check_id("session", session), retrieve, until, timeout
        )


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
        """Estimate the price of crypto: one quote for each valid pair of currency and network.

        https://docs.stripe.com/api/crypto/onramp_quotes/retrieve

        Args:
            source_amount: The amount to spend, without fees; 100.00 by default.
            source_currency: The currency of the payment; `usd` by default.
            destination_amount: The amount to buy, in place of `source_amount`; needs exactly one
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
        return await self._retrieve(query, request_options)

    def _retrieve(self, query: QuotesQuery, options: RequestOptions | None) -> Awaitable[Quotes]:
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
        """Retrieve the quotes of many queries, many at once, in bounded memory.

            async for outcome in stripe.crypto.onramp_quotes.retrieve_many(queries):
                print(outcome.index, outcome.error or outcome.unwrap().cheapest("usdc"))

        Args:
            queries: The parameters of each call to `retrieve`; read only as fast as they are sent.
            concurrency: How many calls may be under way at once.
            ordered: True for outcomes in the order of the queries, False for the order in which
                the calls end.
            on_progress: A plain function, called after each query.
            request_options: Options of each call.

        Returns:
            Iterate it for one outcome of each query: its quotes or its error. A query that
            cannot be sent has a `ConfigurationError`, and does not affect the others.

        Raises:
            ConfigurationError: An argument other than a query is wrong; raised at once.
        """
        check_queries(queries)
        headers_for("GET", request_options)  # refuses options that no call can have

        @hide_frames
        async def retrieve(query: QuotesQuery) -> Quotes:
            return await self._retrieve(query, request_options)

        return fan_out(
            retrieve,
            queries,
            concurrency=concurrency,
            ordered=ordered,
            on_progress=on_progress,
        )


class Crypto:
    """The resources of the crypto onramp.

    Attributes:
        onramp_sessions: Visits of customers who buy crypto.
        onramp_quotes: Estimates of the price of crypto.
    """

    def __init__(self, send: Sender) -> None:
        self.onramp_sessions = OnrampSessions(send)
        self.onramp_quotes = OnrampQuotes(send)
