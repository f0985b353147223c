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
import secrets
import string
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import attrs

from pinstripe.sandbox.clock import Clock, system_clock
from pinstripe.sandbox.errors import Refusal, missing
from pinstripe.sandbox.idempotency import Ledger
from pinstripe.sandbox.kinds import Asked, Registry
from pinstripe.sandbox.schema import Params
from pinstripe.sandbox.store import Json, Table

API_VERSION: Final = "2026-10-28.endive"
EVENT: Final = "event"

MAX_ACCOUNTS = 1000

_ALPHABET = string.ascii_letters + string.digits
_ID_LENGTH = 24
_REQUEST_ID_LENGTH = 14


def _drawn(seed: int | None) -> int:
    return secrets.randbits(64) if seed is None else seed


@attrs.frozen
class Settings:
    """How a world behaves.

    Args:
        seed: source of all that is random; None draws one.
        clock: gives seconds since the Unix epoch.
        redaction_seconds: time that a redaction takes, by the clock.
    """

    seed: int = attrs.field(default=None, converter=_drawn)
    clock: Clock = system_clock
    redaction_seconds: float = 1.0


@attrs.frozen
class Origin:
    """What caused a change: an API request, or nothing that the API knows of.

    Args:
        request_id: id of the request, None for what the driver or the clock does.
        idempotency_key: the key that the request carried.
    """

    request_id: str | None = None
    idempotency_key: str | None = None


Duty: TypeAlias = "Callable[[Account, str], object]"


class Account:
    """One account: its tables, its ids, its agenda, its idempotency ledger.

    Args:
        id: `acct_...`, None for the account that the key belongs to.
        registry: the kinds of objects.
        settings: seed, clock and durations.
        duties: what can stand in the agenda, by name.
    """

    def __init__(
        self,
        id: str | None,
        registry: Registry,
        settings: Settings,
        duties: Mapping[str, Duty],
    ) -> None:
        self.id = id
        self.duties = duties
        self.registry = registry
        self.settings = settings
        self.tables: dict[str, Table] = registry.tables()
        self.ledger = Ledger()
        self._random = random.Random(f"{settings.seed}:{id or ''}")  # noqa: S311 - has to be repeatable
        self._agenda: list[tuple[float, int, str, str]] = []
        self._planned = 0

    def now(self) -> float:
        """Return the time, in seconds since the epoch."""
        return self.settings.clock()

    def timestamp(self) -> int:
        """Return the whole second of the time, as `created` has it."""
        return int(self.now())

    def text(self, length: int) -> str:
        """Return random letters and digits."""
        return _text(self._random, length)

    def choice(self, count: int) -> int:
        """Return a random number from zero up to, and without, count."""
        return self._random.randrange(count)

    def new_id(self, kind: str) -> str:
        """Return an id for a new object of a kind."""
        return self.registry.kinds[kind].prefix + self.text(_ID_LENGTH)

    def new_file_id(self) -> str:
        """Return an id for a file that a check leaves behind."""
        return "file_" + self.text(_ID_LENGTH)

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
        return self.tables[value["object"]].put(value)

    def render(self, value: Json, asked: Asked) -> Json:
        """Return an object as it is shown."""
        return self.registry.render(value["object"], value, asked, self.tables)

    def emit(
        self, type: str, value: Json, origin: Origin, previous: Mapping[str, object] | None = None
    ) -> Json:
        """Append an event to the log.

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
        return self.put({**event, "account": self.id} if self.id else event)

    def plan(self, delay: float, duty: str, id: str) -> None:
        """Put a duty towards an object on the agenda.

        Args:
            delay: seconds until it is due.
            duty: name of the duty.
            id: id of the object.
        """
        self._planned += 1
        heapq.heappush(self._agenda, (self.now() + delay, self._planned, duty, id))

    def settle(self) -> None:
        """Do what has become due."""
        while self._agenda and self._agenda[0][0] <= self.now():
            _, _, duty, id = heapq.heappop(self._agenda)
            self.duties[duty](self, id)


class World:
    """All accounts of a sandbox.

    Args:
        registry: the kinds of objects.
        settings: seed, clock and durations.
        duties: what can stand in an agenda, by name.
    """

    def __init__(self, registry: Registry, settings: Settings, duties: Mapping[str, Duty]) -> None:
        self.registry = registry
        self.duties = duties
        self.settings = settings
        self._accounts: dict[str | None, Account] = {}
        self._random = random.Random(f"{settings.seed}:requests")  # noqa: S311 - has to be repeatable

    def request_id(self) -> str:
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
            account = self._accounts[id] = Account(id, self.registry, self.settings, self.duties)
        return account


@attrs.frozen
class Call:
    """One call of an endpoint, as its handler sees it.

    Args:
        account: whose objects are meant.
        params: the checked parameters, without `expand`.
        ids: what stood in the placeholders of the path.
        asked: what `expand` asks for.
        origin: the request that causes the changes.
        path: the path of the request.
    """

    account: Account
    params: Params
    ids: tuple[str, ...] = ()
    asked: Asked = attrs.field(factory=dict[str, "Asked"])
    origin: Origin = Origin()
    path: str = ""

    def show(self, value: Json) -> Json:
        """Return a stored object as the answer of this call."""
        return self.account.render(value, self.asked)


def _text(source: random.Random, length: int) -> str:
    return "".join(source.choices(_ALPHABET, k=length))
