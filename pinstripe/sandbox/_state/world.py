"""The state of a sandbox: a world of accounts, each with its objects, ids, events and agenda.

Everything random comes from one seeded source an account, everything timed from the world's
clock: the same seed, clock and order of requests give the same answers byte for byte. What
happens later by the clock (a redaction that finishes) stands in the agenda and is done before the
next request looks.

Choice where the published facts are silent: an account named by `Stripe-Account` exists as soon
as it is named, and its events carry its id.
"""

from __future__ import annotations

import heapq
import random
import string
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeAlias

import attrs
import msgspec

from pinstripe.sandbox._params.errors import Refusal, missing
from pinstripe.sandbox._state.journal import ANSWER, CONTENT, JOB, OBJECT, Journal, NullJournal
from pinstripe.sandbox._state.kinds import Expansion, Registry
from pinstripe.sandbox._state.settings import Settings
from pinstripe.sandbox._state.table import Json, Table
from pinstripe.sandbox._traffic.effects import Effects
from pinstripe.sandbox._traffic.faults import Faults
from pinstripe.sandbox._traffic.idempotency import IdempotencyKeys, KeyEntry
from pinstripe.sandbox._traffic.rate_limits import RateLimiter

API_VERSION: Final = "2026-10-28.endive"
EVENT: Final = "event"

MAX_ACCOUNTS = 1000

_ALPHABET = string.ascii_letters + string.digits
_ID_LENGTH = 24
_REQUEST_ID_LENGTH = 14


@attrs.frozen
class EventOrigin:
    """What caused a change: an API request, or nothing that the API knows of.

    Args:
        request_id: id of the request, None for what the driver or the clock does.
        idempotency_key: the key that the request carried.
    """

    request_id: str | None = None
    idempotency_key: str | None = None


Job: TypeAlias = "Callable[[Account, str], object]"
Subscriber: TypeAlias = "Callable[[Account, Json], object]"


class Deliverer(Protocol):
    """Delivers webhooks."""

    def start(self, account: Account, id: str) -> None:
        """Start an attempt at a delivery that has become due."""
        ...

    async def flush(self) -> None:
        """Start what is due, and return when nothing is under way."""
        ...


