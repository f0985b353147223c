"""Transactions of SQLAlchemy's engines, async and blocking, and how handlers get at them.

The connection of a transaction is in a context variable while the handlers run. So it belongs to
one delivery, also if many run at once, and is found in whatever a handler calls.

The store ends the transaction. A handler that commits it would do its work for good before the
event is remembered, so its commit is refused; if it rolls it back, the delivery fails. The session
that it gets commits to a savepoint.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from functools import partial
from types import MappingProxyType
from typing import Any, Concatenate, Final, TypeVar, cast

import anyio
from attrs import define, field
from sqlalchemy import Connection, Engine, MetaData, RootTransaction, event, exc
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import Session
from typing_extensions import ParamSpec

from pinstripe._core.errors import ConfigurationError
from pinstripe.webhooks import _sql
from pinstripe.webhooks._handlers import in_thread
from pinstripe.webhooks._rows import Pruning
from pinstripe.webhooks._stores import STORE_SECONDS, Claimed, store_step
from pinstripe.webhooks._transactions import (
    AsyncTransactions,
    BlockingTransactions,
    Handled,
    no_transaction,
)

_P = ParamSpec("_P")
_T = TypeVar("_T")

Step = Callable[Concatenate[Connection, _P], _T]
"""A function of a connection, in a transaction."""


@define(eq=False)
class OpenTransaction:
    """A transaction in which handlers run.

    Attributes:
        connection: Its connection.
        given: The same one as handlers get it.
        root: The transaction itself.
        session: The session on it; None until a handler wants one.
        is_over: Whether its handlers are done.
    """

    connection: Connection
    given: Connection | AsyncConnection
    root: RootTransaction = field(init=False)
    session: Session | AsyncSession | None = None
    is_over: bool = False

    def use_session(self) -> Session | AsyncSession:
        """Return the session, which is made when it is first wanted."""
        if self.session is None:
            # Its commit releases a savepoint.
            mode: Any = {"join_transaction_mode": "create_savepoint"}
            if isinstance(self.given, AsyncConnection):
                # An attribute that has expired could not be read: nothing awaits that.
                self.session = AsyncSession(self.given, expire_on_commit=False, **mode)
            else:
                self.session = Session(self.given, **mode)
        return self.session

    def open(self, handled: Handled | None) -> float | None:
        """Begin it, and return when the newest handled event of the object happened.

        Args:
            handled: What its end will remember.
        """
        self.root = self.connection.begin()
        event.listen(self.connection, "commit", self._refuse_commit)
        _sql.begin(self.connection)
        if handled is None or handled.subject is None:
            return None
        return _sql.last_handled(self.connection, handled.subject)

    def end(self, handled: Handled | None) -> None:
        """Remember an event, and commit.

        Args:
            handled: What to remember.

        Raises:
            ConfigurationError: A handler has rolled the transaction back.
        """
        if self.session is not None:
            session = self.session
            session = session.sync_session if isinstance(session, AsyncSession) else session
            session.commit()
            session.close()
        if not self.root.is_active:
            problem = "was rolled back by a handler: use `begin_nested()` for a part that may fail"
            raise ConfigurationError("connection", problem)
        if handled is not None:
            _sql.finish(self.connection, handled)
        self.root.commit()

    def _refuse_commit(self, _: Connection) -> None:
        if not self.is_over:
            problem = "is committed by the store, together with the event: leave out the commit"
            raise ConfigurationError("connection", problem)


_Open = Mapping[Engine, OpenTransaction]

_open: Final = ContextVar[_Open]("pinstripe_transactions", default=MappingProxyType({}))


@contextmanager
def _handed_over(transaction: OpenTransaction, engine: Engine) -> Generator[None]:
    token = _open.set({**_open.get(), engine: transaction})
    try:
        yield
    finally:
        _open.reset(token)
        transaction.is_over = True  # for tasks that handlers have started


class Database(ABC):
    """A database of SQLAlchemy as a store; see `Store` for the methods that it shares with it.

    Attributes:
        engine: Its blocking engine, or that below its async one.
        metadata: The tables.
        pruning: When to prune.
        transactions: How handlers get a transaction.
    """

    metadata: MetaData = _sql.METADATA
    transactions: AsyncTransactions | BlockingTransactions

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.pruning = Pruning()

    @abstractmethod
    async def call(self, step: Step[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do a step in a transaction of its own.

        Args:
            step: The step.
            args: Its arguments behind the connection.
            kwargs: Its arguments by name.
        """

    @abstractmethod
    def create_tables(self) -> Awaitable[None] | None:
        """Create the tables that are not there."""

    def current(self, name: str) -> OpenTransaction:
        """Return the transaction of the handler that calls this.

        Args:
            name: What the handler wants of it.

        Raises:
            ConfigurationError: There is none, or it is async and this is a plain function.
        """
        found = _open.get().get(self.engine)
        if found is None or found.is_over:
            raise no_transaction(name)
        if isinstance(found.given, AsyncConnection):
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                problem = "the engine is async, so only a coroutine function can use it"
                raise ConfigurationError(name, problem) from None
        return found

    async def claim(self, id: str, token: str, lease: float) -> Claimed:
        """Claim an event."""
        try:
            return await self.call(_sql.claim, self.pruning, id, token, lease)
        except exc.IntegrityError:
            return "busy"

    async def commit(self, id: str, token: str) -> bool:
        """Remember that an event was handled."""
        return await self.call(_sql.commit, id, token)

    async def release(self, id: str, token: str) -> None:
        """End a claim."""
        await self.call(_sql.release, id, token)

    async def last_handled(self, subject: str) -> float | None:
        """Return when the newest handled event of an object happened."""
        return await self.call(_sql.last_handled, subject)

    async def record_handled(self, subject: str, at: float) -> None:
        """Record that an event of an object was handled."""
        await self.call(_sql.record_handled, subject, at)


