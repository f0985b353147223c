"""Receiving webhooks: verified, typed, once.

`Webhook` turns the bytes of a delivery into an event of `pinstripe.events`, or refuses it.
`Router` hands events to handlers and tells how to answer; its store remembers which were handled.
"""

from pinstripe.webhooks._redis import RedisStore
from pinstripe.webhooks._router import Handler, Receipt, Router
from pinstripe.webhooks._sqlite import SQLiteStore
from pinstripe.webhooks._stores import REMEMBER_SECONDS, Claimed, MemoryStore, Store
from pinstripe.webhooks._webhook import Received, Webhook

__all__ = [
    "REMEMBER_SECONDS",
    "Claimed",
    "Handler",
    "MemoryStore",
    "Receipt",
    "Received",
    "RedisStore",
    "Router",
    "SQLiteStore",
    "Store",
    "Webhook",
]
