"""What a call may leave behind: no task, no socket, and errors that show nothing they must not."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
from attrs import frozen

from pinstripe import PinstripeError

CANARY = "CANARY4eC39HqLyjWDarjtT1zdp7dc"
KEY = f"sk_test_{CANARY}"
PRIVATE = "PRIVATE-reference-7720"


def chain(error: BaseException) -> list[BaseException]:
    """Every exception that can be reached from one."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and one not in found:
            found.append(one)
            waiting += [one.__cause__, one.__context__]
    return found


def check_clean(error: PinstripeError) -> None:
    """Assert that an error of a call shows nothing that it must not, and pickles."""
    for one in chain(error):
        assert type(one).__module__.partition(".")[0] == "pinstripe"
    shown = [
        "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()),
        "".join(traceback.format_exception(error)),
        *(repr(value) for value in (error, error.args, vars(error))),
        str(error),
        pickle.dumps(error).decode("latin-1"),
    ]
    for text in shown:
        assert CANARY not in text
    assert PRIVATE not in str(error)
    twin = pickle.loads(pickle.dumps(error))
    for name in ("args", "outcome", "attempts", "idempotency_key", "request_id"):
        assert getattr(twin, name) == getattr(error, name)
    assert type(twin) is type(error)


_DESCRIPTORS = Path("/proc/self/fd")


def _sockets() -> set[str]:
    """The open sockets of this process, where the system tells."""
    found = set()
    for descriptor in _DESCRIPTORS.iterdir() if _DESCRIPTORS.exists() else ():
        with contextlib.suppress(FileNotFoundError):  # the one that reads the folder
            found.add(str(descriptor.readlink()))
    return {name for name in found if name.startswith("socket:")}


@frozen
class Open:
    """The tasks and sockets of a process at some time."""

    tasks: set[asyncio.Task[Any]]
    sockets: set[str]

    @classmethod
    def now(cls) -> Open:
        return cls(asyncio.all_tasks(), _sockets())

    async def left(self) -> tuple[int, int]:
        """Return how many tasks and sockets there are beside these, once all that ends has."""
        with anyio.move_on_after(10):
            while asyncio.all_tasks() - self.tasks or _sockets() - self.sockets:  # noqa: ASYNC110 -- nobody tells
                await asyncio.sleep(0.001)
        return len(asyncio.all_tasks() - self.tasks), len(_sockets() - self.sockets)


@contextlib.asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Every task and every socket that began inside is gone in the end."""
    before = Open.now()
    yield
    assert await before.left() == (0, 0)
