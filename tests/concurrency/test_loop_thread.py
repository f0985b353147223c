"""The loop thread of the process: who starts it, who ends it, and what a call on it leaves."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar
from textwrap import dedent
from typing import Any

import pytest

import pinstripe
from pinstripe._concurrency import loop_thread
from pinstripe._concurrency.bridge import LoopBridge
from pinstripe._concurrency.loop_thread import Leases, LoopThread, leases
from pinstripe._concurrency.thread_call import ThreadCall
from pinstripe._core.tracebacks import hide_frames
from pinstripe.sandbox import Sandbox
from pinstripe.sync import Client, fan_out, to_file
from tests.support.counting import counted
from tests.support.holding import WAIT, Holding, holding

KEY = "sk_test_pinstripe"
USER: ContextVar[str] = ContextVar("user", default="nobody")


class Interrupted(BaseException):
    """What a signal handler of these tests raises."""


async def user() -> str:
    return USER.get()


def loop_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "pinstripe"]


@pytest.fixture
def bridge() -> Iterator[LoopBridge]:
    bridge = LoopBridge("Thing")
    yield bridge
    bridge.close(nothing)
    assert loop_threads() == []


async def nothing() -> None:
    return None


@pytest.fixture
def server() -> Iterator[Holding]:
    with holding() as server:
        yield server


a_dead_thread = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@hide_frames
def wait_for(bridge: LoopBridge, call: Callable[[], Awaitable[object]]) -> object:
    return bridge.run(call)


def fail_with(error: BaseException) -> None:
    raise error


def chain_of(error: BaseException | None) -> list[type[BaseException]]:
    kinds = []
    while error is not None:
        kinds.append(type(error))
        error = error.__context__
    return kinds


class TestTheChainOfAnError:
    """It is the one that it had where it was raised, whatever the caller is handling."""

    def test_of_a_coroutine(self, bridge) -> None:
        async def fail() -> None:
            try:
                fail_with(ZeroDivisionError())
            except ZeroDivisionError:
                raise KeyError  # noqa: B904 -- with a context

        def handle() -> None:
            try:
                fail_with(LookupError())
            except LookupError:
                wait_for(bridge, fail)

        with pytest.raises(KeyError) as caught:
            handle()
        assert chain_of(caught.value) == [KeyError, ZeroDivisionError]

    def test_of_a_signal_handler(self, bridge) -> None:
        def interrupt(*_: object) -> None:
            try:
                fail_with(ZeroDivisionError())
            except ZeroDivisionError:
                raise Interrupted  # noqa: B904 -- with a context

        async def kill() -> None:
            signal.raise_signal(signal.SIGUSR1)  # the main thread handles it
            await asyncio.Event().wait()

        def handle() -> None:
            try:
                fail_with(LookupError())
            except LookupError:
                wait_for(bridge, kill)

        before = signal.signal(signal.SIGUSR1, interrupt)
        try:
            with pytest.raises(Interrupted) as caught:
                handle()
        finally:
            signal.signal(signal.SIGUSR1, before)
        assert chain_of(caught.value) == [Interrupted, ZeroDivisionError, LookupError]


class TestTheThread:
    def test_starts_with_the_first_call_and_ends_with_the_last_client(self, sandbox) -> None:
        first, second = sandbox.sync_client(), sandbox.sync_client()
        assert loop_threads() == []
        first.events.list().first()
        (thread,) = loop_threads()
        second.events.list().first()
        first.close()
        assert loop_threads() == [thread]
        second.close()
        assert loop_threads() == []
        assert not thread.is_alive()

    def test_starts_anew_for_the_next_client(self, sandbox) -> None:
        for _ in range(3):
            with sandbox.sync_client() as stripe:
                assert len(stripe.events.list().first()) == 0
        assert loop_threads() == []

    def test_starts_no_call_while_it_is_closed(self) -> None:
        thread, started = LoopThread(), list[str]()
        thread.start()

        async def wait() -> None:
            started.append("call")
            await asyncio.Event().wait()

        async def to_the_end() -> None:
            # asyncio runs such clean-up when it closes a loop, after it has cancelled all tasks.
            async def values() -> AsyncIterator[int]:
                try:
                    yield 1
                finally:
                    thread.start_call(ThreadCall(wait))
                    await asyncio.sleep(0)
                    started.append("clean-up")

            await anext(unclosed := values())
            unclosed_until_the_end.append(unclosed)

        unclosed_until_the_end: list[AsyncIterator[int]] = []
        thread.run(ThreadCall(to_the_end))
        thread.stop()
        assert started == ["clean-up"]

    @a_dead_thread
    def test_that_died_is_replaced(self, sandbox) -> None:
        with sandbox.sync_client() as stripe:
            stripe.events.list().first()
            thread = leases.acquire(stripe)

            def die() -> None:
                raise SystemExit

            thread.post(die)
            for one in loop_threads():
                one.join(WAIT)
            assert len(stripe.events.list().first()) == 0
            assert leases.acquire(stripe) is not thread
            leases.release(stripe)

    @a_dead_thread
    def test_that_died_takes_no_walk_with_it_but_a_parallel_one(self, sandbox) -> None:
        def die() -> None:
            raise SystemExit

        sandbox.identity.seed(9)
        with sandbox.sync_client() as stripe:
            sessions = stripe.identity.verification_sessions.list(limit=2)
            walk, parallel = iter(sessions), sessions.parallel()
            next(walk), next(parallel)
            leases.acquire(stripe).post(die)
            for one in loop_threads():
                one.join(WAIT)
            assert len(list(walk)) == 8
            with pytest.raises(pinstripe.ConfigurationError, match="another event loop"):
                list(parallel)
            leases.release(stripe)

    @a_dead_thread
    def test_that_dies_under_a_call_ends_it_with_an_error(self, bridge) -> None:
        async def die() -> None:
            def stop() -> None:
                raise SystemExit

            asyncio.get_running_loop().call_soon(stop)
            await asyncio.Event().wait()

        with pytest.raises(pinstripe.ConnectionLost, match="event loop of the client was stopped"):
            bridge.run(die)
        for one in loop_threads():
            one.join(WAIT)
        assert bridge.run(user) == "nobody"

    def test_imports_nothing_while_it_starts(self) -> None:
        """A fork in the middle of an import leaves a child that can never finish it."""
        script = (
            "import sys; from pinstripe._concurrency.loop_thread import leases;"
            "before = set(sys.modules);"
            "leases.acquire(sys).post(int); leases.release(sys); print({*sys.modules} - before)"
        )
        command = [sys.executable, "-W", "error", "-c", script]
        done = subprocess.run(command, env=counted(), capture_output=True, text=True, check=True)
        assert done.stdout == "set()\n"

    def test_that_still_ends_after_its_loop_is_replaced_at_once(self, bridge, monkeypatch) -> None:
        """Between the loop's end and the thread's there is time, which a hook here stretches."""
        ended, go_on = threading.Event(), threading.Event()

        def hold(_: object) -> None:
            ended.set()
            go_on.wait(WAIT)

        def die() -> None:
            raise SystemExit

        monkeypatch.setattr(threading, "excepthook", hold)
        assert bridge.run(user) == "nobody"
        (dying,) = loop_threads()
        leases.acquire(self).post(die)
        assert ended.wait(WAIT)
        try:
            assert dying.is_alive()
            assert bridge.run(user) == "nobody"
        finally:
            go_on.set()
            leases.release(self)
        dying.join(WAIT)

    def test_that_ends_before_a_call_begins_ends_it_too(self) -> None:
        thread = LoopThread()
        thread.start()
        begun = threading.Event()

        async def hold() -> None:
            begun.set()
            await asyncio.Event().wait()

        caught: list[BaseException] = []

        def call() -> None:
            try:
                thread.run(ThreadCall(hold))
            except pinstripe.ConnectionLost as error:
                caught.append(error)

        caller = threading.Thread(target=call)
        caller.start()
        assert begun.wait(WAIT)
        thread.stop()
        caller.join(WAIT)
        assert len(caught) == 1
        assert not thread.is_running

    def test_that_cannot_end_is_left_behind(self, monkeypatch) -> None:
        monkeypatch.setattr(loop_thread, "_STOP_SECONDS", 0.0)
        monkeypatch.setattr(loop_thread, "_POLL_SECONDS", 0.01)
        bridge, other = LoopBridge("Thing"), LoopBridge("Other")
        release = threading.Event()

        async def hold() -> None:
            asyncio.get_running_loop().run_in_executor(None, release.wait, WAIT)

        bridge.run(hold)
        (left,) = loop_threads()
        try:
            bridge.close(nothing)
            assert left.is_alive()
            assert other.run(user) == "nobody"
        finally:
            release.set()
            other.close(nothing)
            left.join(WAIT)

    def test_of_a_shut_down_interpreter_is_refused(self) -> None:
        ended = Leases()
        ended._end()
        with pytest.raises(pinstripe.ConfigurationError, match="interpreter shuts down"):
            ended.acquire(self)

    def test_a_holder_that_was_collected_holds_nothing(self, sandbox) -> None:
        lost = sandbox.sync_client()
        lost.events.list().first()
        with pytest.warns(
            ResourceWarning, match=r"unclosed Client, made at .*test_loop_thread\.py:\d+"
        ):
            del lost
        with sandbox.sync_client() as stripe:
            stripe.events.list().first()
        assert loop_threads() == []


class TestACall:
    def test_sees_the_context_of_its_caller(self, bridge) -> None:
        assert bridge.run(user) == "nobody"
        token = USER.set("jenny")
        assert bridge.run(user) == "jenny"
        USER.reset(token)
        assert bridge.run(user) == "nobody"

    @pytest.mark.parametrize("kind", [LookupError, SystemExit, KeyboardInterrupt, Interrupted])
    def test_raises_what_its_function_raises(self, bridge, kind) -> None:
        async def fail() -> None:
            raise kind("why")

        with pytest.raises(kind, match="why"):
            bridge.run(fail)
        assert bridge.run(user) == "nobody"

    def test_leaves_no_cycle_with_its_error(self, bridge) -> None:
        async def fail() -> None:
            raise LookupError

        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                with pytest.raises(LookupError):
                    bridge.run(fail)
            errors = [one for one in gc.get_objects() if type(one) is LookupError]
            assert len(errors) <= 1
        finally:
            gc.enable()

    def test_from_the_loop_thread_itself_is_refused(self, bridge) -> None:
        async def call_again() -> None:
            bridge.run(user)

        with pytest.raises(pinstripe.ConfigurationError, match="use AsyncClient here"):
            bridge.run(call_again)

    def test_that_closes_on_the_loop_thread_is_refused_and_changes_nothing(self, sandbox) -> None:
        refusals: list[BaseException] = []

        def close(_: object) -> None:
            try:
                stripe.close()
            except BaseException as error:  # noqa: BLE001 -- looked at below
                refusals.append(error)

        with sandbox.sync_client(hooks=pinstripe.Hooks(on_response=close)) as stripe:
            for _ in range(2):
                assert len(stripe.events.list().first()) == 0
            assert len(loop_threads()) == 1
        assert loop_threads() == []
        assert [type(error) for error in refusals] == [pinstripe.ConfigurationError] * 2
        assert "use AsyncClient here" in str(refusals[0])

    def test_after_the_end_is_refused(self) -> None:
        bridge = LoopBridge("Thing")
        assert bridge.run(user) == "nobody"
        bridge.close(nothing)
        bridge.close(nothing)
        with pytest.raises(pinstripe.ConfigurationError, match="client: is closed"):
            bridge.run(user)
        bridge.post(nothing)

    def test_in_an_event_loop_warns_once_and_works(self, sandbox) -> None:
        async def main() -> int:
            with sandbox.sync_client() as stripe:
                with pytest.warns(RuntimeWarning) as caught:
                    found = stripe.events.list().first()
                assert len(caught) == 1
                assert "await that of AsyncClient" in str(caught[0].message)
                assert caught[0].filename == __file__
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    return len(found) + sum(1 for _ in stripe.climate.products.list())

        assert asyncio.run(main()) > 0

    def test_in_a_callback_of_an_event_loop_warns_too(self, bridge) -> None:
        async def main() -> None:
            done = asyncio.Event()

            def call() -> None:
                with pytest.warns(RuntimeWarning, match="user blocks the event loop"):
                    bridge.run(user)
                done.set()

            asyncio.get_running_loop().call_soon(call)
            await done.wait()

        asyncio.run(main())

    def test_at_the_prompt_of_asyncio_does_not_warn(self) -> None:
        lines = """
            import asyncio
            from tests.concurrency.test_loop_thread import LoopBridge, nothing, user
            bridge = LoopBridge("Thing")
            print(asyncio.get_running_loop() is not None, bridge.run(user))
            bridge.close(nothing)
        """
        command = [sys.executable, "-W", "error::RuntimeWarning", "-m", "asyncio"]
        done = subprocess.run(
            command, input=dedent(lines), capture_output=True, text=True, check=True
        )
        assert "True nobody" in done.stdout
        assert "Warning" not in done.stderr


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, Interrupted])
class TestAnExitInTheLoop:
    """Code of the user that runs there ends in what ends a process."""

    @pytest.fixture
    def stripe(self, sandbox, kind) -> Iterator[Client]:
        """A client whose third request raises."""
        sandbox.identity.seed(9)
        before: list[object] = [None] * 3

        def leave(info: object) -> None:
            before.pop()
            if not before:
                raise kind("why")

        with sandbox.sync_client(hooks=pinstripe.Hooks(on_request=leave)) as stripe:
            stripe.events.list().first()
            (thread,) = loop_threads()
            yield stripe
            stripe._bridge.run(quiet)
            assert stripe._bridge.run(tasks) == []
            assert loop_threads() == [thread]

    def test_goes_to_who_waits_for_a_call(self, stripe, kind) -> None:
        stripe.climate.products.list().first()
        with pytest.raises(kind, match="why"):
            stripe.events.list().first()

    def test_goes_to_who_waits_for_a_request_that_others_share(self, stripe, kind) -> None:
        stripe.climate.products.list().first()
        with pytest.raises(kind, match="why"):
            stripe.identity.verification_sessions.retrieve("vs_1")

    def test_goes_to_who_walks(self, stripe, kind) -> None:
        with pytest.raises(kind, match="why"):
            list(stripe.identity.verification_sessions.list(limit=2))

    def test_goes_to_who_walks_in_parallel(self, stripe, kind) -> None:
        with pytest.raises(kind, match="why"):
            list(stripe.identity.verification_sessions.list(limit=2).parallel())

    def test_goes_to_who_fans_out(self, stripe, kind) -> None:
        retrieve = stripe.identity.verification_sessions.retrieve
        with pytest.raises(kind, match="why"):
            list(fan_out(retrieve, [f"vs_{n}" for n in range(9)], concurrency=2))

    def test_goes_to_who_exports(self, stripe, kind, tmp_path) -> None:
        sessions = stripe.identity.verification_sessions.list(limit=2)
        with pytest.raises(kind, match="why"):
            to_file(sessions, tmp_path / "sessions.jsonl")


class TestAnInterruption:
    """A signal handler raises in the thread that waits; Ctrl-C is one of these."""

    @pytest.fixture(autouse=True)
    def handler(self) -> Iterator[None]:
        def interrupt(*_: object) -> None:
            raise Interrupted

        before = signal.signal(signal.SIGUSR1, interrupt)
        yield
        signal.signal(signal.SIGUSR1, before)

    def interrupt_when(self, server: Holding) -> threading.Thread:
        main = threading.get_ident()

        def wait() -> None:
            server.came.get(timeout=WAIT)
            signal.pthread_kill(main, signal.SIGUSR1)

        thread = threading.Thread(target=wait)
        thread.start()
        return thread

    def test_cancels_the_request(self, server) -> None:
        with Client(KEY, base_url=server.url, files_url=server.url) as stripe:
            watcher = self.interrupt_when(server)
            with pytest.raises(Interrupted):
                stripe.identity.verification_sessions.create(type="document")
            assert server.gone.get(timeout=WAIT).startswith(b"POST ")
            watcher.join()
            stripe._bridge.run(quiet)
            assert stripe._bridge.run(tasks) == []

    def test_of_a_walk_leaves_nothing_running(self, server) -> None:
        with Client(KEY, base_url=server.url, files_url=server.url) as stripe:
            watcher = self.interrupt_when(server)
            with pytest.raises(Interrupted):
                list(stripe.events.list())
            assert server.gone.get(timeout=WAIT).startswith(b"GET ")
            watcher.join()
            stripe._bridge.run(quiet)
            assert stripe._bridge.run(tasks) == []

    def test_of_a_fan_out_cancels_every_call(self, server) -> None:
        with Client(KEY, base_url=server.url, files_url=server.url) as stripe:
            watcher = self.interrupt_when(server)
            retrieve = stripe.identity.verification_sessions.retrieve
            with pytest.raises(Interrupted):
                list(fan_out(retrieve, [f"vs_{n}" for n in range(8)], concurrency=4))
            watcher.join()
            stripe._bridge.run(quiet)
            assert stripe._bridge.run(tasks) == []


async def tasks() -> list[str]:
    """What runs on the loop, beside what keeps the loop and the one that looks."""
    return [repr(task.get_coro()) for task in others()]


async def quiet() -> None:
    """Wait until what was cancelled has ended."""
    while running := others():
        assert (await asyncio.wait(running, timeout=WAIT))[0], "something runs on"


def others() -> set[asyncio.Task[Any]]:
    mine = asyncio.current_task()
    return {t for t in asyncio.all_tasks() if t is not mine and "_serve" not in repr(t.get_coro())}


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda stripe: stripe.climate.products.retrieve("climsku_none"), "Products.retrieve"),
        (lambda stripe: stripe.request("GET", "/v1/nothing"), "AsyncClient.request"),
        (lambda stripe: stripe.climate.products.list().first(), "this call"),
        (lambda stripe: list(stripe.climate.products.list()), "this call"),
        (lambda stripe: list(stripe.climate.products.list().pages()), "this call"),
    ],
)
def test_the_warning_names_a_call_as_users_know_it(call, named) -> None:
    async def main(stripe: pinstripe.Client) -> None:
        with pytest.warns(RuntimeWarning) as caught, contextlib.suppress(pinstripe.NotFoundError):
            call(stripe)
        assert str(caught[0].message).startswith(f"{named} blocks the event loop")

    with Sandbox() as sandbox, sandbox.sync_client() as stripe:
        asyncio.run(main(stripe))