class AsyncDatabase(Database, AsyncTransactions):
    """The database of an async engine.

    Args:
        engine: The engine.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine.sync_engine)
        self._engine = engine
        self.transactions = self

    async def call(self, step: Step[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do a step; see `Database`."""
        async with self._engine.begin() as connection:
            await connection.run_sync(_sql.begin)
            return await connection.run_sync(step, *args, **kwargs)

    @asynccontextmanager
    async def transaction(self, handled: Handled | None) -> AsyncGenerator[float | None]:
        """Open a transaction; see `AsyncTransactions`."""
        with anyio.fail_after(STORE_SECONDS):
            connection = await self._engine.connect()
        try:
            assert connection.sync_connection is not None
            opened = OpenTransaction(connection.sync_connection, connection)
            with anyio.fail_after(STORE_SECONDS):
                newest = await connection.run_sync(lambda _: opened.open(handled))
            with _handed_over(opened, self.engine):
                yield newest
            await store_step(self, connection.run_sync(lambda _: opened.end(handled)))
        finally:
            await store_step(self, connection.close())  # rolls back what was not committed

    async def create_tables(self) -> None:
        """Create the tables that are not there."""
        async with self._engine.begin() as connection:
            await connection.run_sync(self.metadata.create_all)


class BlockingDatabase(Database):
    """The database of a blocking engine.

    Args:
        engine: The engine.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.transactions = _InThread(engine, self.pruning)

    async def call(self, step: Step[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do a step in a worker thread; see `Database`."""
        result = await in_thread(partial(_run, self.engine, step, *args, **kwargs))
        return cast("_T", result)

    def create_tables(self) -> None:
        """Create the tables that are not there."""
        self.metadata.create_all(self.engine)


class _InThread(BlockingTransactions):
    """The transactions of a blocking engine."""

    def __init__(self, engine: Engine, pruning: Pruning) -> None:
        self._engine = engine
        self._pruning = pruning

    def claim(self, id: str, token: str, lease: float) -> Claimed:
        try:
            return _run(self._engine, _sql.claim, self._pruning, id, token, lease)
        except exc.IntegrityError:
            return "busy"

    def release(self, id: str, token: str) -> None:
        _run(self._engine, _sql.release, id, token)

    @contextmanager
    def transaction(self, handled: Handled | None) -> Generator[float | None]:
        with self._engine.connect() as connection:  # its end rolls back what was not committed
            opened = OpenTransaction(connection, connection)
            newest = opened.open(handled)
            with _handed_over(opened, self._engine):
                yield newest
            opened.end(handled)

    async def in_thread(
        self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        return cast("_T", await in_thread(partial(function, *args, **kwargs)))


def _run(engine: Engine, step: Step[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
    with engine.begin() as connection:
        _sql.begin(connection)
        return step(connection, *args, **kwargs)
