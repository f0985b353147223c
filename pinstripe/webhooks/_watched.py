"""Reports a delivery: its begin, once its event is known, and its end."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from pinstripe._config.hooks import Hooks, report
from pinstripe._config.infos import DeliveryInfo, ReceiptInfo
from pinstripe.webhooks._receipt import Receipt
from pinstripe.webhooks._webhook import Received


def watches_deliveries(hooks: Hooks) -> bool:
    """Return whether a hook takes reports of deliveries."""
    return hooks.on_delivery is not None or hooks.on_receipt is not None


async def watched(
    hooks: Hooks, number: int, event: Received, handle: Callable[[], Awaitable[Receipt]]
) -> Receipt:
    """Handle a delivery, and report its begin and its end.

    Args:
        hooks: The hooks that get the reports.
        number: The number of the delivery.
        event: Its event.
        handle: Handles it.
    """
    facts: dict[str, Any] = {"delivery": number, "event_id": event.id, "event_type": event.type}
    report(hooks.on_delivery, DeliveryInfo(**facts))
    started = time.monotonic()
    end: dict[str, Any] = {}
    try:
        receipt = await handle()
        end = {"ending": receipt.ending}
    except BaseException as error:
        end = {"error": type(error).__name__}
        raise
    finally:
        duration = time.monotonic() - started
        report(hooks.on_receipt, ReceiptInfo(**facts, **end, duration=duration))
    return receipt


def report_refusal(hooks: Hooks, number: int, receipt: Receipt) -> Receipt:
    """Report a delivery that has no event, and return its receipt.

    Args:
        hooks: The hooks that get the reports.
        number: The number of the delivery.
        receipt: How it is answered.
    """
    report(hooks.on_delivery, DeliveryInfo(delivery=number))
    refused = ReceiptInfo(delivery=number, duration=0.0, ending=receipt.ending)
    report(hooks.on_receipt, refused)
    return receipt
