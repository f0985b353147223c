"""Exact decimal numbers."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Final

_WIDE: Final = Context(prec=60)
"""Keeps every digit of an amount; the default context rounds to 28 digits."""


def decimals(amount: Decimal) -> int:
    """Return how many decimals an amount needs, without trailing zeros."""
    exponent = amount.normalize(_WIDE).as_tuple().exponent
    # The exponent of infinity and NaN is a letter.
    return max(0, -exponent) if isinstance(exponent, int) else 0
