"""The errors of the onramp in the table of errors: sessions, quotes, and the headless onramp.

Choices where the published facts are silent: a code that only the headless onramp has is produced
on the paths of the onramp that are there; so is `crypto_onramp_disabled`, without its `updated`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pinstripe.sandbox._pages.refusable import Refusable, Step, fault, row
from pinstripe.sandbox._params.errors import API

_ONRAMP: Final = "/v1/crypto/onramp_sessions"
_QUOTES: Final = "/v1/crypto/onramp/quotes"


def _onramp(code: str, when: str, **params: str) -> Refusable:
    # A keyword cannot have brackets: `destination_currencies__0` is `destination_currencies[0]`.
    named = {_bracketed(name): text for name, text in params.items()}
    return row("Crypto onramp", code, when, Step("POST", _ONRAMP, named))


def _quotes(code: str, when: str, **params: str) -> Refusable:
    named = {_bracketed(name): text for name, text in params.items()}
    return row("Crypto onramp", code, when, Step("GET", _QUOTES, named))


def _bracketed(name: str) -> str:
    first, *rest = name.split("__")
    return first + "".join(f"[{part}]" for part in rest)


_SESSIONS_AND_QUOTES: Final = (
    _onramp("customer_ip_address", "The address is malformed.", customer_ip_address="nowhere"),
    _onramp(
        "crypto_onramp_invalid_source_destination_pair",
        "Both amounts are sent.",
        source_amount="1",
        destination_amount="1",
    ),
    _onramp(
        "crypto_onramp_incomplete_destination_currency_and_network_pair",
        "Only one of destination_currency and destination_network is sent.",
        destination_currency="btc",
    ),
    _onramp(
        "crypto_onramp_invalid_destination_currency_and_network_pair",
        "The pair does not exist.",
        destination_currency="btc",
        destination_network="solana",
    ),
    _onramp(
        "crypto_onramp_missing_source_currency",
        "source_amount is sent without source_currency.",
        source_amount="10",
    ),
    _onramp(
        "crypto_onramp_invalid_source_amount",
        "source_amount is not positive.",
        source_amount="-1",
        source_currency="usd",
    ),
    _onramp(
        "crypto_onramp_missing_destination_currency",
        "destination_amount is sent without destination_currency.",
        destination_amount="1",
    ),
    _onramp(
        "crypto_onramp_invalid_destination_amount",
        "destination_amount is not positive.",
        destination_amount="-1",
    ),
    _onramp(
        "crypto_onramp_invalid_destination_currencies_and_networks",
        "The two lists have no pair that exists.",
        destination_currencies__0="btc",
        destination_networks__0="solana",
    ),
    _onramp(
        "crypto_onramp_conflicting_destination_currency",
        "destination_currency is not in destination_currencies.",
        destination_currency="btc",
        destination_network="bitcoin",
        destination_currencies__0="eth",
    ),
    _onramp(
        "crypto_onramp_conflicting_destination_network",
        "destination_network is not in destination_networks.",
        destination_currency="usdc",
        destination_network="solana",
        destination_networks__0="ethereum",
    ),
    _onramp(
        "crypto_onramp_wallet_addresses_not_all_networks_supported",
        "An address is for a network that is not in destination_networks.",
        destination_networks__0="solana",
        wallet_addresses__bitcoin="any",
    ),
    _onramp(
        "crypto_onramp_no_wallet_address_to_lock",
        "lock_wallet_address is sent without an address.",
        lock_wallet_address="true",
    ),
    _quotes(
        "crypto_onramp_quote_invalid_destination_currencies_and_networks",
        "The filters of a quote leave no pair.",
        destination_currencies__0="btc",
        destination_networks__0="solana",
    ),
    _quotes(
        "crypto_onramp_quote_too_many_destination_currencies_and_networks",
        "A quote by destination_amount has more than one currency or network.",
        destination_amount="1",
    ),
    fault(
        "Crypto onramp",
        "crypto_onramp_disabled",
        "Creation is switched off for everybody for a while.",
        type=API,
        path=_ONRAMP,
    ),
    *(
        fault("Crypto onramp", f"crypto_onramp_{code}", when, path=_ONRAMP)
        for code, when in (
            ("unsupported_country", "The place of customer_ip_address is not served."),
            ("unsupportable_customer", "The place of customer_ip_address is not served."),
            ("merchant_not_properly_setup", "The account has no business name or website."),
            ("wallet_ownership_verification_required", "The owner of a wallet must be verified."),
        )
    ),
)


def _headless() -> Iterator[Refusable]:
    """Yield the codes that a copy of the published list names for the headless onramp only."""
    for code in _HEADLESS.split():
        name = code if code.startswith("zerohash") else f"crypto_onramp_{code}"
        yield fault("Headless onramp", name, "The headless onramp refuses.", path=_ONRAMP)


_HEADLESS: Final = """
amount_above_maximum amount_below_minimum bank_institution_block
conflicting_source_total_amount_parameters consumer_wallet_doesnt_exist
currency_not_available_in_region declaration_not_found destination_tags_not_supported
headless_invalid_amount headless_unsupported_currency_or_network identity_verification_failed
invalid_amount invalid_currency_pair invalid_destination_exchange_amount
invalid_merchant_configuration invalid_parameter invalid_payment_method invalid_source_currency
invalid_source_exchange_amount invalid_supported_destination_currencies_and_networks
invalid_wallet_address_parameters limit_exceeded missing_document_verification
missing_identity_verification missing_minimum_identity_verification
missing_source_total_amount_parameters missing_tax_attestation quote_expired service_error
session_error skip_quote_screen_not_allowed transaction_blocked unsupported unsupported_region
verification_error wallet_address_invalid zerohash_api_error
"""

ONRAMP_REFUSALS: Final = (*_SESSIONS_AND_QUOTES, *_headless())
