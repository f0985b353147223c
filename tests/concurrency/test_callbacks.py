"""Work on the loop thread that calls functions in the thread that waits for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pinstripe import ConnectionLost
from pinstripe._concurrency.callbacks import CallInThread, ThreadCallbacks
from pinstripe._concurrency.loop_thread import LoopThread
from pinstripe._concurrency.thread_call import ThreadCall


@pytest.fixture
def thread() -> Iterator[LoopThread]:
    thread = LoopThread()
    thread.start()
    yield thread
    thread.stop()


def test_work_and_its_caller_take_turns(thread: LoopThread) -> None:
    notes: list[str] = []

    async def work(call: CallInThread) -> int:
        for number in range(3):
            notes.append(f"work {number}")
            assert await call(lambda given: notes.append(given) or len(notes), "caller")
        return len(notes)

    assert ThreadCallbacks(work).run(thread) == 6
    assert notes == ["work 0", "caller", "work 1", "caller", "work 2", "caller"]


def test_work_that_was_cancelled_during_a_function_does_not_go_on(thread: LoopThread) -> None:
    notes: list[str] = []

    async def work(call: CallInThread) -> None:
        await call(lambda: thread.run(ThreadCall(callbacks._cancel_work)))
        notes.append("went on")

    callbacks = ThreadCallbacks(work)
    with pytest.raises(ConnectionLost, match="was stopped"):
        callbacks.run(thread)
    assert notes == []
