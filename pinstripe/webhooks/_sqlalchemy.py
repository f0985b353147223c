"""A store in the app's own database, through its engine of SQLAlchemy.

The handlers get the connection of a transaction, and the end of that transaction commits what they
have written together with the event. See `_transactions`.

Choices, and their reasons:

- The engine decides which handlers can write. With an async one these are coroutine functions; a
  plain function may run too, in a worker thread without a connection. With a blocking one every
  handler must be a plain function: all of them run in one thread with the transaction, and nothing
  in it could be awaited.
- The engine stays the app's: the store closes nothing of it. It never holds two connections for
  one delivery, so deliveries that wait for a full pool do not hold what others wait for.
- A serialisation failure, a deadlock, a lost connection or a full pool fails the delivery, and
  Stripe sends it again. It is not repeated here, since a handler may do more than write.
"""

from __future__ import annotations

from collections.abc import Awaitable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Generic, TypeVar, cast, overload

from pinstripe._core.errors import ConfigurationError
from pinstripe.webhooks._rows import CLOCKS
from pinstripe.webhooks._stores import Claimed
from pinstripe.webhooks._transactions import (
    AsyncTransactions,
    BlockingTransactions,
    TransactionalStore,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, MetaData
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
    from sqlalchemy.orm import Session

_C_co = TypeVar("_C_co", covariant=True)
_S_co = TypeVar("_S_co", covariant=True)


class SQLAlchemyStore(TransactionalStore, Generic[_C_co, _S_co]):
    """A store in the app's own database, in whose transaction the handlers write.

        engine = create_async_engine("postgresql+psycopg://localhost/shop")
        store = SQLAlchemyStore(engine)
        router = Router(webhook, store)

        @router.on(OrderCreated)
        async def book(event: OrderCreated) -> None:
            await store.connection().execute(insert(orders).values(id=event.data.object.id))

    What the handlers of an event write with `connection()` or `session()` is committed together
    with the event: whenever the process is killed, both are there or neither is. It needs
    `pinstripe[sqlalchemy]` and the tables of `metadata`.

    With an async engine coroutine functions get the connection; a plain function runs in a worker
    thread without one. With a blocking engine every handler must be a plain function. All handlers
    of an event then run in one thread.

    Args:
        engine: The engine of the app, for PostgreSQL, SQLite, MySQL or MariaDB. It stays the app's
            to dispose.

    Raises:
        ConfigurationError: It is no engine, or one of another database.
    """

    @overload
    def __init__(
        self: SQLAlchemyStore[AsyncConnection, AsyncSession], engine: AsyncEngine
    ) -> None: ...

    @overload
    def __init__(self: SQLAlchemyStore[Connection, Session], engine: Engine) -> None: ...

    def __init__(self, engine: AsyncEngine | Engine) -> None:
        if find_spec("sqlalchemy") is None:
            problem = 'SQLAlchemy needs: python -m pip install "pinstripe[sqlalchemy]"'
            raise ConfigurationError("engine", problem)
        # An extra, and slow to import.
        from sqlalchemy import Engine  # noqa: PLC0415
        from sqlalchemy.ext.asyncio import AsyncEngine  # noqa: PLC0415

        from pinstripe.webhooks._databases import (  # noqa: PLC0415
            AsyncDatabase,
            BlockingDatabase,
        )

        if not isinstance(engine, (AsyncEngine, Engine)):
            problem = "must be made by create_engine or create_async_engine of SQLAlchemy"
            raise ConfigurationError("engine", problem)
        if engine.dialect.name not in CLOCKS:
            known = "PostgreSQL, SQLite, MySQL or MariaDB"
            raise ConfigurationError(
                "engine", f"must be of {known}; this is of {engine.dialect.name}"
            )
        self._database = (
            AsyncDatabase(engine) if isinstance(engine, AsyncEngine) else BlockingDatabase(engine)
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._database.engine.dialect.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SQLAlchemyStore) and other._key is self._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> Engine:
        return self._database.engine

    @property
    def transactions(self) -> AsyncTransactions | BlockingTransactions:
        """How the router opens the transaction of the handlers."""
        return self._database.transactions

    @property
    def metadata(self) -> MetaData:
        """The tables of the store, for a tool of migrations such as Alembic."""
        return self._database.metadata

    @overload
    def create_tables(
        self: SQLAlchemyStore[AsyncConnection, AsyncSession],
    ) -> Awaitable[None]: ...

    @overload
    def create_tables(self: SQLAlchemyStore[Connection, Session]) -> None: ...

    def create_tables(self) -> Awaitable[None] | None:
        """Create the tables that are not there; with an async engine it is to be awaited."""
        return self._database.create_tables()

    def connection(self) -> _C_co:
        """Return the connection of the transaction in which the calling handler runs.

        The store commits it. A part that may fail goes into `begin_nested()`.

        Returns:
            An `AsyncConnection` with an async engine, a `Connection` with a blocking one.

        Raises:
            ConfigurationError: No handler of a router with this store runs, or the engine is async
                and the handler is a plain function.
        """
        return cast("_C_co", self._database.current("connection").given)

    def session(self) -> _S_co:
        """Return the session on that connection: one for all handlers of the delivery.

        The store flushes and commits it after the handlers. Its own `commit()` and `rollback()` end
        a savepoint.

        Returns:
            An `AsyncSession` with an async engine, a `Session` with a blocking one.

        Raises:
            ConfigurationError: As for `connection`.
        """
        return cast("_S_co", self._database.current("session").use_session())

    async def claim(self, id: str, token: str, lease: float) -> Claimed:
        """Claim an event; see `Store`."""
        return await self._database.claim(id, token, lease)

    async def commit(self, id: str, token: str) -> bool:
        """Remember that an event was handled; see `Store`."""
        return await self._database.commit(id, token)

    async def release(self, id: str, token: str) -> None:
        """End a claim; see `Store`."""
        await self._database.release(id, token)

    async def last_handled(self, subject: str) -> float | None:
        """Return when the newest handled event of an object happened; see `Store`."""
        return await self._database.last_handled(subject)

    async def record_handled(self, subject: str, at: float) -> None:
        """Record that an event of an object was handled; see `Store`."""
        await self._database.record_handled(subject, at)

    async def close_for_loop(self) -> None:
        """Do nothing: the engine is the app's; see `Store`."""
