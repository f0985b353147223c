"""A server that answers no request, and reports when one came and when its sender disconnected."""

from __future__ import annotations

import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue
from threading import Thread
from typing import Any

WAIT = 30.0
"""Seconds after which a test gives up waiting; nothing takes so long."""


class Holding(socketserver.ThreadingTCPServer):
    """The server; `came` and `gone` get an item for each request."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.came: Queue[bytes] = Queue()
        self.gone: Queue[bytes] = Queue()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(socketserver.BaseRequestHandler):
    server: Any

    def handle(self) -> None:
        head = b""
        while b"\r\n\r\n" not in head and (piece := self.request.recv(65536)):
            head += piece
        self.server.came.put(head)
        while self._receive():
            pass
        self.server.gone.put(head)

    def _receive(self) -> bytes:
        try:
            received: bytes = self.request.recv(65536)
        except ConnectionError:
            return b""
        return received


@contextmanager
def holding() -> Iterator[Holding]:
    server = Holding()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
