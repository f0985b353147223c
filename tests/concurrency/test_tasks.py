"""Work that comes to its end, whatever cancels the one who waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys

import anyio
import pytest

from pinstripe._concurrency.tasks import cancel_and_wait, finish
from tests.support.waiting import settle

pytestmark = pytest.mark.anyio


class Work:
    """Work that goes on when it is told to."""

    def __init__(self) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self.ended = False

    async def do(self) -> str:
        self.begun.set()
        await self.go_on.wait()
        self.ended = True
        return "done"

    async def fail(self) -> str:
        await self.do()
        raise LookupError


async def test_what_was_not_cancelled_gives_its_outcome() -> None:
    work = Work()
    work.go_on.set()
    assert await finish(work.do()) == "done"
    with pytest.raises(LookupError):
        await finish(work.fail())


@pytest.mark.parametrize("cancels", [1, 2, 5])
@pytest.mark.parametrize("fails", [False, True])
async def test_a_task_that_is_cancelled_waits_for_its_work(cancels: int, fails: bool) -> None:
    work = Work()
    task = asyncio.create_task(finish(work.fail() if fails else work.do()))
    await work.begun.wait()
    for _ in range(cancels):
        task.cancel()
        await settle()
        assert not task.done()
    work.go_on.set()
    await asyncio.wait([task])
    assert task.cancelled()
    assert work.ended


async def test_a_scope_of_anyio_is_not_heard_of_before_the_end() -> None:
    work, outcomes = Work(), list[str]()

    async def run() -> None:
        outcomes.append(await finish(work.do()))
        await asyncio.sleep(0)
        outcomes.append("not cancelled")

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await work.begun.wait()
        group.cancel_scope.cancel()
        asyncio.get_running_loop().call_soon(work.go_on.set)
    assert outcomes == ["done"]


async def test_who_stops_tasks_and_is_cancelled_sees_their_end_all_the_same() -> None:
    work, leaving = Work(), asyncio.Event()

    async def leave_slowly() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            leaving.set()
            with contextlib.suppress(asyncio.CancelledError):
                await work.do()
            raise LookupError

    slow = asyncio.create_task(leave_slowly())
    await asyncio.sleep(0)
    stopping = asyncio.create_task(cancel_and_wait([slow]))
    await leaving.wait()
    for _ in range(2):
        stopping.cancel()
        await settle()
        assert not stopping.done()
    work.go_on.set()
    await asyncio.wait([stopping])
    assert stopping.cancelled()
    assert slow.done()


WITHOUT_ANYIO = """
import asyncio, sys
from pinstripe._concurrency.tasks import finish

assert asyncio.run(finish(asyncio.sleep(0, "done"))) == "done"
assert "anyio" not in sys.modules
"""


def test_anyio_is_not_imported_where_nobody_has_a_scope_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_ANYIO], check=True)
    monkeypatch.delitem(sys.modules, "anyio")
    assert asyncio.run(finish(asyncio.sleep(0, "done"))) == "done"
