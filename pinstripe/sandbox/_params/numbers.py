"""Exact decimal numbers."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Final

_WIDE: Final = Context(prec=60)
"""Keeps every digit of an amount, where the default context would round to 28."""


def decimals(amount: Decimal) -> int:
    """Return how many decimals an amount needs, trailing zeros apart."""
    exponent = amount.normalize(_WIDE).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
