"""The sandbox: an emulator of a slice of the Stripe API that runs on your own machine.

It keeps state, follows the lifecycles of the API, checks parameters, cursors and idempotency keys,
and answers with the errors of the API. It needs no account and no network, and any Stripe client
in any language can use it. It accepts every test key and no live key.

## In a program

`Sandbox` runs the server in the current event loop with `async with`, and in a thread of its own
with `with`. `client()` and `sync_client()` make clients for it.

```python
import asyncio
from pinstripe.sandbox import ManualClock, Sandbox


async def main() -> None:
    async with Sandbox(seed=7, clock=ManualClock()) as sandbox, sandbox.client() as stripe:
        sessions = stripe.identity.verification_sessions
        session = await sessions.create(type="document")
        sandbox.identity.verify(session.id)  # the person passes the checks
        session = await sessions.retrieve(session.id)
        print(session.status)  # verified


asyncio.run(main())
```

With a `seed` and a `ManualClock`, the same requests in the same order get the same answers, byte
for byte. In pytest, the fixtures `stripe_sandbox` and `stripe_client` give each test a sandbox of
its own. `Server`, `ServerThread` and `serve` are the parts of `Sandbox` for programs that manage
their own event loops and threads.

## As a process, for any language

```sh
pinstripe sandbox --port 12111
```

The process prints one line, `url=... api_key=... restricted_key=...`, and runs until SIGINT or
SIGTERM. Without the `cli` extra, `python -m pinstripe.sandbox` does the same; `--help` shows all
options, and `-v` writes a line for each request. Give its address to your client as the address of
the API and of files:

```sh
curl http://127.0.0.1:12111/v1/identity/verification_sessions -u sk_test_any: -d type=document
```

## The console

Open the address of the sandbox in a browser: the console shows its accounts and objects, events
with what each changed, webhook deliveries, and requests as they come. It takes the same steps as
the drivers below, switches faults on and off, and lists every documented error with requests that
produce it. What the models of the client call private is shown on a click only.

`GET /_sandbox/health` needs no key and answers 200 as soon as the server runs.

## Who can reach it

The server listens on loopback only, and answers only to names of this machine. A page of another
site in your browser can do nothing with it: what such a page sends is refused before it acts. In a
compose file or as a service of a CI, let other machines in by name:

```sh
pinstripe sandbox --host 0.0.0.0 --reachable-as sandbox
```

Then everybody who reaches the port can read and change everything in it, and have it send requests
to loopback and to the hosts of `--allow-host`. The first name is in the links that the sandbox
makes: start with `--reachable-as localhost` if your browser opens them, and publish the same port.

## Drivers and control routes

The API alone cannot do what people and time do: pass a check, pay, deliver. A *driver* does this
from Python, and the *control routes* under `/_sandbox/` do the same over HTTP, with the key and
the `Stripe-Account` header of any request. Both answer with the object as the API shows it.

| driver | path below `/_sandbox/` |
|---|---|
| `identity.submit` `verify` `fail` `finish_redaction` | `identity/verification_sessions/{id}/...` |
| `identity.seed` | `identity/seed` |
| `seed` | `seed` |
| `reset` | `reset` |
| `crypto.advance` `complete` | `crypto/onramp_sessions/{id}/...` |
| `climate.confirm` `deliver` `delay` `substitute` `cancel` | `climate/orders/{id}/...` |
| `climate.change_price` | `climate/products/{id}/change_price` |
| `climate.add_product` | `climate/products` |
| `webhooks.flush` `wait` | `webhooks/flush` |
| `webhooks.resend` `deliveries` | `webhooks/resend`, `webhooks/deliveries` |
| `faults.add` `list` `remove` `clear` | `faults`, `faults/{fault}` |
| `effects` | `effects` |

Each is an attribute of `Sandbox`, such as `sandbox.identity.verify(session.id)`; its docstring has
the arguments, which are also the parameters of the path. `GET /_sandbox/` lists all paths with
their parameters: as a page in a browser, as JSON for a program. `POST clock` with `advance` or
`now` moves a manual clock, and `POST rate_limit` changes the limits. `GET requests` has the last
1000 requests to the API, `GET accounts` and `GET objects/{kind}` what is stored, and `GET stream`
is a stream of server-sent events that names what changes. A step that the status of an object does
not allow raises `Refusal`; over HTTP it is a 400 `status_transition_invalid`.

## Pages

`url` of a verification session and `redirect_url` of an onramp session are pages of the sandbox.
There a person, or a browser test, chooses what happens: the checks pass or fail with a code that
fits the session, a purchase is paid, declined, rejected or delivered. Then the person is sent to
`return_url`, and events and deliveries follow. A front end that uses Stripe's scripts loads
`/_sandbox/stripe.js` in their place; it has `Stripe(key).verifyIdentity(client_secret)` and
`StripeOnramp(key).createSession({clientSecret}).mount(element)`, with the same results and events.
The pages work without a script and load nothing from another host.

## Seeds and a fresh start

`seed` creates objects of any kind as if they were made earlier, with every status of the kind or
with one, and `--seed-file FILE` does so at the start, from a JSON list of such calls:

```json
[
  {"kind": "climate.order", "count": 20, "status": "delivered"},
  {"kind": "identity.verification_session", "account": "acct_1", "params": {"type": "document"}}
]
```

`reset` forgets everything, or one account, in about a millisecond. The clock stays as it is, and
ids do not repeat.

## Webhooks

Deliveries are real: the endpoints that you create on this machine receive signed events of the
types that they enabled. A failed delivery is tried again after one hour and after two more, by the
clock. They are signed in real time, so a receiver accepts them whatever the clock of the sandbox
shows. `await sandbox.webhooks.flush()` waits until no attempt is running, and
`sandbox.webhooks.deliveries()` shows the attempts. `Sandbox(allow_hosts=...)` names hosts beside
loopback that may receive webhooks and forwarded requests.

## The clock

A `Clock` is any function that returns seconds since the epoch; the default is the time of day. A
`ManualClock` does not move until `advance(seconds)`: then redactions finish, links and orders
expire, and webhooks are tried again, without waiting. A process has one with `--clock SECONDS`.

## Faults, effects and rate limits

`sandbox.faults.add(...)` makes requests slow, fail or lose their connection, before or after they
are carried out; `status`, `code`, `type`, `message` and `param` choose the error.
`sandbox.effects()` returns what requests really changed, so a test can check that a retry did
nothing twice. `Sandbox(rate_limit=25)` refuses requests above a rate with a 429, by the clock;
`RateLimits` sets each limit.

## Accounts

Objects belong to an account. Requests without a `Stripe-Account` header act on the account of the
key, which is the same for all keys. With the header they act on a connected account, which exists
as soon as it is named. Each account is a world of its own, with its objects, events, webhook
endpoints and idempotency keys: tests that run at the same time share one sandbox if each has an
account. The clock, the faults and the rate limits are those of the whole sandbox.

Drivers act on the account of the key; `seed`, `reset` and the webhook driver take an `account`. A
restricted key (`sandbox.restricted_key`) can expand personal fields that a plain key cannot.

`Sandbox(accounts=["acct_1"])`, or `--account acct_1` once or more, says which connected accounts
exist. Any other is refused then, with a 403 `account_invalid` as in the API.

## Storing the state

`Sandbox(store="sandbox.db")`, or `--store FILE`, keeps the state in a SQLite file. An answer is
only sent after its change is written, so even `kill -9` loses nothing that was answered. Faults,
rate limits and effects are not stored.
"""

from pinstripe.sandbox._params.errors import Refusal
from pinstripe.sandbox._sandbox import Sandbox
from pinstripe.sandbox._server import Server, ServerThread, serve
from pinstripe.sandbox._state.clock import Clock, ManualClock
from pinstripe.sandbox._state.settings import Settings
from pinstripe.sandbox._traffic.rate_limits import RateLimits

__all__ = [
    "Clock",
    "ManualClock",
    "RateLimits",
    "Refusal",
    "Sandbox",
    "Server",
    "ServerThread",
    "Settings",
    "serve",
]
