"""What 10,000 sessions take in memory while a program holds them."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable

import stripe

from benchmarks.support import payloads
from benchmarks.support.measure import KEY
from pinstripe import Page
from pinstripe._models.convert import decode
from pinstripe.identity import VerificationSession

PAGES = 100
_A_PAGE = 100


def _page(number: int) -> bytes:
    first = number * _A_PAGE
    data = [payloads.session(n) for n in range(first, first + _A_PAGE)]
    return json.dumps({"object": "list", "data": data, "has_more": True}).encode()


def _official(body: bytes) -> object:
    return stripe.ListObject.construct_from(json.loads(body), KEY)


def _with_body(body: bytes) -> object:
    return decode(body, Page[VerificationSession]), bytearray(body)


def _held(read: Callable[[bytes], object]) -> float:
    """Return the bytes that one session takes."""
    bodies = [_page(number) for number in range(PAGES)]
    read(bodies[0])
    gc.collect()
    tracemalloc.start()
    held = [read(body) for body in bodies]
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del held
    return taken / (PAGES * _A_PAGE)


def report() -> str:
    """Return the table."""
    ways: dict[str, Callable[[bytes], object]] = {
        "pinstripe (typed models)": lambda body: decode(body, Page[VerificationSession]),
        "pinstripe, and the bytes of its answer": _with_body,
        "json.loads (dicts, no types)": json.loads,
        "official SDK (StripeObject)": _official,
    }
    taken = {name: _held(read) for name, read in ways.items()}
    base = next(iter(taken.values()))
    rows = [f"{name:44}{size:16,.0f}{size / base:12.2f}" for name, size in taken.items()]
    title = f"\nHolding {PAGES * _A_PAGE:,} sessions of {len(_page(0)) // _A_PAGE} bytes as JSON"
    return "\n".join([title, f"{'':44}{'bytes each':>16}{'ratio':>12}", *rows])
