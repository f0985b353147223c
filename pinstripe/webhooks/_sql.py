"""The tables of `SQLAlchemyStore`, and what is done with them: plain SQL that databases share.

Each step is a function of a connection in a transaction. An async connection runs it too, with
`run_sync`. No step needs more than that one statement is one step for the database:

    claim    INSERT a row, which fails if another claim has done so, or UPDATE one that has ended
    commit   UPDATE the row of this id and this token, which must be there

SQLite lets one connection write at a time, and refuses a transaction that has read before it writes
if another one wrote meanwhile. So each transaction begins with a statement that takes the lock, and
waits for it as long as the driver is set to.
"""

from __future__ import annotations

from typing import Any, Final, cast

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Double,
    Index,
    MetaData,
    String,
    Table,
    case,
    delete,
    exc,
    false,
    insert,
    not_,
    select,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from pinstripe._core.errors import ConfigurationError
from pinstripe.webhooks import _rows
from pinstripe.webhooks._rows import (
    CLOCKS,
    ID_LENGTH,
    PRUNED_AT_ONCE,
    TOKEN_LENGTH,
    Pruning,
    row_id,
    state_of,
)
from pinstripe.webhooks._stores import REMEMBER_SECONDS, Claimed
from pinstripe.webhooks._transactions import Handled, LeaseEndedError

METADATA: Final = MetaData()
"""The tables."""

# MySQL compares text without regard to case by default, and ids have both.
_ID: Final = String(ID_LENGTH).with_variant(
    String(ID_LENGTH, collation="utf8mb4_bin"), "mysql", "mariadb"
)

_SECONDS: Final = cast("Any", Double())

EVENTS: Final = Table(
    _rows.EVENTS,
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("token", String(TOKEN_LENGTH), nullable=False),
    Column("done", Boolean(), nullable=False),
    Column("ends", _SECONDS, nullable=False),
    Index("pinstripe_events_ends", "ends"),
)
"""The events that are claimed or done."""

SUBJECTS: Final = Table(
    _rows.SUBJECTS,
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("newest", _SECONDS, nullable=False),
    Column("ends", _SECONDS, nullable=False),
    Index("pinstripe_subjects_ends", "ends"),
)
"""The objects whose newest event is recorded."""


class _Clock(FunctionElement[float]):
    """The time of the database, in seconds since the Unix epoch."""

    type = _SECONDS
    inherit_cache = True


@compiles(_Clock)
def _compile_clock(_: _Clock, compiler: SQLCompiler, **__: Any) -> str:
    return CLOCKS[compiler.dialect.name]


_NOW: Final = _Clock()


def begin(connection: Connection) -> None:
    """Begin a transaction that is about to write.

    Args:
        connection: A connection.

    Raises:
        ConfigurationError: The connection commits each statement by itself.
    """
    pooled: Any = connection.connection
    if connection.dialect.name == "sqlite":
        connection.execute(delete(EVENTS).where(false()))  # takes the lock
        by_itself = not pooled.driver_connection.in_transaction
    else:
        by_itself = getattr(pooled.dbapi_connection, "autocommit", False) is True
    if by_itself:
        problem = "must not commit each statement by itself (AUTOCOMMIT): the handlers would have"
        raise ConfigurationError("engine", f"{problem} no transaction")


def claim(connection: Connection, pruning: Pruning, id: str, token: str, lease: float) -> Claimed:
    """Claim an event, and prune if it is time.

    Args:
        connection: A connection, in a transaction of its own.
        pruning: When to prune.
        id: The id of the event.
        token: The token of the claim.
        lease: Seconds after which it expires.

    Raises:
        IntegrityError: Another claim has come first.
    """
    if pruning.is_due():
        for table in (EVENTS, SUBJECTS):
            pruning.note(_prune(connection, table))
    is_this = EVENTS.c.id == row_id(id)
    row = connection.execute(select(EVENTS.c.done, EVENTS.c.ends, _NOW).where(is_this)).first()
    state = state_of(None if row is None else (row[0], row[1], row[2]))
    values = {"token": token, "done": False, "ends": _NOW + lease}
    if state == "free":
        connection.execute(insert(EVENTS).values(id=row_id(id), **values))
        return "claimed"
    if state == "expired":
        ended = connection.execute(
            update(EVENTS).where(is_this, EVENTS.c.ends <= _NOW).values(values)
        )
        return "claimed" if ended.rowcount == 1 else "busy"
    return state


def _prune(connection: Connection, table: Table) -> int:
    found = select(table.c.id).where(table.c.ends <= _NOW).order_by(table.c.ends)
    ids = connection.scalars(found.limit(PRUNED_AT_ONCE)).all()
    if ids:
        # One that was claimed anew meanwhile stays.
        connection.execute(delete(table).where(table.c.id.in_(ids), table.c.ends <= _NOW))
    return len(ids)


def commit(connection: Connection, id: str, token: str) -> bool:
    """Remember that an event was handled; return False if its claim was over.

    Args:
        connection: A connection in a transaction.
        id: The id of the event.
        token: The token of the claim.
    """
    mine = (EVENTS.c.id == row_id(id), EVENTS.c.token == token, not_(EVENTS.c.done))
    done = update(EVENTS).where(*mine, EVENTS.c.ends > _NOW)
    values = {"done": True, "ends": _NOW + REMEMBER_SECONDS}
    return connection.execute(done.values(values)).rowcount == 1


def release(connection: Connection, id: str, token: str) -> None:
    """End a claim.

    Args:
        connection: A connection in a transaction.
        id: The id of the event.
        token: The token of the claim.
    """
    mine = (EVENTS.c.id == row_id(id), EVENTS.c.token == token, not_(EVENTS.c.done))
    connection.execute(delete(EVENTS).where(*mine))


def last_handled(connection: Connection, subject: str) -> float | None:
    """Return when the newest handled event of an object happened; None if there is none.

    Args:
        connection: A connection in a transaction.
        subject: The id of the object.
    """
    is_this = (SUBJECTS.c.id == row_id(subject), SUBJECTS.c.ends > _NOW)
    return connection.scalar(select(SUBJECTS.c.newest).where(*is_this))


def record_handled(connection: Connection, subject: str, at: float) -> None:
    """Record that an event of an object was handled.

    Args:
        connection: A connection in a transaction.
        subject: The id of the object.
        at: When the event happened.
    """
    newest, ends = SUBJECTS.c.newest, _NOW + REMEMBER_SECONDS
    known = update(SUBJECTS).where(SUBJECTS.c.id == row_id(subject))
    known = known.values(newest=case((newest > at, newest), else_=at), ends=ends)
    if connection.execute(known).rowcount == 1:
        return
    try:
        with connection.begin_nested():
            row = {"id": row_id(subject), "newest": at, "ends": ends}
            connection.execute(insert(SUBJECTS).values(row))
    except exc.IntegrityError:  # another event of it was recorded meanwhile
        connection.execute(known)


def finish(connection: Connection, handled: Handled) -> None:
    """Remember an event in the transaction of its handlers.

    Args:
        connection: The connection of the transaction.
        handled: What to remember.

    Raises:
        LeaseEndedError: The claim was over.
    """
    if handled.subject is not None:
        record_handled(connection, handled.subject, handled.at)
    if not commit(connection, handled.id, handled.token):
        raise LeaseEndedError
