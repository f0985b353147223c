"""How a sandbox runs: on loopback only, in a loop, in a thread, and as a process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import pytest

from pinstripe.sandbox import Refusal, Server, ServerThread, Settings
from pinstripe.sandbox.__main__ import main
from pinstripe.sandbox._server import API_KEY, RESTRICTED_KEY, serve
from tests.support.counting import counted
from tests.support.sandbox_api import SESSIONS, Api

QUIET = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetch(url: str, data: bytes | None = None) -> Any:
    request = urllib.request.Request(url, data, {"Authorization": f"Bearer {API_KEY}"})
    with QUIET.open(request, timeout=10) as response:
        return json.load(response)


@pytest.mark.anyio
async def test_a_server_starts_and_stops() -> None:
    server = Server(Settings(), host="localhost")
    for use in (lambda: server.url, lambda: server.identity.submit("vs_1")):
        with pytest.raises(RuntimeError, match="not running"):
            use()
    await server.start()
    async with aiohttp.ClientSession(server.url) as http:
        assert (await Api(http).ok("GET", SESSIONS))["data"] == []
    await server.stop()
    await server.stop()
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.url


@pytest.mark.anyio
async def test_an_ipv6_server_has_brackets_in_its_url() -> None:
    server = Server(host="::1")
    try:
        await server.start()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    assert server.url.startswith("http://[::1]:")
    async with aiohttp.ClientSession(server.url) as http:
        assert (await Api(http)("GET", SESSIONS)).status == 200
    await server.stop()


@pytest.mark.anyio
async def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="address"):
            await Server(port=port).start()
        thread = ServerThread(Server(port=port))
        with pytest.raises(OSError, match="address"):
            thread.start()
        thread.stop()


def test_a_port_that_is_taken_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["--port", str(taken.getsockname()[1])]) == 2
    assert "address" in capsys.readouterr().err


def test_a_server_in_a_thread_is_driven_from_many_threads() -> None:
    server = Server(Settings(seed=1))
    thread = ServerThread(server)
    thread.start()
    try:
        before = threading.active_count()
        url = server.url

        def live(number: int) -> tuple[str, str]:
            session = fetch(url + SESSIONS, b"type=document")
            driven = server.identity.verify(session["id"])
            return driven["status"], fetch(f"{url}{SESSIONS}/{session['id']}")["status"]

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(live, range(40))) == {("verified", "verified")}
        with pytest.raises(Refusal) as caught:
            server.identity.submit("vs_none")
        assert caught.value.code == "resource_missing"
        assert threading.active_count() == before
    finally:
        thread.stop()
    thread.stop()
    with pytest.raises(RuntimeError, match="not running"):
        server.identity.submit("vs_none")


def test_another_thread_drives_a_server_in_a_loop() -> None:
    async def story() -> str:
        server = Server()
        await server.start()
        async with aiohttp.ClientSession(server.url) as http:
            session = await Api(http).session_of()
        loop = asyncio.get_running_loop()
        driven = await loop.run_in_executor(None, server.identity.submit, session["id"])
        await server.stop()
        return driven["status"]

    assert asyncio.run(story()) == "processing"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_prints_its_address_and_stops_cleanly(number: signal.Signals) -> None:
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "pinstripe.sandbox",
        "--port",
        "0",
        "--seed",
        "5",
        "--clock",
        "1790510400",
    ]
    with subprocess.Popen(
        command, env=counted(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = dict(pair.split("=", 1) for pair in process.stdout.readline().split())
        assert said["api_key"] == API_KEY
        assert said["restricted_key"] == RESTRICTED_KEY
        session = fetch(said["url"] + SESSIONS, b"type=document")
        assert session["created"] == 1_790_510_400
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")


WITHOUT_SIGNALS = """
import asyncio, signal
from pinstripe.sandbox._server import serve

def refuse(loop, sig, callback, *args):
    raise NotImplementedError  # as on Windows

asyncio.SelectorEventLoop.add_signal_handler = refuse
signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may ignore it
serve(0, announce=lambda line: print(line, flush=True))
print("ended")
"""


def test_an_interrupt_ends_it_if_the_loop_handles_no_signals() -> None:
    command = [sys.executable, "-W", "error", "-c", WITHOUT_SIGNALS]
    with subprocess.Popen(
        command, env=counted(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = dict(pair.split("=", 1) for pair in process.stdout.readline().split())
        fetch(said["url"] + SESSIONS, b"type=document")
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "ended\n", "")


def test_serving_announces_and_ends() -> None:
    def announce(line: str) -> None:
        said.append(line)
        os.kill(os.getpid(), signal.SIGTERM)

    said: list[str] = []
    serve(0, settings=Settings(), announce=announce)
    assert said[0].startswith("url=http://127.0.0.1:")


@pytest.mark.parametrize(
    "arguments", [["--port", "70000"], ["--host", "nowhere.invalid"], ["--host", "192.0.2.1"]]
)
def test_bad_addresses_are_status_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("pinstripe.sandbox: ")
    assert captured.out == ""


def test_bad_options_are_status_2() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--seed", "many"])
    assert caught.value.code == 2