class Account:
    """One account: its objects, their content, its ids, its agenda, its idempotency ledger.

    Args:
        id: `acct_...`, None for the account that the key belongs to.
        world: the world that it is part of.
    """

    def __init__(self, id: str | None, world: World) -> None:
        self.id = id
        self.world = world
        self.registry = world.registry
        self.settings = world.settings
        self.tables: dict[str, Table] = world.registry.tables()
        self.idempotency_keys = IdempotencyKeys(lambda key, entry: self._record(ANSWER, key, entry))
        self._contents: dict[str, bytes] = {}
        self._random = world.random(id or "")
        self._jobs: list[tuple[float, int, str, str]] = []
        self._scheduled = 0

    def now(self) -> float:
        """Return the time, in seconds since the epoch."""
        return self.settings.clock()

    def timestamp(self) -> int:
        """Return the whole second of the time, as `created` has it."""
        return int(self.now())

    def random_text(self, length: int) -> str:
        """Return random letters and digits."""
        return _text(self._random, length)

    def random_below(self, count: int) -> int:
        """Return a random number from zero up to, and without, count."""
        return self._random.randrange(count)

    def new_id(self, kind: str) -> str:
        """Return an id for a new object of a kind."""
        return self.registry.kinds[kind].prefix + self.random_text(_ID_LENGTH)

    def new_file_id(self) -> str:
        """Return an id for a file that a check leaves behind."""
        return "file_" + self.random_text(_ID_LENGTH)

    def get(self, kind: str, id: str, param: str = "id", status: int = 404) -> Json:
        """Return a stored object.

        Raises:
            Refusal: resource_missing, when nothing is stored under the id.
        """
        value = self.tables[kind].get(id)
        if value is None:
            raise missing(kind, id, param, status)
        return value

    def put(self, value: Json) -> Json:
        """Store an object in the table of its kind and return it."""
        self._record(OBJECT + value["object"], value["id"], value)
        return self.tables[value["object"]].put(value)

    def remove(self, value: Json) -> None:
        """Forget an object that is stored, and its content."""
        self._record(OBJECT + value["object"], value["id"], None)
        self.tables[value["object"]].remove(value["id"])
        self.remove_content(value["id"])

    def content(self, id: str) -> bytes | None:
        """Return the bytes that belong to an object, None where there are none."""
        return self._contents.get(id)

    def put_content(self, id: str, data: bytes) -> None:
        """Store the bytes that belong to an object, in place of earlier ones."""
        self._record(CONTENT, id, data)
        self._contents[id] = data

    def remove_content(self, id: str) -> None:
        """Forget the bytes that belong to an object, if there are any."""
        if self._contents.pop(id, None) is not None:
            self._record(CONTENT, id, None)

    def render(self, value: Json, asked: Expansion) -> Json:
        """Return an object as it is shown."""
        return self.registry.render(value["object"], value, asked, self.tables)

    def emit(
        self,
        type: str,
        value: Json,
        origin: EventOrigin,
        previous: Mapping[str, object] | None = None,
    ) -> Json:
        """Append an event to the log, and tell those who subscribed to the world.

        Args:
            type: the event type.
            value: the object as it is stored now; hidden fields stay out of the event.
            origin: the request that caused it.
            previous: the values that an update replaced.

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
        event = self.put({**event, "account": self.id} if self.id else event)
        for subscriber in self.world.subscribers:
            subscriber(self, event)
        return self.get(EVENT, event["id"])

    def schedule(self, delay: float, duty: str, id: str) -> None:
        """Put a duty towards an object on the agenda.

        It is done when it is due, at the latest before the next request of the account looks.

        Args:
            delay: seconds until it is due.
            duty: name of the duty.
            id: id of the object, or any text that tells the duty what to do.
        """
        self._scheduled += 1
        due = self.now() + delay
        self._record(JOB, str(self._scheduled), (due, duty, id))
        heapq.heappush(self._jobs, (due, self._scheduled, duty, id))
        self.world.on_scheduled()

    def next_due(self) -> float | None:
        """Return when the next duty is due, in seconds since the epoch; None for never."""
        return self._jobs[0][0] if self._jobs else None

    def run_due(self) -> None:
        """Do what has become due."""
        while self._jobs and self._jobs[0][0] <= self.now():
            _, number, duty, id = heapq.heappop(self._jobs)
            self._record(JOB, str(number), None)
            self.world.jobs[duty](self, id)

    def restore(self, place: str, name: str, value: bytes) -> None:
        """Take back what the journal was given once.

        Args:
            place: where it stood.
            name: what told it from others there.
            value: bytes, or JSON text of the value.
        """
        if place == CONTENT:
            self._contents[name] = value
        elif place == ANSWER:
            self.idempotency_keys.restore(name, msgspec.json.decode(value, type=KeyEntry))
        elif place == JOB:
            due, duty, id = msgspec.json.decode(value, type=tuple[float, str, str])
            self._scheduled = max(self._scheduled, int(name))
            heapq.heappush(self._jobs, (due, int(name), duty, id))
        else:
            stored = msgspec.json.decode(value, type=dict[str, Any])
            self.tables[place.removeprefix(OBJECT)].put(stored)

    def _record(self, place: str, name: str, value: object) -> None:
        self.world.journal.record(place, self.id or "", name, value)


class World:
    """All accounts of a sandbox.

    Args:
        registry: the kinds of objects.
        settings: seed, clock and durations.
        duties: what can stand in an agenda, by name.

    Attributes:
        base_url: address of the server, "" before it listens.
        limiter: the rate limits.
        faults: what shall go wrong.
        effects: what requests did.
        journal: keeps what shall outlive the process.
        subscribers: called with the account and the event when one has been stored.
        planned: called when something has been put on an agenda.
        courier: delivers webhooks while the server runs.
    """

    def __init__(self, registry: Registry, settings: Settings, duties: Mapping[str, Job]) -> None:
        self.registry = registry
        self.jobs = duties
        self.settings = settings
        self.rate_limiter = RateLimiter(settings.rate_limit)
        self.faults = Faults(settings.seed)
        self.effects = Effects()
        self.journal: Journal = NullJournal()
        self.base_url = ""
        self.subscribers: list[Subscriber] = []
        self.on_scheduled: Callable[[], object] = _nothing
        self.deliverer: Deliverer | None = None
        self._accounts: dict[str | None, Account] = {}
        self._run = 0
        self._random = self.random("requests")

    def random(self, name: str) -> random.Random:
        """Return the source of what is random in a part of this world."""
        life = f":{self._run}" if self._run else ""
        return random.Random(f"{self.settings.seed}:{name}{life}")  # noqa: S311 - has to be repeatable

    def begin_run(self, life: int) -> None:
        """Draw ids that no earlier life of this world has drawn.

        Args:
            life: how many lives there were before.
        """
        self._run = life
        self._random = self.random("requests")

    def new_request_id(self) -> str:
        """Return a new request id."""
        return "req_" + _text(self._random, _REQUEST_ID_LENGTH)

    def account(self, id: str | None = None) -> Account:
        """Return an account, made when it is first named.

        Args:
            id: `acct_...`, None for the account that the key belongs to.

        Raises:
            Refusal: 403, beyond 1000 accounts.
        """
        account = self._accounts.get(id)
        if account is None:
            if len(self._accounts) >= MAX_ACCOUNTS:
                raise Refusal(f"The sandbox holds {MAX_ACCOUNTS} accounts at most.", status=403)
            account = self._accounts[id] = Account(id, self)
        return account

    def find_account(self, id: str | None = None) -> Account | None:
        """Return an account that was named before, None for any other."""
        return self._accounts.get(id)

    def accounts(self) -> list[Account]:
        """Return all accounts, in the order in which they were first named."""
        return list(self._accounts.values())


def _nothing() -> None:
    pass


def _text(source: random.Random, length: int) -> str:
    return "".join(source.choices(_ALPHABET, k=length))
