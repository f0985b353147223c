"""A Redis server that a test can stop, and a way to it that can be slow."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator

from tests.support.missing import leave_out


def free_port() -> int:
    """Return a free port to which 10,000 can be added, as a server of a cluster does."""
    while True:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port: int = found.getsockname()[1]
            if port < 55_000:
                return port


class OwnRedis:
    """A server on a port of its own, which keeps nothing on disk."""

    def __init__(self, folder: str, *options: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._options = ["--port", str(self.port), "--save", "", "--dir", folder, *options]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = ["redis-server", *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert any("eady to accept" in line for line in self._process.stdout)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def pause(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)


@contextlib.contextmanager
def own_redis(*options: str) -> Iterator[OwnRedis]:
    """Run a server as long as the block."""
    if shutil.which("redis-server") is None:
        leave_out("there is no redis-server here")
    with tempfile.TemporaryDirectory() as folder:
        server = OwnRedis(folder, *options)
        try:
            server.start()
            yield server
        finally:
            server.kill()


class SlowWay:
    """A port that leads to a server, and lets its answers wait."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._tasks: set[asyncio.Task[None]] = set()
        self.delay = 0.0
        self.url = ""

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slowly: bool
    ) -> None:
        try:
            while data := await reader.read(65536):
                if slowly:
                    await asyncio.sleep(self.delay)
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._to)
        for one in (
            self._carry(reader, to_server, slowly=False),
            self._carry(from_server, writer, slowly=True),
        ):
            self._tasks.add(asyncio.create_task(one))

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[SlowWay]:
        server = await asyncio.start_server(self._accept, "127.0.0.1")
        self.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.sleep(0)  # in which the connections are closed
