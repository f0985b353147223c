"""Decoding: a page of 100 sessions and a quotes answer, from bytes to objects."""

from __future__ import annotations

import json
from collections.abc import Callable

import orjson
import stripe
from stripe._stripe_response import StripeResponse

from benchmarks.support import payloads
from benchmarks.support.measure import KEY, compare, table
from pinstripe import Page
from pinstripe._models.convert import decode
from pinstripe.crypto import Quotes
from pinstripe.identity import VerificationSession


def official(body: bytes) -> Callable[[], object]:
    """Return what decodes an answer as the official SDK does."""
    client = stripe.StripeClient(KEY)
    return lambda: client.deserialize(StripeResponse(body.decode(), {}, 200), api_mode="V1")


def report() -> str:
    """Return the tables."""
    page, quotes = payloads.page(), payloads.quotes()
    sessions = compare(
        {
            "json.loads (dicts, no types)": lambda: json.loads(page),
            "orjson.loads (dicts, no types)": lambda: orjson.loads(page),
            "pinstripe (typed models)": lambda: decode(page, Page[VerificationSession]),
            "official SDK (StripeObject)": official(page),
        },
        repeat=20,
    )
    quoted = compare(
        {
            "json.loads (dicts, no types)": lambda: json.loads(quotes),
            "orjson.loads (dicts, no types)": lambda: orjson.loads(quotes),
            "pinstripe (typed models)": lambda: decode(quotes, Quotes),
            "official SDK (StripeObject)": official(quotes),
        },
        repeat=200,
    )
    base = "json.loads (dicts, no types)"
    return table(f"Decode a page of 100 sessions ({len(page)} bytes)", base, sessions) + table(
        f"\nDecode a quotes answer ({len(quotes)} bytes)", base, quoted
    )
