"""Stores in whose transactions the handlers write, so that their work and the commit are one.

A plain store is committed after the handlers have done their work. If the process dies in between,
the work is done once more. A store of this kind opens a transaction of the user's database for the
handlers, and remembers the event in that transaction too:

    claim         a transaction of its own, so that another delivery gets "busy" and never waits
    transaction   what the handlers write, and that the event was handled

The end of the transaction writes both or neither. It needs the claim: if another delivery has taken
the event after the lease, nothing is written. So each event has its effect once, whenever a process
is killed or a connection is lost, and whatever the clocks say.

The two kinds differ in what awaits. An async database is used by coroutine functions. A blocking
one belongs to a thread, so that everything from the claim to the end of the transaction is one
plain function, which runs in one thread.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TypeVar

from attrs import frozen
from typing_extensions import ParamSpec

from pinstripe._core.errors import ConfigurationError
from pinstripe.webhooks._stores import Claimed

_P = ParamSpec("_P")
_T = TypeVar("_T")


@frozen
class Handled:
    """What the end of a transaction remembers.

    Attributes:
        id: The id of the event.
        token: The token of its claim.
        subject: The id of its object; None if the newest event of it is not recorded.
        at: When the event happened, in seconds since the Unix epoch.
    """

    id: str
    token: str
    subject: str | None
    at: float


class LeaseEndedError(Exception):
    """The claim was over before the transaction ended, which was rolled back."""

    def __init__(self) -> None:
        super().__init__(
            "the lease ended before the handlers were done, so their work was rolled back. Give"
            " the router a longer lease, or make the handlers faster"
        )


class AsyncTransactions(ABC):
    """How the handlers get a transaction of an async database."""

    @abstractmethod
    def transaction(self, handled: Handled | None) -> AbstractAsyncContextManager[float | None]:
        """Open a transaction, which an exception rolls back.

        The value that it gives is when the newest handled event of the object happened, or None.

        Args:
            handled: What the end of the transaction remembers; None for events without a claim.

        Raises:
            LeaseEndedError: The claim was over; everything was rolled back.
        """


class BlockingTransactions(ABC):
    """A store for the deliveries of a blocking database: plain functions, all in one thread."""

    @abstractmethod
    def claim(self, id: str, token: str, lease: float) -> Claimed:
        """Claim an event; see `Store`."""

    @abstractmethod
    def release(self, id: str, token: str) -> None:
        """End a claim; see `Store`."""

    @abstractmethod
    def transaction(self, handled: Handled | None) -> AbstractContextManager[float | None]:
        """Open a transaction in this thread; see `AsyncTransactions.transaction`."""

    @abstractmethod
    async def in_thread(
        self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """Call a plain function in a thread in which the database may be used.

        Args:
            function: The function.
            args: Its arguments.
            kwargs: Its arguments by name.
        """


class TransactionalStore(ABC):
    """A store whose transactions the handlers write in; a base class of such stores."""

    @property
    @abstractmethod
    def transactions(self) -> AsyncTransactions | BlockingTransactions:
        """How they get one."""


def transactions_of(store: object) -> AsyncTransactions | BlockingTransactions | None:
    """Return the transactions of a store; None if the handlers cannot write in any.

    Args:
        store: The store.
    """
    return store.transactions if isinstance(store, TransactionalStore) else None


def no_transaction(name: str) -> ConfigurationError:
    """Return the error of a handler's connection that is asked for where there is none.

    Args:
        name: What was asked for.
    """
    return ConfigurationError(
        name, "there is one only while a handler runs, for a router that has this store"
    )
