"""The situations that legacy code calls from: threads, forks, frameworks, and a process that ends.

Those that need a process of their own run a script in one, against a sandbox in this process.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import dedent
from typing import Any
from urllib.request import urlopen

import pytest
from jupyter_client.manager import KernelManager

from pinstripe.sandbox import Sandbox
from tests.concurrency.test_loop_thread import loop_threads
from tests.support.counting import counted
from tests.support.holding import WAIT, Holding, holding

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def environment(url: str) -> dict[str, str]:
    return {**counted(), "STRIPE_API_KEY": "sk_test_pinstripe", "PINSTRIPE_BASE_URL": url}


def start(source: str, url: str, tmp_path: Path, *flags: str) -> subprocess.Popen[str]:
    script = tmp_path / "situation.py"
    script.write_text(dedent(source))
    return subprocess.Popen(
        [sys.executable, "-W", "error", *flags, script],
        env=environment(url),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(source: str, url: str, tmp_path: Path, *flags: str) -> str:
    """Run a script to its good end, on which it says nothing on stderr."""
    process = start(source, url, tmp_path, *flags)
    try:
        out, err = process.communicate(timeout=2 * WAIT)
    finally:
        process.kill()
    assert (process.returncode, err) == (0, ""), out + err
    return out


class TestThreads:
    def test_32_on_one_client(self, sandbox) -> None:
        with sandbox.sync_client() as stripe, ThreadPoolExecutor(32) as pool:
            create = stripe.identity.verification_sessions.create
            made = list(pool.map(lambda _: create(type="document").id, range(320)))
            assert len(set(made)) == 320
            assert len(loop_threads()) == 1

    def test_8_clients_in_8_threads(self, sandbox) -> None:
        def work(number: int) -> int:
            with sandbox.sync_client() as stripe:
                return sum(1 for _ in stripe.climate.products.list()) + number

        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(work, range(8)))
        assert [result - results[0] for result in results] == list(range(8))
        assert loop_threads() == []

    def test_handlers_of_requests(self, sandbox) -> None:
        with sandbox.sync_client() as stripe:

            class Handler(BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    session = stripe.identity.verification_sessions.create(type="document")
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(session.id.encode())

                def log_message(self, *args: object) -> None:
                    """Say nothing."""

            server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            serving = threading.Thread(target=server.serve_forever)
            serving.start()
            url = f"http://127.0.0.1:{server.server_port}/"

            def visit(_: int) -> str:
                with urlopen(url) as answer:
                    return str(answer.read())

            with ThreadPoolExecutor(8) as pool:
                assert len(set(pool.map(visit, range(40)))) == 40
            server.shutdown()
            serving.join()
            server.server_close()


@forks
class TestForks:
    def test_the_child_works_the_parent_goes_on_and_they_share_no_socket(
        self, sandbox, tmp_path
    ) -> None:
        script = """
            import os, pinstripe

            def sockets():
                found = set()
                for fd in os.listdir("/proc/self/fd"):
                    try:
                        name = os.readlink(f"/proc/self/fd/{fd}")
                    except OSError:
                        continue
                    if name.startswith(("socket", "anon_inode:[eventpoll]")):
                        found.add(name)
                return found - {"anon_inode:[eventpoll]"}

            stripe = pinstripe.Client()
            sessions = stripe.identity.verification_sessions
            before = sessions.create(type="document")
            mine, (reader, writer) = sockets(), os.pipe()
            assert len(mine) >= 3  # a pair that wakes the loop, and a connection
            child = os.fork()
            if child == 0:
                assert not mine & sockets()
                ids = [sessions.create(type="document").id for _ in range(20)]
                assert not mine & sockets()
                os.write(writer, ",".join(ids).encode())
                stripe.close()
                os._exit(0)
            ids = [sessions.create(type="document").id for _ in range(20)]
            os.close(writer)
            with os.fdopen(reader) as pipe:
                ids += pipe.read().split(",")
            assert os.waitpid(child, 0)[1] == 0
            assert len({before.id, *ids}) == 41
            assert mine == sockets()
            stripe.close()
        """
        if not Path("/proc/self/fd").is_dir():
            pytest.skip("descriptors are read from /proc")
        # Python 3.15 warns of a fork even after the only other thread has ended.
        run(script, sandbox.url, tmp_path, "-W", "ignore::DeprecationWarning")

    def test_a_fork_while_others_call(self, sandbox, tmp_path) -> None:
        run(
            """
            import os, threading, pinstripe

            stripe = pinstripe.Client(limits=pinstripe.Limits(max_in_flight=2))
            stop = threading.Event()

            def work():
                while not stop.is_set():
                    stripe.crypto.onramp_quotes.retrieve()

            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            stripe.events.list().first()
            for _ in range(5):
                child = os.fork()
                if child == 0:
                    stripe.crypto.onramp_quotes.retrieve()  # with slots of its own
                    os._exit(7)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
            stop.set()
            for thread in threads:
                thread.join()
            stripe.close()
            """,
            sandbox.url,
            tmp_path,
            # Python 3.12 warns of any fork beside a thread; the loop is one
            "-W",
            "ignore::DeprecationWarning",
        )

    def test_what_was_begun_goes_on_in_the_parent_and_a_serial_walk_in_both(
        self, sandbox, tmp_path
    ) -> None:
        out = run(
            """
            import os, pinstripe
            from pinstripe.sync import fan_out

            def count(begun):
                try:
                    return sum(1 for _ in begun)
                except pinstripe.ConfigurationError as error:
                    return str(error)

            def in_both(begun, after=lambda: None):
                next(begun)
                child = os.fork()
                if child == 0:
                    print("child", count(begun), after(), flush=True)
                    stripe.close()
                    os._exit(0)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
                print("parent", count(begun), after(), flush=True)

            stripe = pinstripe.Client()
            sessions = stripe.identity.verification_sessions
            ids = [sessions.create(type="document").id for _ in range(9)]
            lists = sessions.list(limit=2, max_items=9)
            in_both(iter(lists))
            in_both(lists.pages())
            in_both(lists.parallel(), lambda: lists.cursor == f"starting_after:{ids[-2]}")
            in_both(fan_out(sessions.retrieve, ids, concurrency=4))
            stripe.close()
            """,
            sandbox.url,
            tmp_path,
            "-W",
            "ignore::DeprecationWarning",
        )
        lines = out.splitlines()
        assert lines[:4] == ["child 8 None", "parent 8 None", "child 4 None", "parent 4 None"]
        elsewhere = "belongs to another event loop, or to the parent of this process"
        assert lines[4].startswith(f"child parallel: {elsewhere}")
        assert lines[4].endswith("True")
        assert lines[5] == "parent 8 False"
        assert lines[6].startswith(f"child fan_out: {elsewhere}")
        assert lines[7] == "parent 8 None"

    @pytest.mark.parametrize("module", ["aiohttp.connector", "pinstripe.identity"])
    def test_a_fork_in_the_middle_of_an_import_of_the_first_call(
        self, sandbox, tmp_path, module
    ) -> None:
        """A thread that was importing does not exist in the child, and would hold its module."""
        out = run(
            f"""
            import os, sys, threading, pinstripe

            class Finder:
                \"""Finds nothing; holds the import of a module until a fork was made.\"""
                def find_spec(self, name, path=None, target=None):
                    if name == {module!r}:
                        importing.set()
                        forked.wait(0.5)  # in vain if the fork waits for the import

            def call():
                return type(stripe.identity.verification_sessions.list().first()).__name__

            importing, forked = threading.Event(), threading.Event()
            stripe = pinstripe.Client(timeout=10)
            sys.meta_path.insert(0, Finder())
            other = threading.Thread(target=call)
            other.start()
            importing.wait()
            child = os.fork()
            forked.set()
            if child == 0:
                print(call())
                stripe.close()
                print("closed", flush=True)
                os._exit(0)
            other.join()
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            stripe.close()
            """,
            sandbox.url,
            tmp_path,
            "-W",
            "ignore::DeprecationWarning",
        )
        assert out == "Page\nclosed\n"

    @pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
    def test_processes_of_multiprocessing(self, sandbox, tmp_path, method) -> None:
        out = run(
            f"""
            import multiprocessing, pinstripe

            def work(number):
                with pinstripe.Client() as stripe:
                    return stripe.identity.verification_sessions.create(type="document").id

            if __name__ == "__main__":
                context = multiprocessing.get_context({method!r})
                with pinstripe.Client() as stripe, context.Pool(2) as pool:
                    stripe.events.list().first()
                    ids = pool.map(work, range(4))
                    ids.append(stripe.identity.verification_sessions.create(type="document").id)
                    pool.close()
                    pool.join()
                print(len(set(ids)))
            """,
            sandbox.url,
            tmp_path,
            "-W",
            "ignore::DeprecationWarning",
        )
        assert out == "5\n"

    def test_workers_forked_from_a_loaded_application(self, sandbox, tmp_path) -> None:
        """As gunicorn with `preload_app`: made and used before the fork, closed by nobody."""
        out = run(
            """
            import os, sys, threading, pinstripe

            stripe = pinstripe.Client()
            products = stripe.climate.products
            names = [product.name for product in products.list()]

            def serve():
                results = []
                handle = lambda: results.append([p.name for p in products.list()] == names)
                threads = [threading.Thread(target=handle) for _ in range(4)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                return 0 if results == [True] * 4 else 1

            workers = []
            for _ in range(3):
                pid = os.fork()
                if pid == 0:
                    sys.exit(serve())  # runs atexit, as a worker that ends in order does
                workers.append(pid)
            print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers])
            """,
            sandbox.url,
            tmp_path,
            "-W",
            "ignore::DeprecationWarning",
        )
        assert out == "[0, 0, 0]\n"

    def test_a_worker_whose_task_runs_out_of_time(self, sandbox, tmp_path) -> None:
        """As celery: prefork, and a signal handler that raises in the middle of a task."""
        with holding() as server:
            process = start(
                f"""
                import os, signal, sys, pinstripe

                class SoftTimeLimitExceeded(Exception):
                    pass

                def limit(*_):
                    raise SoftTimeLimitExceeded

                signal.signal(signal.SIGUSR1, limit)
                stripe = pinstripe.Client()
                stripe.events.list().first()
                worker = os.fork()
                if worker:
                    signal.signal(signal.SIGUSR1, lambda *_: os.kill(worker, signal.SIGUSR1))
                    while True:
                        try:
                            sys.exit(os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]))
                        except InterruptedError:
                            continue
                slow = pinstripe.Client(base_url={server.url!r}, files_url={server.url!r})
                try:
                    slow.identity.verification_sessions.create(type="document")
                except SoftTimeLimitExceeded:
                    print(len(list(stripe.climate.products.list(max_items=1))))
                slow.close()
                """,
                sandbox.url,
                tmp_path,
                "-W",
                "ignore::DeprecationWarning",
            )
            server.came.get(timeout=WAIT)
            process.send_signal(signal.SIGUSR1)
            assert server.gone.get(timeout=WAIT).startswith(b"POST ")
            out, err = process.communicate(timeout=WAIT)
        assert (process.returncode, out, err) == (0, "1\n", "")


