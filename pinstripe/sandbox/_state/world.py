"""The state of a sandbox: a world of accounts, each with its objects, ids, events and jobs.

All randomness of an account comes from one seeded source, and all times come from the world's
clock. So the same seed, clock and order of requests give the same answers byte for byte.

Work that happens later by the clock, such as the end of a redaction, is a scheduled job. A request
runs the due jobs of its account before it looks at anything, so that it never sees a stale object.

Choice of the sandbox, because the published facts are silent: an account that `Stripe-Account`
names exists from then on, and its events carry its id. A sandbox that was given its accounts takes
no others.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any, Final, Protocol, TypeAlias

import msgspec
from attrs import frozen

from pinstripe.sandbox._params.errors import Refusal, missing
from pinstripe.sandbox._state.jobs import JobQueue
from pinstripe.sandbox._state.journal import ANSWER, CONTENT, JOB, OBJECT, Journal, NullJournal
from pinstripe.sandbox._state.kinds import Expansion, Registry
from pinstripe.sandbox._state.origin import EventOrigin
from pinstripe.sandbox._state.randomness import Randomness, random_text
from pinstripe.sandbox._state.settings import Settings
from pinstripe.sandbox._state.table import Json, Table
from pinstripe.sandbox._state.versions import API_VERSION
from pinstripe.sandbox._traffic.effects import Effects
from pinstripe.sandbox._traffic.faults import Faults
from pinstripe.sandbox._traffic.feed import TOPICS, Feed
from pinstripe.sandbox._traffic.idempotency import AccountKeys, KeyEntry
from pinstripe.sandbox._traffic.rate_limits import RateLimiter
from pinstripe.sandbox._traffic.request_log import RequestLog

EVENT: Final = "event"

# Own choice: a request can name any account, and each costs memory.
MAX_ACCOUNTS = 1000

# The lengths of the ids in Stripe's own examples.
_ID_LENGTH = 24
_REQUEST_ID_LENGTH = 14


@frozen
class _History:
    """The time that an account is in while its past is filled in."""

    now: float
    events: bool


Job: TypeAlias = "Callable[[Account, str], object]"
"""Does scheduled work on the object with an id."""

Subscriber: TypeAlias = "Callable[[Account, Json], object]"
"""Takes the account and an event that was just stored."""


class Deliverer(Protocol):
    """Delivers webhooks."""

    def start(self, account: Account, id: str) -> None:
        """Start an attempt at a delivery that is due."""
        ...

    def forget(self, account: Account) -> None:
        """Stop the attempts at deliveries of an account that is gone."""
        ...

    async def flush(self) -> None:
        """Start all due attempts, and return when no attempt is running."""
        ...


class Account:
    """One account: its objects and their content, its ids, its jobs and its idempotency keys.

    Args:
        id: `acct_...`; None for the account of the API key.
        world: The world that the account belongs to.
    """

    def __init__(self, id: str | None, world: World) -> None:
        self.id = id
        self.world = world
        self.registry = world.registry
        self.settings = world.settings
        self.tables: dict[str, Table] = world.registry.tables()
        self.keys = AccountKeys(lambda name, entry: self._record(ANSWER, name, entry))
        self._contents: dict[str, bytes] = {}
        self._random = world.randomness.source(id or "")
        self._jobs = JobQueue(lambda name, job: self._record(JOB, name, job))
        self._gone = False
        self._history: _History | None = None

    def now(self) -> float:
        """Return the time, in seconds since the epoch."""
        return self.settings.clock() if self._history is None else self._history.now

    @contextmanager
    def in_the_past(self, now: float, *, events: bool) -> Generator[None, None, None]:
        """Let an earlier time be now, for this account and inside the block only.

        Args:
            now: The time, in seconds since the epoch.
            events: Whether what happens adds events to the log. They are not delivered.
        """
        self._history = _History(now, events)
        try:
            yield
        finally:
            self._history = None

    def timestamp(self) -> int:
        """Return the time in whole seconds, as the field `created` holds it."""
        return int(self.now())

    def random_text(self, length: int) -> str:
        """Return random letters and digits."""
        return random_text(self._random, length)

    def random_below(self, count: int) -> int:
        """Return a random whole number from 0 to `count - 1`."""
        return self._random.randrange(count)

    def new_id(self, kind: str) -> str:
        """Return an id for a new object of a kind."""
        return self.registry.kinds[kind].prefix + self.random_text(_ID_LENGTH)

    def new_file_id(self) -> str:
        """Return an id for a file that a check creates."""
        return "file_" + self.random_text(_ID_LENGTH)

    def get(self, kind: str, id: str, param: str = "id", status: int = 404) -> Json:
        """Return a stored object.

        Args:
            kind: The name of the kind.
            id: The id of the object.
            param: The parameter that held the id.
            status: The HTTP status if there is no such object.

        Raises:
            Refusal: `resource_missing`, if no object has the id.
        """
        value = self.tables[kind].get(id)
        if value is None:
            raise missing(kind, id, param, status)
        return value

    def put(self, value: Json) -> Json:
        """Store an object in the table of its kind and return it."""
        self._record(OBJECT + value["object"], value["id"], value)
        self.world.feed.publish(self.id, value["object"])
        return self.tables[value["object"]].put(value)

    def remove(self, value: Json) -> None:
        """Remove a stored object and its content."""
        self._record(OBJECT + value["object"], value["id"], None)
        self.world.feed.publish(self.id, value["object"])
        self.tables[value["object"]].remove(value["id"])
        self.remove_content(value["id"])

    def content(self, id: str) -> bytes | None:
        """Return the bytes that belong to an object, or None."""
        return self._contents.get(id)

    def put_content(self, id: str, data: bytes) -> None:
        """Store the bytes that belong to an object, and replace earlier ones."""
        self._record(CONTENT, id, data)
        self._contents[id] = data

    def remove_content(self, id: str) -> None:
        """Remove the bytes that belong to an object, if there are any."""
        if self._contents.pop(id, None) is not None:
            self._record(CONTENT, id, None)

    def render(self, value: Json, expand: Expansion) -> Json:
        """Return a stored object as an answer shows it."""
        return self.registry.render(value["object"], value, expand, self.tables)

    def emit(
        self,
        type: str,
        value: Json,
        origin: EventOrigin,
        previous: Mapping[str, object] | None = None,
    ) -> Json:
        """Append an event to the log, and call the subscribers of the world with it.

        In the past, no subscriber is called, and the event is only kept if it is wanted.

        Args:
            type: The event type.
            value: The object as it is stored now; the event leaves out hidden fields.
            origin: The request that caused the event.
            previous: The values that an update replaced.

        Returns:
            The event.
        """
        data: Json = {"object": self.render(value, {})}
        if previous is not None:
            data["previous_attributes"] = dict(previous)
        event: Json = {
            "id": self.new_id(EVENT),
            "object": EVENT,
            "api_version": API_VERSION,
            "created": self.timestamp(),
            "data": data,
            "livemode": False,
            "pending_webhooks": 0,
            "request": {"id": origin.request_id, "idempotency_key": origin.idempotency_key},
            "type": type,
        }
        event = {**event, "account": self.id} if self.id else event
        if self._history is not None:
            return self.put(event) if self._history.events else event
        event = self.put(event)
        for subscriber in self.world.subscribers:
            subscriber(self, event)
        # A subscriber may have replaced the event: `pending_webhooks` counts its deliveries.
        return self.get(EVENT, event["id"])

    def schedule(self, delay: float, job: str, id: str) -> None:
        """Schedule a job for an object.

        The job runs when it is due, at the latest before the next request of the account.

        Args:
            delay: Seconds until the job is due.
            job: The name of the job.
            id: The id of the object, or another text that the job understands.
        """
        self._jobs.add(self.now() + delay, job, id)
        self.world.on_scheduled()

    def next_due(self) -> float | None:
        """Return when the next job is due, in seconds since the epoch; None for never."""
        return self._jobs.next_due()

    def run_due(self) -> None:
        """Run the jobs that are due."""
        # Each round reads the queue and the clock again: a job may schedule another one.
        while (due := self._jobs.next_due()) is not None and due <= self.now():
            job, id = self._jobs.take()
            self.world.jobs[job](self, id)

    def restore(self, place: str, name: str, value: bytes) -> None:
        """Put back a change that an earlier run recorded in the journal.

        Args:
            place: The place of the change.
            name: The name of the change.
            value: Bytes of a content, or JSON text of any other value.
        """
        if place == CONTENT:
            self._contents[name] = value
        elif place == ANSWER:
            self.keys.restore(name, msgspec.json.decode(value, type=KeyEntry))
        elif place == JOB:
            self._jobs.restore(name, value)
        else:
            stored = msgspec.json.decode(value, type=dict[str, Any])
            self.tables[place.removeprefix(OBJECT)].put(stored)

    def leave(self) -> Iterator[None]:
        """Take the account out of its world: what still runs for it is not recorded any more.

        Returns:
            The steps that give its memory back; they may take long.
        """
        self._gone = True
        return chain.from_iterable([table.drain() for table in self.tables.values()])

    def _record(self, place: str, name: str, value: object) -> None:
        if not self._gone:
            self.world.journal.record(place, self.id or "", name, value)


class World:
    """All accounts of a sandbox, and what they share.

    Args:
        registry: The kinds of objects.
        settings: Seed, clock and durations.
        jobs: What can be scheduled, by name.

    Attributes:
        base_url: The address of the server; "" before it listens.
        randomness: The random sources of accounts.
        rate_limiter: The rate limits.
        faults: The injected faults.
        effects: What requests did.
        requests: The log of requests.
        feed: Tells what changed to those who follow.
        journal: Receives the changes that have to outlive the process.
        subscribers: Called with the account and the event when an event was stored.
        on_scheduled: Called when a job was scheduled.
        deliverer: Delivers webhooks while the server runs.
        form_secret: Signs the forms of the pages; no two runs have the same.
    """

    def __init__(self, registry: Registry, settings: Settings, jobs: Mapping[str, Job]) -> None:
        self.registry = registry
        self.jobs = jobs
        self.settings = settings
        self.rate_limiter = RateLimiter(settings.rate_limit)
        self.faults = Faults(settings.seed)
        self.effects = Effects()
        self.requests = RequestLog()
        self.feed = Feed()
        self.journal: Journal = NullJournal()
        self.base_url = ""
        self.subscribers: list[Subscriber] = []
        self.on_scheduled: Callable[[], object] = lambda: None
        self.deliverer: Deliverer | None = None
        self.form_secret = secrets.token_bytes(32)
        self._accounts: dict[str | None, Account] = {}
        self.randomness = Randomness(settings.seed)
        self._random = self.randomness.source("requests")

    def begin_run(self, number: int) -> None:
        """Take random sources that no earlier run of this world has used.

        Args:
            number: How many runs there were before.
        """
        self.randomness.begin_run(number)
        self._random = self.randomness.source("requests")

    def new_request_id(self) -> str:
        """Return a new request id."""
        return "req_" + random_text(self._random, _REQUEST_ID_LENGTH)

    def account(self, id: str | None = None) -> Account:
        """Return an account, and create it the first time.

        Args:
            id: `acct_...`; None for the account of the API key.

        Raises:
            Refusal: 403, for more than 1000 accounts.
        """
        account = self._accounts.get(id)
        if account is None:
            if len(self._accounts) >= MAX_ACCOUNTS:
                raise Refusal(f"The sandbox holds at most {MAX_ACCOUNTS} accounts.", status=403)
            account = self._accounts[id] = Account(id, self)
        return account

    def find_account(self, id: str | None = None) -> Account | None:
        """Return an account if it exists."""
        return self._accounts.get(id)

    def accounts(self) -> list[Account]:
        """Return all accounts, in the order of their creation."""
        return list(self._accounts.values())

    def reset(self, *accounts: Account) -> Iterator[None]:
        """Forget accounts, or everything if none is given; the clock stays as it is.

        Ids never repeat: each reset takes new random sources, which depend on the seed and on the
        number of resets before.

        Args:
            accounts: The accounts.

        Returns:
            The steps that give the memory back; they may take long.
        """
        self.randomness.begin_reset()
        ids = [account.id for account in accounts] or list(self._accounts)
        gone = [account for id in ids if (account := self._accounts.pop(id, None))]
        for account in gone:
            self.journal.forget(account.id or "")
            if self.deliverer is not None:
                self.deliverer.forget(account)
        if not accounts:
            self.journal.forget(None)
            self.rate_limiter.set(self.settings.rate_limit)
            self.faults = Faults(self.settings.seed)
            self.effects = Effects()
            self.requests.clear()
        for topic in (*self.registry.kinds, *TOPICS):
            for id in ids:
                self.feed.publish(id, topic)
            self.feed.publish(None, topic)
        return chain.from_iterable([account.leave() for account in gone])
