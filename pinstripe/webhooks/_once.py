"""How the handlers of an event are run once: claim, handle, commit.

A delivery owns the event from its claim to the commit or the release. The token names this claim:
after the lease another delivery may have a claim of its own, and then neither commit nor release of
this one may touch it. There are three ways, by the kind of the store:

    a plain store           the handlers run, then the store is committed
    async transactions      the handlers run in a transaction, whose end is the commit
    blocking transactions   the same, all of it in one thread
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import cast

from attrs import define, field

from pinstripe.webhooks._handlers import HandlerCalls, Registered, in_thread
from pinstripe.webhooks._receipt import DeliveryResult
from pinstripe.webhooks._stores import Store, store_step
from pinstripe.webhooks._transactions import (
    AsyncTransactions,
    BlockingTransactions,
    Handled,
    transactions_of,
)
from pinstripe.webhooks._webhook import Received

_log = logging.getLogger("pinstripe.webhooks")

# What a delivery without the claim is answered with.
_UNCLAIMED: dict[str, DeliveryResult] = {"busy": "busy", "done": "duplicate"}


@define(eq=False)
class Work:
    """An event with its handlers, and the claim under which they run.

    Attributes:
        event: The event.
        handlers: Its handlers.
        calls: How they are called.
        id: Under which id the store knows the event.
        subject: Under which id it knows the object; None if older events of it are not skipped.
        lease: Seconds that the handlers may take.
        token: The token of the claim.
    """

    event: Received
    handlers: Sequence[Registered]
    calls: HandlerCalls
    id: str
    subject: str | None
    lease: float
    token: str = field(factory=lambda: os.urandom(16).hex())

    @property
    def at(self) -> float:
        """When the event happened, in seconds since the Unix epoch."""
        return self.event.created.timestamp()

    def is_older_than(self, newest: float | None) -> bool:
        """Return whether a newer event of the object was handled.

        Args:
            newest: When the newest one happened; None if there is none.
        """
        return newest is not None and self.at < newest


async def handle_once(store: Store, work: Work) -> DeliveryResult:
    """Run the handlers of an event, unless another delivery has it or had it.

    Args:
        store: Remembers the event.
        work: The event and its handlers.

    Raises:
        Exception: What a handler or the store raised; the event can be claimed again.
    """
    transactions = transactions_of(store)
    if isinstance(transactions, BlockingTransactions):
        # A delivery without an event loop has its own thread, and one in a loop gets one.
        if work.calls.call_plain is in_thread:
            return await transactions.in_thread(_handle_in_thread, transactions, work)
        returned = await work.calls.call_plain(_handle_in_thread, transactions, work)
        return cast("DeliveryResult", returned)
    deadline = work.calls.clock() + work.lease
    result: DeliveryResult = "handled"
    try:
        claimed = await store_step(store, store.claim(work.id, work.token, work.lease))
        if claimed != "claimed":
            return _UNCLAIMED[claimed]
        if transactions is not None:
            return await _handle_in_transaction(transactions, work, deadline)
        if await _is_stale(store, work):
            result = "stale"
        else:
            await work.calls.run(work.handlers, work.event, deadline)
    except BaseException:
        # If the claim itself failed it is released too: it may have been made, and only the
        # answer was lost.
        await _end_claim(store, work, partial(store.release, work.id, work.token))
        raise
    await _end_claim(store, work, partial(_commit, store, work))
    return result


async def run_handlers(
    store: Store, handlers: Sequence[Registered], event: Received, calls: HandlerCalls
) -> None:
    """Run handlers without a claim, in a transaction if the store has some.

    Args:
        store: The store; it remembers nothing.
        handlers: The handlers.
        event: Their event.
        calls: How they are called.
    """
    transactions = transactions_of(store)
    if transactions is None:
        await calls.run(handlers, event, math.inf)
    elif isinstance(transactions, AsyncTransactions):
        async with transactions.transaction(None):
            await calls.run(handlers, event, math.inf)
    else:
        await transactions.in_thread(_run_in_thread, transactions, handlers, event, calls)


# --- in a transaction ---------------------------------------------------------------------------


async def _handle_in_transaction(
    transactions: AsyncTransactions, work: Work, deadline: float
) -> DeliveryResult:
    handled = Handled(work.id, work.token, work.subject, work.at)
    async with transactions.transaction(handled) as newest:
        if work.is_older_than(newest):
            return "stale"
        await work.calls.run(work.handlers, work.event, deadline)
    return "handled"


def _handle_in_thread(transactions: BlockingTransactions, work: Work) -> DeliveryResult:
    deadline = time.monotonic() + work.lease
    handled = Handled(work.id, work.token, work.subject, work.at)
    try:
        claimed = transactions.claim(work.id, work.token, work.lease)
        if claimed != "claimed":
            return _UNCLAIMED[claimed]
        with transactions.transaction(handled) as newest:
            if work.is_older_than(newest):
                return "stale"
            work.calls.run_plain(work.handlers, work.event, deadline)
        return "handled"
    except BaseException:
        # As above. If the end of the transaction failed, it may have been done, and only the
        # answer was lost: the event is done then, and its release does nothing.
        try:
            transactions.release(work.id, work.token)
        except Exception:  # noqa: BLE001 -- what failed first is raised
            _log_unended(work)
        raise


def _run_in_thread(
    transactions: BlockingTransactions,
    handlers: Sequence[Registered],
    event: Received,
    calls: HandlerCalls,
) -> None:
    with transactions.transaction(None):
        calls.run_plain(handlers, event, math.inf)


# --- with a plain store -------------------------------------------------------------------------


async def _is_stale(store: Store, work: Work) -> bool:
    return work.subject is not None and work.is_older_than(await store.last_handled(work.subject))


async def _commit(store: Store, work: Work) -> None:
    if work.subject is not None:
        await store.record_handled(work.subject, work.at)
    if not await store.commit(work.id, work.token):
        _log.warning(
            "event %s (%s) was handled, but its lease had ended before: it may be handled"
            " again. Give the router a longer lease, or make the handlers faster",
            work.event.id,
            work.event.type,
        )


async def _end_claim(store: Store, work: Work, step: Callable[[], Awaitable[None]]) -> None:
    try:
        await store_step(store, step())
    except Exception:  # noqa: BLE001 -- the result of the handlers stays what it is
        _log_unended(work)


def _log_unended(work: Work) -> None:
    _log.exception(
        "the store failed to end the claim of event %s; the claim expires with its lease",
        work.event.id,
    )