class TestTheEnd:
    @pytest.fixture
    def server(self) -> Iterator[Holding]:
        with holding() as server:
            yield server

    def test_of_the_interpreter_in_the_middle_of_a_call(self, server, tmp_path) -> None:
        process = start(
            """
            import sys, threading, pinstripe

            stripe = pinstripe.Client(timeout=300)
            threading.Thread(target=stripe.events.list().first, daemon=True).start()
            sys.stdin.read()
            """,
            server.url,
            tmp_path,
        )
        server.came.get(timeout=WAIT)
        process.communicate("", timeout=WAIT)
        assert process.returncode == 0
        assert server.gone.get(timeout=WAIT).startswith(b"GET ")

    def test_of_the_interpreter_with_a_client_that_nobody_closed(self, sandbox, tmp_path) -> None:
        run(
            """
            import pinstripe

            stripe = pinstripe.Client()
            items = iter(stripe.climate.products.list(limit=1))
            next(items)
            """,
            sandbox.url,
            tmp_path,
            "-X",
            "dev",
        )

    @pytest.mark.skipif(
        (3, 12) <= sys.version_info < (3, 12, 2),
        reason="this Python starts no thread once the main thread has ended (CPython gh-113964)",
    )
    @pytest.mark.parametrize(
        "work",
        [
            "with pinstripe.Client() as stripe: stripe.events.list().first()",
            "with pinstripe.Client() as stripe: stripe.warm_up()",
            "with pinstripe.Client() as stripe: to_file(stripe.events.list(), 'out.csv')",
            "asyncio.run(main())",
        ],
    )
    def test_of_the_main_thread_before_the_first_call_of_another(
        self, sandbox, tmp_path, monkeypatch, work
    ) -> None:
        monkeypatch.chdir(tmp_path)
        out = run(
            f"""
            import asyncio, threading, pinstripe
            from pinstripe.sync import to_file

            async def main():
                async with pinstripe.AsyncClient() as stripe:
                    await stripe.warm_up()
                    await stripe.events.list()

            def outlive():
                threading.main_thread().join()
                {work}
                print("done")

            threading.Thread(target=outlive).start()
            """,
            sandbox.url,
            tmp_path,
        )
        assert out == "done\n"

    def test_after_which_calls_are_refused(self, sandbox, tmp_path) -> None:
        out = run(
            """
            import atexit, pinstripe

            def late():
                try:
                    stripe.events.list().first()
                except pinstripe.ConfigurationError as error:
                    print(error)

            atexit.register(late)
            stripe = pinstripe.Client()
            stripe.events.list().first()
            """,
            sandbox.url,
            tmp_path,
        )
        assert "cannot be used while the interpreter shuts down" in out

    def test_by_ctrl_c(self, server, tmp_path) -> None:
        process = start(
            """
            import signal, pinstripe

            signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may ignore it
            with pinstripe.Client(timeout=300) as stripe:
                try:
                    stripe.identity.verification_sessions.create(type="document")
                except KeyboardInterrupt:
                    print("stopped")
            """,
            server.url,
            tmp_path,
        )
        server.came.get(timeout=WAIT)
        process.send_signal(signal.SIGINT)
        assert server.gone.get(timeout=WAIT).startswith(b"POST ")
        assert process.communicate(timeout=WAIT) == ("stopped\n", "")
        assert process.returncode == 0


