"""What `DjangoStore` does in the thread of a delivery, by the connection that Django has there.

SQLite lets one connection write at a time, and refuses a transaction that has read before it writes
if another one wrote meanwhile. So each transaction begins with a statement that takes the lock, and
waits for it as long as the `timeout` of the database's `OPTIONS` says.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any, Final, TypeVar, cast

from asgiref.sync import sync_to_async
from django.db import IntegrityError, connections, transaction
from django.db.models import FloatField, Func, Value
from django.db.models.functions import Greatest
from typing_extensions import ParamSpec

from pinstripe._concurrency.tasks import finish
from pinstripe._core.errors import ConfigurationError
from pinstripe.webhooks._rows import (
    CLOCKS,
    EVENTS,
    PRUNED_AT_ONCE,
    Pruning,
    row_id,
    state_of,
)
from pinstripe.webhooks._stores import REMEMBER_SECONDS, Claimed
from pinstripe.webhooks._transactions import BlockingTransactions, Handled, LeaseEndedError
from pinstripe.webhooks.django.models import WebhookEvent, WebhookSubject

_P = ParamSpec("_P")
_T = TypeVar("_T")

# Changes nothing, and takes the lock of the file.
_LOCK: Final = f"DELETE FROM {EVENTS} WHERE 1 = 0"  # noqa: S608 -- the name is a constant


class _Clock(Func):
    """The time of the database, in seconds since the Unix epoch."""

    output_field = cast("Any", FloatField())

    def as_sql(self, compiler: Any, connection: Any, *_: Any, **__: Any) -> tuple[str, tuple[()]]:
        return CLOCKS[connection.vendor], ()


class DjangoTransactions(BlockingTransactions):
    """The store in the thread that calls it; see `Store` for what it shares with it.

    Args:
        using: The alias of the database.
        pruning: When to prune.
    """

    def __init__(self, using: str, pruning: Pruning) -> None:
        self._using = using
        self._pruning = pruning
        # Without the plugin of its stubs a query of Django has no types.
        self._events: Any = WebhookEvent.objects.using(using)
        self._subjects: Any = WebhookSubject.objects.using(using)

    async def in_thread(
        self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """Call a plain function in the thread in which Django's other code of this task runs.

        Args:
            function: The function.
            args: Its arguments.
            kwargs: Its arguments by name.
        """

        def call() -> _T:
            # Outside of a request nobody else closes connections that are broken or too old.
            _close_old_connections()
            try:
                return function(*args, **kwargs)
            finally:
                _close_old_connections()

        return await finish(sync_to_async(call, thread_sensitive=True)())

    def claim(self, id: str, token: str, lease: float) -> Claimed:
        """Claim an event, and prune if it is time."""
        try:
            with self._durable():
                if self._pruning.is_due():
                    for table in (self._events, self._subjects):
                        self._pruning.note(_prune(table))
                return self._claim(row_id(id), token, lease)
        except IntegrityError:
            return "busy"  # another claim has come first

    def _claim(self, id: str, token: str, lease: float) -> Claimed:
        this = self._events.filter(id=id)
        state = state_of(this.values_list("done", "ends", _Clock()).first())
        values: dict[str, Any] = {"token": token, "done": False, "ends": _Clock() + lease}
        if state == "free":
            self._events.bulk_create([WebhookEvent(id=id, **values)])  # sends no signals
            return "claimed"
        if state == "expired":
            return "claimed" if this.filter(ends__lte=_Clock()).update(**values) else "busy"
        return state

    def commit(self, id: str, token: str) -> bool:
        """Remember that an event was handled."""
        with self._durable():
            return self._commit(id, token)

    def _commit(self, id: str, token: str) -> bool:
        mine = self._events.filter(id=row_id(id), token=token, done=False, ends__gt=_Clock())
        return bool(mine.update(done=True, ends=_Clock() + REMEMBER_SECONDS))

    def release(self, id: str, token: str) -> None:
        """End a claim."""
        with self._durable():
            self._events.filter(id=row_id(id), token=token, done=False).delete()

    def last_handled(self, subject: str) -> float | None:
        """Return when the newest handled event of an object happened."""
        this = self._subjects.filter(id=row_id(subject), ends__gt=_Clock())
        newest: float | None = this.values_list("newest", flat=True).first()
        return newest

    def record_handled(self, subject: str, at: float) -> None:
        """Record that an event of an object was handled."""
        with self._durable():
            self._record_handled(row_id(subject), at)

    def _record_handled(self, id: str, at: float) -> None:
        known, ends = self._subjects.filter(id=id), _Clock() + REMEMBER_SECONDS
        newest = Greatest("newest", Value(at))
        if known.update(newest=newest, ends=ends):
            return
        try:
            with transaction.atomic(self._using):
                self._subjects.bulk_create([WebhookSubject(id=id, newest=at, ends=ends)])
        except IntegrityError:  # another event of it was recorded meanwhile
            known.update(newest=newest, ends=ends)

    @contextmanager
    def transaction(self, handled: Handled | None) -> Generator[float | None]:
        """Open a transaction in this thread; see `AsyncTransactions`."""
        with self._durable():
            subject = None if handled is None else handled.subject
            yield None if subject is None else self.last_handled(subject)
            if transaction.get_rollback(self._using):
                problem = "its transaction is to be rolled back, as a handler has set"
                raise ConfigurationError("using", problem)
            if handled is None:
                return
            if subject is not None:
                self._record_handled(row_id(subject), handled.at)
            if not self._commit(handled.id, handled.token):
                raise LeaseEndedError

    @contextmanager
    def _durable(self) -> Generator[None]:
        """Open a transaction whose end is a real commit."""
        connection: Any = connections[self._using]
        if connection.vendor not in CLOCKS:
            problem = f"must be PostgreSQL, SQLite, MySQL or MariaDB, not {connection.vendor}"
            raise ConfigurationError("using", problem)
        if not connection.in_atomic_block and not connection.get_autocommit():
            problem = "must commit by itself: with AUTOCOMMIT off, nobody would commit"
            raise ConfigurationError("using", problem)
        with ExitStack() as stack:
            try:
                stack.enter_context(transaction.atomic(self._using, durable=True))
            except RuntimeError:
                problem = "has a transaction around this one, which could undo it: leave out that"
                problem += " `atomic` block, or ATOMIC_REQUESTS for this view"
                raise ConfigurationError("using", problem) from None
            if connection.vendor == "sqlite":
                with connection.cursor() as cursor:
                    cursor.execute(_LOCK)
            yield


def _prune(table: Any) -> int:
    ids: list[str] = list(
        table.filter(ends__lte=_Clock())
        .order_by("ends")
        .values_list("id", flat=True)[:PRUNED_AT_ONCE]
    )
    if ids:
        # One that was claimed anew meanwhile stays.
        table.filter(id__in=ids, ends__lte=_Clock()).delete()
    return len(ids)


def _close_old_connections() -> None:
    # Django's own function would close one in a transaction too, such as that of a `TestCase`.
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
