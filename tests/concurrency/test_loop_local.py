"""Values that belong to event loops: which loop sees which, and when they are dropped."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest
from anyio.from_thread import start_blocking_portal

from pinstripe._concurrency.loop_local import LoopLocal, LoopOwned
from pinstripe._core.errors import ConfigurationError


def in_loop(loop: asyncio.AbstractEventLoop, function, *args):  # type: ignore[no-untyped-def]
    async def call():  # type: ignore[no-untyped-def]
        return function(*args)

    return loop.run_until_complete(call())


def test_each_event_loop_has_its_own_value() -> None:
    values: LoopLocal[str] = LoopLocal()
    with start_blocking_portal() as first, start_blocking_portal() as second:
        assert (first.call(values.get), second.call(values.get)) == (None, None)
        assert first.call(values.set, "a") == []
        assert second.call(values.set, "b") == []
        assert (first.call(values.get), second.call(values.get)) == ("a", "b")
        assert [value for _, value in values.by_loop()] == ["a", "b"]
        assert first.call(values.set, "c") == []
        assert first.call(values.get) == "c"
        assert second.call(values.get) == "b"
        values.clear()
        assert (first.call(values.get), second.call(values.get)) == (None, None)


def test_a_closed_event_loop_loses_its_value_to_nobody() -> None:
    values: LoopLocal[str] = LoopLocal()
    idle, closed, last = (asyncio.new_event_loop() for _ in range(3))
    in_loop(idle, values.set, "idle")
    in_loop(closed, values.set, "closed")
    closed.close()
    assert in_loop(last, values.set, "last") == ["closed"]
    assert in_loop(idle, values.get) == "idle"
    idle.close()
    last.close()


def test_event_loops_that_do_not_run_lose_theirs_if_they_are_many() -> None:
    values: LoopLocal[int] = LoopLocal()
    loops = [asyncio.new_event_loop() for _ in range(20)]
    with start_blocking_portal() as portal:
        portal.call(values.set, -1)
        assert [in_loop(loop, values.set, n) for n, loop in enumerate(loops)] == [[]] * 20
        assert sorted(value for _, value in values.by_loop()) == [-1, *range(3, 20)]
        assert portal.call(values.get) == -1
    for loop in loops:
        loop.close()


def test_without_an_event_loop_of_asyncio() -> None:
    for place in (LoopLocal[int](), LoopOwned[int]()):
        with pytest.raises(ConfigurationError, match="needs an event loop of asyncio"):
            place.get()


def test_one_value_is_seen_by_the_loop_that_set_it_last() -> None:
    owned: LoopOwned[str] = LoopOwned()
    with start_blocking_portal() as first, start_blocking_portal() as second:
        assert not owned.is_set
        first.call(owned.set, "a")
        assert (first.call(owned.get), second.call(owned.get)) == ("a", None)
        second.call(owned.set, "b")
        assert (first.call(owned.get), second.call(owned.get)) == (None, "b")
        assert owned.is_set
        owned.clear()
        assert not owned.is_set
        assert second.call(owned.get) is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_after_a_fork_the_same_event_loop_has_no_value() -> None:
    script = """
import asyncio, os
from pinstripe._concurrency.loop_local import LoopLocal, LoopOwned

async def state():
    return values.get(), owned.get(), [value for _, value in values.by_loop()]

async def setting(value):
    owned.set(value)
    return values.set(value)

values, owned, loop = LoopLocal(), LoopOwned(), asyncio.new_event_loop()
loop.run_until_complete(setting("parent"))
child = os.fork()
if child == 0:
    print(loop.run_until_complete(state()), owned.is_set)
    print(loop.run_until_complete(setting("child")), loop.run_until_complete(state()), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(loop.run_until_complete(state()))
loop.close()
"""
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "(None, None, []) True",
        "['parent'] ('child', 'child', ['child'])",
        "('parent', 'parent', ['parent'])",
    ]
