"""Webhook deliveries: events sent, signed, to the endpoints that asked for them.

An event makes one delivery an endpoint. Its attempts stand in the agenda of the event's account,
so that they keep to the clock of the sandbox; what an attempt came to is kept with the delivery.
An attempt that was cut short, by a stop of the sandbox, is made again at the next start: a
receiver can get an event twice, and in any order, as from Stripe.

Choices where the published facts are silent:

- three attempts, at once, after one hour and after two more;
- a receiver has ten seconds of real time for the head of its answer, whose body is not read;
- at most eight attempts an endpoint are under way;
- an address that is neither loopback nor allowed by name is never called: each attempt fails;
- `pending_webhooks` of an event counts the endpoints that it has not reached: also those that
  were given up, disabled or deleted meanwhile;
- the body is the event as it stands at the attempt, in the endpoint's `api_version`;
- signatures are made by the clock of the sandbox, and have a made-up `v0` as in test mode.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping
from typing import Final

import aiohttp
import msgspec
from yarl import URL

from pinstripe._signature import sign
from pinstripe.sandbox._http.outbound import may_call, read_url
from pinstripe.sandbox._state.kinds import Kind
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import EVENT, Account, World
from pinstripe.sandbox._webhooks.endpoints import ENDPOINT, receivers

DELIVERY: Final = "sandbox.webhook_delivery"
RETRY_SECONDS: Final = (3600.0, 7200.0)
MAX_UNDER_WAY: Final = 8
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

_DUTY = "deliver_webhook"


def plan_deliveries(account: Account, event: Json) -> None:
    """Put the first attempts at an event's deliveries on the agenda.

    Args:
        account: whose event it is.
        event: the event, as it was just stored.
    """
    found = receivers(account, event["type"])
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
        account.schedule(0, _DUTY, account.put(delivery)["id"])
    if found:
        _count(account, event)


def _count(account: Account, event: Json) -> None:
    deliveries = account.tables[DELIVERY].find_by("event", event["id"])
    reached = {each["webhook_endpoint"] for each in deliveries if each["status"] == "delivered"}
    pending = {each["webhook_endpoint"] for each in deliveries} - reached
    account.put({**event, "pending_webhooks": len(pending)})


def _start_attempt(account: Account, id: str) -> None:
    if account.world.deliverer is not None:
        account.world.deliverer.start(account, id)


JOBS: Final = {_DUTY: _start_attempt}


def body_of(event: Json, endpoint: Json) -> bytes:
    """Return what is sent: the event in the version of the endpoint, over many lines."""
    version = endpoint["api_version"] or event["api_version"]
    return msgspec.json.format(msgspec.json.encode({**event, "api_version": version}))


def headers_of(body: bytes, endpoint: Json, now: float) -> dict[str, str]:
    """Return the headers that are sent, with a signature made now."""
    signed = sign(body, endpoint["secret"], int(now))
    made_up = hashlib.sha256(signed.encode()).hexdigest()
    return {**HEADERS, "Stripe-Signature": f"{signed},v0={made_up}"}


def next_step(attempts: list[Json]) -> tuple[str, float | None]:
    """Return the status of a delivery after its attempts, and the wait until the next one.

    Args:
        attempts: each with `status`, that of the answer, or null where there was none.
    """
    if 200 <= (attempts[-1]["status"] or 0) < 300:
        return "delivered", None
    if len(attempts) > len(RETRY_SECONDS):
        return "failed", None
    return "pending", RETRY_SECONDS[len(attempts) - 1]


class Courier:
    """Makes the attempts that are due, in the event loop of the sandbox.

    Args:
        world: whose events are delivered.
        session: sends them.
    """

    def __init__(self, world: World, session: aiohttp.ClientSession) -> None:
        self._world = world
        self._session = session
        self._tasks: set[asyncio.Task[None]] = set()
        self._lanes = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(MAX_UNDER_WAY))

    def start(self, account: Account, id: str) -> None:
        """Start an attempt, or drop the delivery where its endpoint takes no more.

        Args:
            account: whose event it is.
            id: id of the delivery.
        """
        delivery = account.get(DELIVERY, id)
        endpoint = self._endpoint(delivery)
        if endpoint is None:
            account.put({**delivery, "status": "dropped"})
            return
        account.put({**delivery, "status": "sending"})
        attempt = self._attempt(account, id, endpoint)
        task = asyncio.create_task(attempt, name=f"pinstripe-delivery-{id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def resume(self) -> None:
        """Start the attempts again that were cut short."""
        for account in self._world.accounts():
            for delivery in account.tables[DELIVERY].find_by("status", "sending"):
                account.schedule(0, _DUTY, delivery["id"])

    async def flush(self) -> None:
        """Start what is due, and return when nothing is under way."""
        settle_all(self._world)
        while self._tasks:
            await asyncio.wait(self._tasks)
            settle_all(self._world)

    async def close(self) -> None:
        """Cut short what is under way."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _endpoint(self, delivery: Json) -> Json | None:
        owner = self._world.account(delivery["account"])
        endpoint = owner.tables[ENDPOINT].get(delivery["webhook_endpoint"])
        return endpoint if endpoint and endpoint["status"] == "enabled" else None

    async def _attempt(self, account: Account, id: str, endpoint: Json) -> None:
        async with self._lanes[endpoint["id"]]:
            event = account.get(EVENT, account.get(DELIVERY, id)["event"])
            at = account.now()
            status, error = await self._send(event, endpoint, at)
        delivery = account.get(DELIVERY, id)
        attempts = [*delivery["attempts"], {"at": int(at), "error": error, "status": status}]
        outcome, wait = next_step(attempts)
        account.put({**delivery, "attempts": attempts, "status": outcome})
        if outcome == "delivered":
            _count(account, account.get(EVENT, event["id"]))
        if wait is not None:
            account.schedule(wait, _DUTY, id)

    async def _send(self, event: Json, endpoint: Json, now: float) -> tuple[int | None, str | None]:
        url, settings = read_url(endpoint["url"]), self._world.settings
        if url is None or not may_call(url, settings.allow_hosts):
            return None, "not_allowed"
        body = body_of(event, endpoint)
        answer = self._post(url, body, headers_of(body, endpoint, now))
        try:
            return await asyncio.wait_for(answer, settings.webhook_seconds), None
        except asyncio.TimeoutError:
            return None, "timeout"
        except (aiohttp.ClientError, OSError, ValueError):
            return None, "connection"

    async def _post(self, url: URL, body: bytes, headers: Mapping[str, str]) -> int:
        async with self._session.post(
            url, data=body, headers=headers, allow_redirects=False
        ) as answer:
            return answer.status


def settle_all(world: World) -> None:
    """Do what has become due on every account."""
    for account in world.accounts():
        account.run_due()


async def flush(world: World) -> None:
    """Start what is due, and return when nothing is under way; does nothing without a server."""
    if world.deliverer is not None:
        await world.deliverer.flush()


@contextlib.asynccontextmanager
async def deliver(world: World) -> AsyncGenerator[None, None]:
    """Deliver the events of a world, until the block ends."""
    async with aiohttp.ClientSession(
        # A connection for each attempt: a receiver that restarts costs none of them.
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
    ) as session:
        courier = world.deliverer = Courier(world, session)
        world.subscribers.append(plan_deliveries)
        courier.resume()
        try:
            yield
        finally:
            world.subscribers.remove(plan_deliveries)
            world.deliverer = None
            await courier.close()
