"""What every room's tests share."""

from __future__ import annotations

import gc
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from pinstripe._concurrency.loop_thread import leases
from pinstripe.sandbox import Sandbox
from tests.support import counting
from tests.support.missing import leave_out

if TYPE_CHECKING:
    from tests.support.postgres import Postgres

# The first text that hypothesis draws builds its table of Unicode, which takes a second: neither
# that nor a busy machine is a fault of what is tested.
settings.register_profile(
    "pinstripe", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=40
)
settings.register_profile("quick", settings.get_profile("pinstripe"), max_examples=20)
settings.register_profile("thorough", settings.get_profile("pinstripe"), max_examples=1000)
settings.load_profile("pinstripe")


def pytest_configure(config: pytest.Config) -> None:
    if not getattr(config.option, "numprocesses", None):  # not what starts the processes of xdist
        counting.keep_for_few()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    with nullcontext() if counting.imports_are_counted() else counting.paused():
        return (yield)


def pytest_collection_finish() -> None:
    """Leave what was imported and collected to no garbage collector: each would walk all of it."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    with nullcontext() if counting.counts(item) else counting.paused():
        return (yield)


def pytest_sessionfinish() -> None:
    counting.save()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A sandbox in a thread of its own; a module may define its `sandbox_options()`."""
    options = getattr(request.module, "sandbox_options", dict)
    with Sandbox(**options()) as sandbox:
        yield sandbox


@pytest.fixture
def sigint_reaches_us() -> Iterator[None]:
    """A run in the background, as of a build, has SIGINT ignored, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def loop_thread_ends() -> Iterator[None]:
    """End the loop thread after a test whose routers have leased it: nothing else does so before
    the process ends."""
    yield
    for holder in [*leases._holders, leases]:
        leases.release(holder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of this run's own."""
    from tests.support.postgres import binaries, running  # its import is slow

    programs = binaries()
    if programs is None:
        leave_out("there is no PostgreSQL here")
    with running(programs) as server:
        yield server


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis server of this run's own, in memory, on a socket in a folder of its own."""
    binary = shutil.which("redis-server")
    if binary is None:
        leave_out("there is no redis-server here")
    with tempfile.TemporaryDirectory() as folder:
        socket = f"{folder}/redis.sock"
        command = [binary, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                assert any("eady to accept" in line for line in server.stdout)
                yield f"unix://{socket}"
            finally:
                server.kill()
