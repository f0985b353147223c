"""Webhooks: a delivery of 4 kB verified and parsed, beside the official SDK, and under a flood."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import stripe

from benchmarks.support.deliveries import by_hand, delivery
from benchmarks.support.measure import ROUNDS, compare, table
from pinstripe import SignatureError
from pinstripe.events import Event
from pinstripe.pytest_plugin import SECRET, SignedEvent
from pinstripe.webhooks import Router, Webhook


def _refusing(webhook: Webhook, body: bytes, header: str) -> Callable[[], None]:
    def refuse() -> None:
        try:
            webhook.parse(body, header)
        except SignatureError:
            return
        raise AssertionError

    return refuse


async def _answered(event: SignedEvent, bad: int) -> float:
    """Return the seconds until a good delivery is answered, behind so many bad ones."""
    router = Router(Webhook(SECRET))
    router.on(Event)(_handle)

    async def refused() -> None:
        receipt = await router.receive(event.body + b" ", event.signature)
        assert receipt.status == 400

    start = time.perf_counter()
    flood = [asyncio.create_task(refused()) for _ in range(bad)]
    receipt = await asyncio.create_task(router.receive(event.body, event.signature))
    spent = time.perf_counter() - start
    assert receipt.status == 200
    await asyncio.gather(*flood)
    return spent


async def _handle(_: Event) -> None:
    """Handle an event in no time."""


def _flood(event: SignedEvent) -> str:
    rows = ["\nUntil a good delivery is answered that came last"]
    for bad in (0, 100, 1000):
        spent = min(asyncio.run(_answered(event, bad)) for _ in range(ROUNDS))
        rows.append(f"{f'behind {bad} forged ones':44}{spent * 1e6:10.1f} µs")
    return "\n".join(rows)


def report() -> str:
    """Return the tables."""
    # What is refused is logged; without a handler Python would print it.
    logging.getLogger("pinstripe.webhooks").addHandler(logging.NullHandler())
    event, webhook = delivery(), Webhook(SECRET)
    client = stripe.StripeClient("sk_test_benchmark")
    text = event.body.decode()
    costs = compare(
        {
            "by hand (digest, json.loads: dicts)": lambda: by_hand(event.body, event.signature),
            "pinstripe, verify alone": lambda: webhook.verify(event.body, event.signature),
            "pinstripe (typed event)": lambda: webhook.parse(event.body, event.signature),
            "official SDK (construct_event)": lambda: client.construct_event(
                text, event.signature, SECRET
            ),
            "pinstripe, refuse a forged one": _refusing(
                webhook, event.body + b" ", event.signature
            ),
            "pinstripe, refuse 200 MB": _refusing(webhook, bytes(200_000_000), event.signature),
            "pinstripe, refuse a header of 10^6 elements": _refusing(
                webhook, event.body, ",".join(["v1=0"] * 1_000_000)
            ),
        },
        repeat=500,
    )
    rate = 1e6 / costs["pinstripe (typed event)"].cpu
    title = f"Verify and parse a delivery of {len(event.body)} bytes"
    base = "by hand (digest, json.loads: dicts)"
    return table(title, base, costs) + f"\n{rate:,.0f} typed events a second" + "\n" + _flood(event)