# What jupyter_client leaves open is collected when it likes, in whichever test.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_notebook(sandbox, monkeypatch) -> None:
    """The cells of a notebook run in a thread whose event loop runs."""
    for name, value in environment(sandbox.url).items():
        monkeypatch.setenv(name, value)
    # A call of a cell does not warn that it blocks the loop of the kernel; one in a coroutine does.
    cells = (
        """
import asyncio, warnings, pinstripe
asyncio.get_running_loop()
stripe = pinstripe.Client()
def create():
    return stripe.identity.verification_sessions.create(type="document")
async def main():
    return create()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    sessions = [create(), *stripe.identity.verification_sessions.list(max_items=1)]
    print(*(session.status for session in sessions), len(caught))
""",
        """
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    await asyncio.sleep(0)
    session = create()
    print(len(caught))
    await main()
    print(len(caught), caught[0].category.__name__)
stripe.close()
""",
    )
    kernel = KernelManager(kernel_name="python3")
    kernel.start_kernel()
    client = kernel.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=WAIT)
        out: list[str] = []

        def note(message: dict[str, Any]) -> None:
            content = message["content"]
            out.append(content.get("text") or content.get("evalue") or "")

        for cell in cells:
            client.execute_interactive(cell, timeout=WAIT, output_hook=note)
        assert "".join(out) == "requires_input requires_input 0\n0\n1 RuntimeWarning\n"
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
        kernel.cleanup_resources()
        gc.collect()


class TestGevent:
    SCRIPT = """
        {early}
        import pinstripe
        {late}
        import gevent

        with pinstripe.Client() as stripe:
            create = stripe.identity.verification_sessions.create
            jobs = [gevent.spawn(create, type="document") for _ in range(5)]
            gevent.joinall(jobs, raise_error=True)
            print(len({{job.value.id for job in jobs}}))
    """
    PATCH = "from gevent import monkey; monkey.patch_all()"

    def test_patched_first_works(self, sandbox, tmp_path) -> None:
        script = self.SCRIPT.format(early=self.PATCH, late="")
        assert run(script, sandbox.url, tmp_path, "-W", "ignore") == "5\n"

    def test_patched_late_is_an_error_that_says_so(self, sandbox, tmp_path) -> None:
        script = self.SCRIPT.format(early="", late="pinstripe.Client;" + self.PATCH)
        process = start(script, sandbox.url, tmp_path, "-W", "ignore")
        err = process.communicate(timeout=WAIT)[1]
        assert process.returncode == 1
        assert "was imported before gevent patched the threads" in err.splitlines()[-1]
