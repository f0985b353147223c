"""Work that no fork cuts in two; the forks of real first calls are in `tests/sync`."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pinstripe._core import forks
from pinstripe._core.forks import fork_safe_property, no_fork
from tests.support.counting import counted

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def run(script: str) -> str:
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", script]
    done = subprocess.run(command, env=counted(), capture_output=True, text=True, check=True)
    return done.stdout


def test_a_fork_waits_for_the_work_of_another_thread() -> None:
    out = run("""
import os, threading
from pinstripe._core.forks import no_fork

def work():
    with no_fork():
        begun.set()
        asked.wait()
        steps.append("done")

steps, begun, asked = [], threading.Event(), threading.Event()
os.register_at_fork(before=asked.set)  # runs first: hooks run in the reverse order
threading.Thread(target=work).start()
begun.wait()
child = os.fork()
if child == 0:
    with no_fork():
        print(steps, flush=True)
    os._exit(0)
os.waitpid(child, 0)
""")
    assert out == "['done']\n"


def test_a_fork_waits_neither_for_its_own_thread_nor_for_ever() -> None:
    out = run("""
import os, threading
from pinstripe._core import forks
from pinstripe._core.forks import no_fork

def work():
    with no_fork():
        begun.set()
        release.wait()

def fork():
    child = os.fork()
    if child == 0:
        with no_fork():
            print("child", flush=True)
        os._exit(0)
    os.waitpid(child, 0)

begun, release = threading.Event(), threading.Event()
with no_fork():
    fork()
forks._WAIT_SECONDS = 0.01
threading.Thread(target=work).start()
begun.wait()
fork()
release.set()
""")
    assert out == "child\nchild\n"


def test_work_that_fails_is_over() -> None:
    with pytest.raises(KeyError), no_fork():
        raise KeyError
    assert forks._gate._works == {}


def test_a_property_is_made_once() -> None:
    class Thing:
        @fork_safe_property
        def part(self) -> object:
            return object()

    thing = Thing()
    assert thing.part is thing.part
    assert isinstance(Thing.part, fork_safe_property)
