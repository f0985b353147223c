"""Receive webhooks: verify each delivery, and handle each event once.

```python
import asyncio
import json
import pinstripe
from pinstripe.events import Event, OrderCanceled, VerificationSessionVerified
from pinstripe.sandbox import Sandbox
from pinstripe.webhooks import Router, SQLiteStore, Webhook

webhook = Webhook("whsec_of_your_endpoint")
store = SQLiteStore("events.db")
router = Router(webhook, store)


@router.on(VerificationSessionVerified)
async def admit(event: VerificationSessionVerified) -> None:
    print(event.data.object.id, "may come in")


@router.on(Event)  # every event; a plain function runs in a worker thread
def log(event: Event) -> None:
    match event:
        case OrderCanceled():
            print(event.data.object.cancellation_reason)
        case _:
            print(event.type)


async def main() -> None:
    async with Sandbox() as sandbox, sandbox.client() as stripe:
        session = await stripe.identity.verification_sessions.create(type="document")
        sandbox.identity.verify(session.id)
        async for event in stripe.events.list(type="identity.*"):  # the same classes as delivered
            body = json.dumps(pinstripe.to_dict(event)).encode()
            receipt = await router.receive(body, webhook.sign(body))
            assert (receipt.status, receipt.ending) == (200, "handled")  # next time: "duplicate"


asyncio.run(main())
store.close()
```

In your app an adapter calls `router.receive` for each request; `pinstripe.adapters` has one for
each web framework.

**Verify.** `Webhook` checks the signature of the raw body and parses it to an event of
`pinstripe.events`. Give it two secrets while one replaces the other. It needs no router:
`webhook.parse(body, signature)` returns the event, or raises `SignatureError` or `DecodeError`.
`delivery_of(event)` returns the raw body and the headers, with every field that is newer than the
models. `parse_event` reads an event that has no signature, from Amazon EventBridge, Azure Event
Grid or a queue of your own; its docstring says when that is safe.

**Route.** `Router` calls the handlers of an event one after the other, in the order in which they
were registered. They are one unit: if one raises, the delivery is refused, Stripe sends the event
again, and all of them run again. So write handlers that may run twice, unless they write in the
transaction of the store. `router.receive_blocking`
does the same in a thread without an event loop.

**Answer.** The `Receipt` of a delivery has the HTTP status:

| status | `ending` | meaning |
|---|---|---|
| 200 | `handled` | all handlers have returned |
| 200 | `duplicate` | the event was handled before |
| 200 | `ignored` | no handler is for such an event |
| 200 | `stale` | with `skip_older=True`: a newer event of the object was handled before |
| 400 | `invalid` | the signature is wrong, or the body is compressed or not an event |
| 409 | `busy` | another delivery of the event is being handled |
| 413 | `too_large` | the body is longer than `Webhook.max_bytes` |
| 500 | `failed` | a handler or the store failed, or the object does not fit; the log says why |

What is answered with 400, 409 or 413 is logged as a warning with its reason, under
`pinstripe.webhooks`.

**Retries and duplicates.** Stripe sends an event again for three days, until the status is 200, and
may send one twice at any time. An event is claimed before its handlers run and committed after
them. So two deliveries at the same time run the handlers once, and after a failure, a crash or a
`kill -9` the next delivery runs them again. A claim ends by itself after `lease` seconds, which
count from before the claim is asked for: a coroutine function that still runs then is cancelled.

**Stores.** A store remembers the events for 31 days. `MemoryStore` is for one process,
`SQLiteStore` for the processes of one machine, and `RedisStore` (`pip install "pinstripe[redis]"`)
for many machines. `SQLAlchemyStore` and `DjangoStore` keep the events in your app's own database,
and the handlers write in the same transaction: then even a `kill -9` leaves each effect exactly
once. For another database implement the `Store` protocol. If several endpoints share a
store, give each router a name, `Router(webhook, store, name="billing")`: each handles each event
once. Without names the second router of a process with the same store is refused.

**Missed events.** `await router.catch_up(stripe, since=...)` hands every event of the account's log
that the store does not know as handled to the same handlers, oldest first, and so does the command
`pinstripe replay`. The log has the events of 30 days, so a store remembers an event for that long.

**Watch.** `Router(webhook, store, hooks=pinstripe.otel.hooks())` makes a span of each delivery, and
below it one of each handler; `pinstripe.Hooks` has functions for a log of your own.

**Develop.** `pinstripe listen --forward-to URL` sends the events of a test account, or of a
sandbox, to your app without a tunnel. `pinstripe trigger TYPE` makes a sandbox produce an event of
any type.
"""

from pinstripe.webhooks._catch_up import CatchUpReport
from pinstripe.webhooks._django import DjangoStore
from pinstripe.webhooks._handlers import Handler
from pinstripe.webhooks._receipt import DeliveryResult, Receipt
from pinstripe.webhooks._redis import RedisStore
from pinstripe.webhooks._router import Router
from pinstripe.webhooks._sqlalchemy import SQLAlchemyStore
from pinstripe.webhooks._sqlite import SQLiteStore
from pinstripe.webhooks._stores import REMEMBER_SECONDS, Claimed, MemoryStore, Store
from pinstripe.webhooks._webhook import Delivery, Received, Webhook, delivery_of, parse_event

__all__ = [
    "REMEMBER_SECONDS",
    "CatchUpReport",
    "Claimed",
    "Delivery",
    "DeliveryResult",
    "DjangoStore",
    "Handler",
    "MemoryStore",
    "Receipt",
    "Received",
    "RedisStore",
    "Router",
    "SQLAlchemyStore",
    "SQLiteStore",
    "Store",
    "Webhook",
    "delivery_of",
    "parse_event",
]
