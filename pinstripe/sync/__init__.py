"""The blocking client: every method of `AsyncClient`, for code that does not await.

```python
import pinstripe
from pinstripe.sync import fan_out

with pinstripe.Client() as stripe:  # the key comes from STRIPE_API_KEY
    sessions = stripe.identity.verification_sessions
    ids = [session.id for session in sessions.list(max_items=500)]
    for outcome in fan_out(sessions.retrieve, ids, concurrency=16):
        print(outcome.unwrap().status)
```

`Client` is generated from `AsyncClient`. It has the same methods, signatures, models and errors.
A list gives a `Pager`: iterate it for every object, or call `first()` for its first page.
`fan_out` makes many calls at once without a thread for each. `to_file` exports a list; `plan`,
`write_part` and `join` export it in parts; `to_arrow` hands it to polars, DuckDB or pandas.

**How it runs.** All blocking clients of a process share one event loop, which runs in a thread of
its own. The first call starts that thread, and closing the last client ends it. A call goes to the
loop once, a list once a page, and a fan-out once a batch. Close a client with `with` or `close()`;
the end of the process closes it too.

**Threads.** Any number of threads may use one client at the same time. Your own functions, such as
`on_progress` and the inputs of a fan-out, run in the thread that made the call. Hooks run on the
event loop: they must be fast, and a blocking call inside them is refused.

**Forks.** A client that was made before a fork works in the parent and in the child, as under
gunicorn or Celery. The child starts an event loop and connections of its own with its next call. A
list that was begun before the fork continues in both; a parallel walk or a fan-out continues only
in the process where it was begun.

**Signals.** If a signal handler raises while a call waits, as Ctrl-C does, the call is cancelled
and the exception is raised where you made the call. A signal handler may itself make calls.

**Notebooks.** The cells of a notebook run in a thread that has an event loop. Blocking calls work
there. They hold that loop up, as all code of a cell does, so they do not warn. A blocking call
inside a coroutine does: with `AsyncClient` it can `await` instead.

**gevent.** Call `monkey.patch_all()` before you import pinstripe. If threads are patched later,
the next call is refused with a `ConfigurationError`.

**In an async program** use `pinstripe.AsyncClient`. A blocking call in a coroutine would stop every
other task of its loop until the answer is there.
"""

from pinstripe.sync._export import to_file
from pinstripe.sync._fan_out import fan_out
from pinstripe.sync._frames import to_arrow
from pinstripe.sync._generated import (
    V2,
    Client,
    Climate,
    Core,
    CoreEvents,
    Crypto,
    EventDestinations,
    Events,
    FileLinks,
    Files,
    Forwarding,
    ForwardingRequests,
    Identity,
    OnrampQuotes,
    OnrampSessions,
    Orders,
    Products,
    Suppliers,
    VerificationReports,
    VerificationSessions,
    WebhookEndpoints,
)
from pinstripe.sync._pager import Pager
from pinstripe.sync._parts import join, plan, write_part

__all__ = [
    "V2",
    "Client",
    "Climate",
    "Core",
    "CoreEvents",
    "Crypto",
    "EventDestinations",
    "Events",
    "FileLinks",
    "Files",
    "Forwarding",
    "ForwardingRequests",
    "Identity",
    "OnrampQuotes",
    "OnrampSessions",
    "Orders",
    "Pager",
    "Products",
    "Suppliers",
    "VerificationReports",
    "VerificationSessions",
    "WebhookEndpoints",
    "fan_out",
    "join",
    "plan",
    "to_arrow",
    "to_file",
    "write_part",
]
