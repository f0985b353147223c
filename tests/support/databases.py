"""An app's database, in PostgreSQL or a SQLite file, with the stores that can be in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, Engine
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from pinstripe.webhooks import DjangoStore, SQLAlchemyStore
from tests.support import django_project
from tests.support.postgres import Postgres

KINDS = ("async", "blocking", "django")

# Without a key, so that an effect can be there twice.
EFFECTS = "CREATE TABLE effects (event VARCHAR(255) NOT NULL)"


@define(eq=False)
class Database:
    """A database with the tables of the stores, and a table for the effects of handlers.

    Attributes:
        url: Where it is, for SQLAlchemy.
        settings: Where it is, for Django.
        engine: A blocking engine of it.
    """

    url: URL
    settings: dict[str, Any]
    engine: Engine
    _stack: ExitStack = field(factory=ExitStack)
    _alias: str | None = None

    @classmethod
    @contextmanager
    def new(cls, place: Postgres | Path) -> Iterator[Database]:
        """Make one, in a schema or a file of its own."""
        if isinstance(place, Path):
            url = URL.create("sqlite", database=str(place))
            settings: dict[str, Any] = {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(place),
                "OPTIONS": {"timeout": 30},
            }
        else:
            schema = place.new_schema()
            url, settings = place.url(schema), place.django(schema)
        database = cls(url, settings, create_engine(url, poolclass=NullPool))
        if isinstance(place, Path):
            database.run("PRAGMA journal_mode = WAL")
        SQLAlchemyStore(database.engine).create_tables()
        database.run(EFFECTS)
        with database._stack:
            yield database

    def async_url(self) -> URL:
        """The address for an async engine."""
        return self.url.set(drivername="sqlite+aiosqlite") if self.is_sqlite else self.url

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file of SQLite."""
        return self.url.drivername == "sqlite"

    def alias(self) -> str:
        """Its alias in Django."""
        if self._alias is None:
            self._alias = self._stack.enter_context(django_project.database(self.settings))
        return self._alias

    def store(self, kind: str) -> Any:
        """Return a store of a kind; its connections are closed after each use."""
        if kind == "django":
            return DjangoStore(self.alias())
        if kind == "async":
            return SQLAlchemyStore(create_async_engine(self.async_url(), poolclass=NullPool))
        return SQLAlchemyStore(self.engine)

    def run(self, statement: str, **values: Any) -> list[Any]:
        """Run a statement, and return its rows."""
        with self.engine.begin() as connection:
            result = connection.execute(text(statement), values)
            return list(result) if result.returns_rows else []

    def let_pass(self, seconds: float) -> None:
        """Bring all ends nearer, as if time had passed."""
        for table in ("pinstripe_events", "pinstripe_subjects"):
            self.run(f"UPDATE {table} SET ends = ends - :seconds", seconds=seconds)

    def effects(self) -> list[str]:
        """Return the effects, sorted."""
        return sorted(event for (event,) in self.run("SELECT event FROM effects"))

    def write_effect(self, store: Any, event: str) -> None:
        """Write an effect in the transaction of a blocking store's handler."""
        if isinstance(store, DjangoStore):
            from django.db import connections

            with connections[self.alias()].cursor() as cursor:
                cursor.execute("INSERT INTO effects VALUES (%s)", [event])
        else:
            store.connection().execute(INSERT_EFFECT, {"event": event})

    async def write_effect_async(self, store: Any, event: str) -> None:
        """Write an effect in the transaction of an async store's handler."""
        await store.connection().execute(INSERT_EFFECT, {"event": event})


INSERT_EFFECT = text("INSERT INTO effects VALUES (:event)")
