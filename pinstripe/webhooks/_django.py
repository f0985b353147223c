"""A store in the database of a Django project.

The handlers of an event run in a transaction of Django's, `atomic` for one alias, and its end
commits what they have written together with the event. See `_transactions`.

Choices, and their reasons:

- Every handler must be a plain function: Django has no transactions in async code, and what an
  async handler writes would go through another connection.
- Under WSGI all steps of a delivery run in the thread of the request. In an event loop they run
  where Django's own `sync_to_async` runs code: under ASGI that is the one thread of the request. So
  the connection is the one that Django opens and closes there, and in a test that of `TestCase`.
- The transaction is durable. Inside of another one it is refused, since the outer one could undo it
  after the delivery was answered. The views of `pinstripe.adapters.django` are exempt from
  `ATOMIC_REQUESTS`.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from pinstripe._core.errors import ConfigurationError
from pinstripe.webhooks._rows import Pruning
from pinstripe.webhooks._stores import Claimed
from pinstripe.webhooks._transactions import TransactionalStore

if TYPE_CHECKING:
    from pinstripe.webhooks.django._steps import DjangoTransactions


class DjangoStore(TransactionalStore):
    """A store in a Django project's database, in whose transaction the handlers write.

        INSTALLED_APPS = [..., "pinstripe.webhooks.django"]  # in the settings; then migrate

        store = DjangoStore()
        router = Router(webhook, store)

        @router.on(OrderCreated)
        def book(event: OrderCreated) -> None:
            Booking.objects.create(order=event.data.object.id)

    What the handlers of an event write to this database is committed together with the event:
    whenever the process is killed, both are there or neither is. Every handler must be a plain
    function. It needs `pinstripe[django]`.

    Args:
        using: The alias of the database in `DATABASES`.

    Raises:
        ConfigurationError: The alias is no text, or Django is missing.
    """

    def __init__(self, using: str = "default") -> None:
        if not isinstance(using, str) or not using:
            raise ConfigurationError("using", "must be the alias of a database of Django")
        if find_spec("django") is None:
            problem = 'Django needs: python -m pip install "pinstripe[django]"'
            raise ConfigurationError("using", problem)
        self._using = using
        self._pruning = Pruning()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._using!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DjangoStore) and other._using == self._using

    def __hash__(self) -> int:
        return hash(self._using)

    @property
    def transactions(self) -> DjangoTransactions:
        """How the router opens the transaction of the handlers."""
        # Models can only be imported when Django is set up.
        from pinstripe.webhooks.django._steps import DjangoTransactions  # noqa: PLC0415

        return DjangoTransactions(self._using, self._pruning)

    async def claim(self, id: str, token: str, lease: float) -> Claimed:
        """Claim an event; see `Store`."""
        steps = self.transactions
        return await steps.in_thread(steps.claim, id, token, lease)

    async def commit(self, id: str, token: str) -> bool:
        """Remember that an event was handled; see `Store`."""
        steps = self.transactions
        return await steps.in_thread(steps.commit, id, token)

    async def release(self, id: str, token: str) -> None:
        """End a claim; see `Store`."""
        steps = self.transactions
        await steps.in_thread(steps.release, id, token)

    async def last_handled(self, subject: str) -> float | None:
        """Return when the newest handled event of an object happened; see `Store`."""
        steps = self.transactions
        return await steps.in_thread(steps.last_handled, subject)

    async def record_handled(self, subject: str, at: float) -> None:
        """Record that an event of an object was handled; see `Store`."""
        steps = self.transactions
        await steps.in_thread(steps.record_handled, subject, at)

    async def close_for_loop(self) -> None:
        """Do nothing: Django closes its connections itself; see `Store`."""
