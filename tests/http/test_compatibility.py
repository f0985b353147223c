"""Which way requests take with an aiohttp that is as expected, and with one that is not."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from aiohttp import BaseConnector, ClientRequest, ClientResponse
from aiohttp.base_protocol import BaseProtocol
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.streams import DataQueue

import pinstripe._http.trial
from pinstripe._http import compatibility
from pinstripe._http.connection import GuardedConnector
from pinstripe._http.exchange import ready_context
from pinstripe._http.session import SessionConnector
from tests.http.test_transport import call, client_of
from tests.support.changed_aiohttp import rename, rewrite, use_session
from tests.support.counting import counted
from tests.support.faulty import Faulty, ok

pytestmark = pytest.mark.anyio

Change = Callable[[pytest.MonkeyPatch], None]


class Gone:
    """An attribute that is there no more."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        raise AttributeError(f"there is no {self.name}")

    def __set__(self, instance: Any, value: Any) -> None:
        raise AttributeError(f"there is no {self.name}")


def without(owner: Any, name: str) -> Change:
    return lambda patch: patch.delattr(owner, name)


def without_attribute(owner: type, name: str) -> Change:
    return lambda patch: patch.setattr(owner, name, Gone(name), raising=False)


def renamed(owner: type, name: str, user: tuple[type, str]) -> Change:
    return lambda patch: rename(patch, owner, name, user)


def changed(owner: type, name: str, value: Any) -> Change:
    return lambda patch: patch.setattr(owner, name, value, raising=False)


class Buffered(ResponseHandler, asyncio.BufferedProtocol):
    """A protocol that brings its own buffer, as `asyncio.BufferedProtocol` does."""

    _room = b""

    def get_buffer(self, sizehint: int) -> bytearray:
        self._room = bytearray(100)
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        super().data_received(bytes(self._room[:nbytes]))


def buffered(patch: pytest.MonkeyPatch) -> None:
    for module in (aiohttp.client_proto, aiohttp.connector):
        patch.setattr(module, "ResponseHandler", Buffered)
    # Our class is made anew, upon the new one.
    for name in ("connection", "trial"):
        patch.setattr(pinstripe._http, name, getattr(pinstripe._http, name))
        patch.delitem(sys.modules, f"pinstripe._http.{name}")


def old_factory(self: Any) -> Any:
    return lambda: ResponseHandler(self._loop)


def read_past_us(patch: pytest.MonkeyPatch) -> None:
    past_us = "super(type(protocol), protocol).read()"
    rewrite(patch, ClientResponse, "start", r"protocol\.read\(\)", past_us)


CHANGES: dict[str, Change] = {
    # Names that are gone.
    "_get": without(BaseConnector, "_get"),
    "_factory": without_attribute(BaseConnector, "_factory"),
    "connect": without(BaseConnector, "connect"),
    "read": without(DataQueue, "read"),
    "set_response_params": without(ResponseHandler, "set_response_params"),
    "upgraded": without(ResponseHandler, "upgraded"),
    "_payload": without_attribute(ResponseHandler, "_payload"),
    "_parser": without_attribute(BaseProtocol, "_parser"),
    "_reading_paused": without_attribute(BaseProtocol, "_reading_paused"),
    "pause_reading": without(BaseProtocol, "pause_reading"),
    "protocol": without(Connection, "protocol"),
    "release": without(Connection, "release"),
    "ClientRequest": without(aiohttp, "ClientRequest"),
    "send": without(ClientRequest, "send"),
    "start": without(ClientResponse, "start"),
    # Names that we can still define or set, and that aiohttp does not use any more.
    "TCPConnector._get": renamed(BaseConnector, "_get", (BaseConnector, "connect")),
    "TCPConnector._factory": changed(
        BaseConnector, "_factory", property(old_factory, lambda *_: None)
    ),
    "ResponseHandler.read": read_past_us,
    "ResponseHandler.set_exception": renamed(
        ResponseHandler, "set_exception", (ResponseHandler, "data_received")
    ),
    "ResponseHandler.data_received": buffered,
    # Names that mean something else.
    "ResponseHandler.should_close": changed(ResponseHandler, "should_close", False),
    "ResponseHandler: an answer": changed(ResponseHandler, "data_received", lambda *_: None),
    "ResponseHandler._reading_paused": changed(BaseProtocol, "pause_reading", lambda *_: None),
}


def test_the_installed_aiohttp_is_as_expected(caplog) -> None:
    assert compatibility._choose() is GuardedConnector
    assert caplog.records == []


@pytest.mark.parametrize(("name", "change"), CHANGES.items(), ids=CHANGES.keys())
def test_another_aiohttp_is_told_by_the_name_that_changed(
    monkeypatch, caplog, name, change
) -> None:
    change(monkeypatch)
    assert compatibility._choose() is SessionConnector
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("pinstripe", "WARNING")
    assert f"aiohttp {aiohttp.__version__} is not as" in record.message
    assert re.search(rf"expects \(.*\b{name}\b.*\)\. So", record.message, re.DOTALL)


async def test_it_is_tried_out_once_without_network_whatever_loop_runs(monkeypatch, caplog) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(compatibility, "_chosen", [])
    with monkeypatch.context() as patch:
        use_session(patch)
        for _ in range(3):
            assert compatibility.connector_class() is SessionConnector
    assert len(caplog.records) == 1
    assert asyncio.get_running_loop().is_running()


def test_a_trial_that_does_not_end_is_given_up(monkeypatch, caplog) -> None:
    async def stubborn(_: object) -> None:
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    monkeypatch.setattr(pinstripe._http.trial, "_try_all", stubborn)
    assert compatibility._choose() is SessionConnector
    assert "does not end a task" in caplog.text


@pytest.mark.parametrize("change", ["TCPConnector._get", "ResponseHandler.data_received"])
async def test_calls_go_over_the_session_then(monkeypatch, caplog, change) -> None:
    monkeypatch.setattr(compatibility, "_chosen", [])
    CHANGES[change](monkeypatch)
    body = b"x" * 1000
    async with Faulty(ok(body)) as server:
        for _ in range(2):
            async with client_of(server) as client:
                for method in ("GET", "POST"):
                    assert (await call(client, method)).body == body
                connections = await client._shared.transport.open()
                assert type(connections._connector) is SessionConnector
        assert (server.accepted, len(server.requests)) == (2, 4)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_without_a_context_of_aiohttp_the_certificates_are_read_again(monkeypatch) -> None:
    assert ready_context() is not None
    monkeypatch.delattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED")
    assert ready_context() is None
    assert compatibility._choose() is GuardedConnector


@pytest.mark.parametrize("module", ["client_proto", "http_exceptions"])
def test_a_module_that_is_gone(module) -> None:
    script = f"""
import sys, aiohttp
sys.modules["aiohttp.{module}"] = None
from pinstripe._http import exchange
from pinstripe._http.compatibility import connector_class
print(connector_class().__name__)
"""
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, env=counted(), capture_output=True, text=True, check=True)
    assert done.stdout == "SessionConnector\n"
    assert f"aiohttp.{module}" in done.stderr
