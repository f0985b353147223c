"""nginx with fixed answers, in a process of its own: fast enough that only clients are measured."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

_CONFIG = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/errors;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    default_type application/json;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=100;
    client_body_temp_path {folder}/1;
    proxy_temp_path {folder}/2;
    fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4;
    scgi_temp_path {folder}/5;
    server {{
        listen 127.0.0.1:{port};
        root {folder};
        add_header Request-Id req_benchmark;
        add_header Stripe-Version 2026-10-28.endive;
        {locations}
    }}
}}
"""


class NoNginx(Exception):
    """There is no nginx, or it does not start."""


@contextlib.contextmanager
def fixed_answers(answers: Mapping[str, bytes]) -> Iterator[str]:
    """Serve each path's answer, and yield the address.

    Raises:
        NoNginx: There is none, or it does not start.
    """
    command = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if command is None:
        raise NoNginx("this table needs nginx: apt-get install nginx-light")
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), _free_port()
        locations = ""
        for number, (path, body) in enumerate(answers.items()):
            (folder / f"{number}.json").write_bytes(body)
            locations += f"location = {path} {{ try_files /{number}.json =404; }}\n"
        config = folder / "config"
        config.write_text(_CONFIG.format(folder=folder, port=port, locations=locations))
        folder.chmod(0o755)
        arguments = [command, "-c", str(config), "-p", name, "-e", str(folder / "errors")]
        with subprocess.Popen(arguments) as process:
            try:
                _await_answer(process, port)
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def _await_answer(process: subprocess.Popen[bytes], port: int) -> None:
    while process.poll() is None:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.01)
    raise NoNginx(f"nginx ended with {process.returncode}")
