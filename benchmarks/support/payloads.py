"""Invented answers in the shapes of the API."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from typing import Any

_PAIRS = {
    "avalanche": [("avax", "10.584250635055038000"), ("usdc", "250.00")],
    "base_network": [("eth", "0.072046109510086455"), ("usdc", "250.000000")],
    "bitcoin": [("btc", "0.00264100")],
    "ethereum": [("eth", "0.072046109510086455"), ("usdc", "250.00")],
    "optimism": [("eth", "0.072046109510086455")],
    "polygon": [("matic", "1063.829787234042553000"), ("usdc", "250.00")],
    "solana": [("sol", "1.498800959"), ("usdc", "250.00")],
    "stellar": [("xlm", "961.53846150"), ("usdc", "250.00")],
}


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _quote(network: str, currency: str, amount: str, index: int) -> dict[str, Any]:
    fee = Decimal(index + 1) / 100
    return {
        "id": _digest(network, currency),
        "destination_amount": amount,
        "destination_currency": currency,
        "destination_network": network.removesuffix("_network"),
        "fees": {"network_fee_monetary": f"{fee:.2f}", "transaction_fee_monetary": "6.23"},
        "source_total_amount": f"{Decimal('256.23') + fee:.2f}",
    }


def quotes() -> bytes:
    """Return a quotes answer: 14 quotes over 8 networks, 5.8 kB, as in the facts' example."""
    networks = {
        network: [_quote(network, code, amount, i) for i, (code, amount) in enumerate(pairs)]
        for network, pairs in _PAIRS.items()
    }
    answer = {
        "id": _digest("quotes"),
        "object": "crypto.onramp.quotes",
        "destination_network_quotes": networks,
        "livemode": False,
        "rate_fetched_at": 1790510400.4183028,
        "source_amount": "250.00",
        "source_currency": "usd",
    }
    return json.dumps(answer, indent=2).encode()


def session(index: int) -> dict[str, Any]:
    """Return a verification session that waits for its person."""
    secret = _digest("secret", index)
    return {
        "id": f"vs_{_digest(index)[:24]}",
        "object": "identity.verification_session",
        "client_reference_id": f"loan-application-{index}",
        "client_secret": f"vs_{_digest(index)[:24]}_secret_test_{secret[:32]}",
        "created": 1790510400 - index * 60,
        "last_error": None,
        "last_verification_report": None,
        "livemode": False,
        "metadata": {"applicant": str(index), "desk": "north"},
        "options": {
            "document": {"allowed_types": ["passport", "id_card"], "require_matching_selfie": True}
        },
        "provided_details": {"email": f"person{index}@example.com", "phone": "+31201234567"},
        "redaction": None,
        "related_customer": None,
        "related_customer_account": None,
        "status": "requires_input",
        "type": "document",
        "url": f"https://verify.example/start/test_{secret[:40]}",
    }


def page(size: int = 100) -> bytes:
    """Return a page of verification sessions."""
    answer = {
        "object": "list",
        "data": [session(index) for index in range(size)],
        "has_more": False,
        "url": "/v1/identity/verification_sessions",
    }
    return json.dumps(answer, indent=2).encode()
