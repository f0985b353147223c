"""A server that answers every request with the same bytes, whatever they are, and counts them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from attrs import define, field

Reply = Callable[[str], bytes | None]


@define
class Nonsense:
    """The address of the server, and the targets of the requests that came."""

    url: str
    targets: list[str] = field(factory=list[str])


def http(body: str | bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Return an answer with a body."""
    data = body if isinstance(body, bytes) else body.encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(data)}", *headers, "Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode() + data


@contextmanager
def nonsense(reply: bytes | Reply) -> Iterator[Nonsense]:
    """Serve while the block runs.

    Args:
        reply: What is sent for each request; or a function of its target that returns it, and None
            to never answer.
    """
    answer: Reply = (lambda _: reply) if isinstance(reply, bytes) else reply
    with socket.create_server(("127.0.0.1", 0)) as server:
        served = Nonsense(f"http://127.0.0.1:{server.getsockname()[1]}")
        kept: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:  # the block has ended
                    return
                kept.append(connection)
                with suppress(OSError):
                    head = connection.makefile("rb").readline()
                    if not head:  # the other side has left
                        continue
                    served.targets.append(head.split(b" ")[1].decode())
                    data = answer(served.targets[-1])
                    if data is not None:
                        connection.sendall(data)
                        connection.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in kept:
                connection.close()
