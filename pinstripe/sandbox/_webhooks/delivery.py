"""Webhook deliveries: events are sent, signed, to the endpoints that receive their type.

An endpoint is a webhook endpoint, or an event destination with an address. An event makes one
delivery for each. A delivery has one of five states:

- `pending`: its next attempt is a scheduled job of the event's account, so that retries follow the
  clock of the sandbox;
- `sending`: an attempt is running in the event loop of the server;
- `delivered`: an attempt was answered with a 2xx status;
- `failed`: the last attempt was not;
- `dropped`: the endpoint was disabled or deleted before the attempt.

Each attempt is stored with its delivery. If the sandbox stops during an attempt, the delivery is
still `sending` at the next start and the attempt is repeated. A receiver can therefore get an event
twice, and events in any order, as from Stripe.

Choices where the published facts are silent:

- three attempts: at once, after one hour and after two more hours;
- a receiver has ten seconds of real time for the head of its answer; of the body, the first 2,000
  bytes are kept that arrive within a second;
- at most eight attempts of an endpoint run at the same time;
- an address that is neither loopback nor allowed by name is never called, also if its name only
  turns out to be one when it is resolved: each attempt fails with `not_allowed`;
- `pending_webhooks` of an event counts the endpoints that have not received it, also those whose
  delivery failed or was dropped;
- the body is the event as it is at the time of the attempt, in the endpoint's `api_version`, or
  the thin event if the destination asks for that;
- signatures have the real time, whatever the clock of the sandbox shows, since a receiver compares
  it with its own clock; and an invented `v0` as in test mode.

An attempt keeps the address, the signature and the answer, but no second copy of the event. So what
was sent can be shown byte for byte, until the event is redacted: then the answers are forgotten as
well, since a receiver may have repeated what it got.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping
from typing import Final

import aiohttp
import msgspec

from pinstripe._signature import sign
from pinstripe.sandbox._control.clock import run_due_jobs
from pinstripe.sandbox._http.outbound import Way, may_call, read_url
from pinstripe.sandbox._state.kinds import Kind
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import EVENT, Account, World
from pinstripe.sandbox._v2 import destinations
from pinstripe.sandbox._v2.destinations import DESTINATION
from pinstripe.sandbox._v2.thin import PING, THIN, notification
from pinstripe.sandbox._webhooks.endpoints import ENDPOINT, receivers

DELIVERY: Final = "sandbox.webhook_delivery"
RETRY_SECONDS: Final = (3600.0, 7200.0)
MAX_RUNNING: Final = 8
# The headers of Stripe's own deliveries, besides the signature.
KEPT_BYTES: Final = 2000
KEPT_SECONDS: Final = 1.0
_REDACTED: Final = "identity.verification_session.redacted"
HEADERS: Final = {
    "Content-Type": "application/json; charset=utf-8",
    "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    "Accept": "*/*",
    "Cache-Control": "no-cache",
}

KINDS: Final = (
    Kind(
        DELIVERY,
        "whd_",
        indexes={
            "event": lambda value: value["event"],
            "status": lambda value: value["status"],
        },
    ),
)

_ATTEMPT_JOB: Final = "deliver_webhook"


def schedule_deliveries(account: Account, event: Json, only: str | None = None) -> None:
    """Schedule the first attempt of each delivery of an event.

    Args:
        account: The account of the event.
        event: The event, as it is stored.
        only: Id of the one endpoint that receives it; None for all that want it.
    """
    found = destinations.receivers(account, event)
    if event["type"] != PING:
        found = [*receivers(account, event["type"]), *found]
    if only is not None:
        found = [(owner, endpoint) for owner, endpoint in found if endpoint["id"] == only]
    for owner, endpoint in found:
        delivery: Json = {
            "id": account.new_id(DELIVERY),
            "object": DELIVERY,
            "account": owner.id,
            "attempts": [],
            "created": account.timestamp(),
            "event": event["id"],
            "status": "pending",
            "webhook_endpoint": endpoint["id"],
        }
        account.schedule(0, _ATTEMPT_JOB, account.put(delivery)["id"])
    if found:
        _update_pending(account, event)


def take_event(account: Account, event: Json) -> None:
    """Deliver a new event; if it reports a redaction, forget what receivers answered."""
    schedule_deliveries(account, event)
    if event["type"] != _REDACTED:
        return
    for earlier in account.tables[EVENT].find_by("subject", event["data"]["object"]["id"]):
        for delivery in account.tables[DELIVERY].find_by("event", earlier["id"]):
            attempts = [{**attempt, "answer": None} for attempt in delivery["attempts"]]
            account.put({**delivery, "attempts": attempts})


def exchanges_of(account: Account, delivery: Json) -> list[Json]:
    """Return each attempt of a delivery with its whole `request`, null if none was sent.

    Args:
        account: The account of the event.
        delivery: The delivery.
    """
    event = account.get(EVENT, delivery["event"])
    shown: list[Json] = []
    for attempt in delivery["attempts"]:
        request = attempt.get("request")  # a store of an earlier release has none
        if request is not None:
            sent = request["event"]
            sent = sent if sent.get("object") == THIN else {**event, **sent}
            kept = {"url": request["url"], "headers": request["headers"]}
            request = {**kept, "body": _encoded(sent).decode()}
        shown.append({**attempt, "request": request})
    return shown


def _update_pending(account: Account, event: Json) -> None:
    # An endpoint can have several deliveries of an event, because an event can be sent again.
    deliveries = account.tables[DELIVERY].find_by("event", event["id"])
    reached = {each["webhook_endpoint"] for each in deliveries if each["status"] == "delivered"}
    pending = {each["webhook_endpoint"] for each in deliveries} - reached
    account.put({**event, "pending_webhooks": len(pending)})


def _start_attempt(account: Account, id: str) -> None:
    # Without a server the delivery stays pending: nothing can be sent.
    if account.world.deliverer is not None:
        account.world.deliverer.start(account, id)


JOBS: Final = {_ATTEMPT_JOB: _start_attempt}


def _encoded(event: Json) -> bytes:
    return msgspec.json.format(msgspec.json.encode(event))


def _event_for(endpoint: Json, event: Json) -> tuple[Json, Json]:
    """Return what an attempt keeps of the event that it sends, and that event, as it is now."""
    if destinations.is_thin(endpoint, event):
        thin = notification(event)
        return thin, thin
    version = endpoint.get("api_version") or endpoint.get("snapshot_api_version")
    kept = {
        "api_version": version or event["api_version"],
        "pending_webhooks": event["pending_webhooks"],
    }
    return kept, {**event, **kept}


def headers_of(body: bytes, endpoint: Json) -> dict[str, str]:
    """Return the headers of a delivery that is sent now, with a signature of its body.

    Args:
        body: The body.
        endpoint: The webhook endpoint, which has the secret.
    """
    signed = sign(body, endpoint["secret"], int(time.time()))
    # Receivers have to ignore every scheme but v1, so the value of v0 means nothing.
    invented = hashlib.sha256(signed.encode()).hexdigest()
    return {**HEADERS, "Stripe-Signature": f"{signed},v0={invented}"}


def next_step(attempts: list[Json]) -> tuple[str, float | None]:
    """Return the status of a delivery after an attempt, and the wait until the next attempt.

    Args:
        attempts: All attempts so far, each with the `status` of its answer, null if there was none.
    """
    if 200 <= (attempts[-1]["status"] or 0) < 300:
        return "delivered", None
    if len(attempts) > len(RETRY_SECONDS):
        return "failed", None
    return "pending", RETRY_SECONDS[len(attempts) - 1]


class WebhookDeliverer:
    """Makes the attempts that are due, in the event loop of the server.

    Args:
        world: The world whose events are delivered.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._tasks: dict[asyncio.Task[None], Account] = {}
        self._slots = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(MAX_RUNNING))

    def start(self, account: Account, id: str) -> None:
        """Start an attempt, or drop the delivery if its endpoint was disabled or deleted.

        Args:
            account: The account of the event.
            id: Id of the delivery.
        """
        delivery = account.get(DELIVERY, id)
        owner = self._world.account(delivery["account"])
        receiver = delivery["webhook_endpoint"]
        endpoint = owner.tables[ENDPOINT].get(receiver) or owner.tables[DESTINATION].get(receiver)
        if endpoint is None or endpoint["status"] != "enabled":
            account.put({**delivery, "status": "dropped"})
            return
        account.put({**delivery, "status": "sending"})
        attempt = self._attempt(account, id, endpoint)
        task = asyncio.create_task(attempt, name=f"pinstripe-delivery-{id}")
        self._tasks[task] = account
        task.add_done_callback(self._tasks.pop)

    def resume(self) -> None:
        """Schedule the attempts again that the last stop of the sandbox interrupted."""
        for account in self._world.accounts():
            for delivery in account.tables[DELIVERY].find_by("status", "sending"):
                account.schedule(0, _ATTEMPT_JOB, delivery["id"])

    def forget(self, account: Account) -> None:
        """Cancel the attempts of an account that is gone."""
        for task, owner in self._tasks.items():
            if owner is account:
                task.cancel()

    async def flush(self) -> None:
        """Start the attempts that are due, and wait until none is running."""
        run_due_jobs(self._world)
        while self._tasks:
            await asyncio.wait(self._tasks)
            # An attempt takes time, in which others can become due.
            run_due_jobs(self._world)

    async def close(self) -> None:
        """Cancel the attempts that are running, and wait for their end."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _attempt(self, account: Account, id: str, endpoint: Json) -> None:
        # The event is read when the attempt has its turn: it may have been redacted meanwhile.
        async with self._slots[endpoint["id"]]:
            event = account.get(EVENT, account.get(DELIVERY, id)["event"])
            at = account.now()
            sent = await self._send(event, endpoint)

        # Then the attempt is stored, and the delivery ends or gets its next attempt.
        delivery = account.get(DELIVERY, id)
        attempts = [*delivery["attempts"], {"at": int(at), **sent}]
        state, wait = next_step(attempts)
        account.put({**delivery, "attempts": attempts, "status": state})
        if state == "delivered":
            _update_pending(account, account.get(EVENT, event["id"]))
        if wait is not None:
            account.schedule(wait, _ATTEMPT_JOB, id)

    async def _send(self, event: Json, endpoint: Json) -> Json:
        """Send an event, and return what an attempt keeps: request, answer, status and error."""
        kept: Json = {"answer": None, "error": None, "request": None, "status": None}
        url, settings = read_url(endpoint["url"]), self._world.settings
        if url is None or not may_call(url, settings.allow_hosts):
            return {**kept, "error": "not_allowed"}
        as_sent, whole = _event_for(endpoint, event)
        body = _encoded(whole)
        headers = headers_of(body, endpoint)
        kept["request"] = {"event": as_sent, "headers": headers, "url": endpoint["url"]}
        way = Way(url)
        try:
            answer = await _post(way, body, headers, settings.webhook_seconds)
        except asyncio.TimeoutError:
            return {**kept, "error": "timeout"}
        except (aiohttp.ClientError, OSError, ValueError):
            return {**kept, "error": "not_allowed" if way.refused else "connection"}
        return {**kept, "answer": answer, "status": answer["status"]}


async def _post(way: Way, body: bytes, headers: Mapping[str, str], seconds: float) -> Json:
    async with aiohttp.ClientSession(
        connector=way.connector(),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
    ) as session:
        opening = session.post(way.url, data=body, headers=headers, allow_redirects=False)
        async with await asyncio.wait_for(opening, seconds) as response:
            start = bytearray()
            # Only the head counts: a body that breaks or does not end is no failure.
            with contextlib.suppress(asyncio.TimeoutError, aiohttp.ClientError):
                await asyncio.wait_for(_read_start(response, start), KEPT_SECONDS)
            text = start[:KEPT_BYTES].decode("utf-8", "replace")
            return {"status": response.status, "headers": dict(response.headers), "body": text}


async def _read_start(response: aiohttp.ClientResponse, start: bytearray) -> None:
    while len(start) < KEPT_BYTES and (part := await response.content.readany()):
        start += part


async def flush(world: World) -> None:
    """Start the attempts that are due, and wait until none is running.

    Without a running server this does nothing.
    """
    if world.deliverer is not None:
        await world.deliverer.flush()


@contextlib.asynccontextmanager
async def deliver(world: World) -> AsyncGenerator[None, None]:
    """Deliver the events of a world until the block ends."""
    deliverer = world.deliverer = WebhookDeliverer(world)
    world.subscribers.append(take_event)
    deliverer.resume()
    try:
        yield
    finally:
        world.subscribers.remove(take_event)
        world.deliverer = None
        await deliverer.close()
