"""Receiving webhooks: verified, typed, once.

`Webhook` turns the bytes of a delivery into an event of `pinstripe.events`, or refuses it.
`Router` hands events to handlers and tells how to answer; its store remembers which were handled.
"""

from pinstripe._once import REMEMBER_SECONDS, Claimed, MemoryStore, Store
from pinstripe._once_redis import RedisStore
from pinstripe._once_sqlite import SQLiteStore
from pinstripe._router import Handler, Receipt, Router
from pinstripe._webhook import Received, Webhook

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
