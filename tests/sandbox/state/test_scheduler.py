"""Due jobs run, with and without requests."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import aiohttp
import pytest

from pinstripe.sandbox import ManualClock, Sandbox, Server, Settings
from pinstripe.sandbox._server import JOBS
from tests.support.sandbox_api import SESSIONS, Api

pytestmark = pytest.mark.anyio

REDACTED = "identity.verification_session.redacted"


def redacted(server: Server) -> asyncio.Event:
    """An event that is set when a redaction has finished."""
    happened = asyncio.Event()

    def note(_: object, event: dict[str, Any]) -> None:
        if event["type"] == REDACTED:
            happened.set()

    server.world.subscribers.append(note)
    return happened


async def redact(server: Server, **headers: str) -> None:
    async with aiohttp.ClientSession(server.url) as http:
        api = Api(http)
        session = await api.ok("POST", SESSIONS, {"type": "document"}, **headers)
        await api.ok("POST", f"{SESSIONS}/{session['id']}/redact", **headers)


async def test_a_clock_that_runs_is_waited_for() -> None:
    server = Server(Settings(redaction_seconds=0.15))
    happened = redacted(server)
    await server.start()
    await redact(server, Stripe_Account="acct_1")
    await happened.wait()
    await server.stop()


@pytest.mark.parametrize("in_thread", [False, True])
async def test_a_clock_that_is_moved_is_looked_at(in_thread: bool) -> None:
    clock = ManualClock()
    server = Server(Settings(clock=clock, redaction_seconds=60))
    happened = redacted(server)
    await server.start()
    await redact(server)
    clock.advance(59)
    await asyncio.sleep(0.02)
    assert not happened.is_set()
    if in_thread:
        await asyncio.get_running_loop().run_in_executor(None, clock.advance, 1)
    else:
        clock.advance(1)
    await asyncio.wait_for(happened.wait(), 10)
    await server.stop()
    clock.advance(1)


async def test_a_job_that_fails_is_logged_and_the_others_run(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(JOBS, "explode", lambda account, name: account.tables[name])
    clock = ManualClock()
    server = Server(Settings(clock=clock, redaction_seconds=60))
    happened = redacted(server)
    await server.start()
    await redact(server)
    server.world.account("acct_1").schedule(10, "explode", "no such table")
    with caplog.at_level(logging.ERROR, "pinstripe.sandbox"):
        clock.advance(60)
        await asyncio.wait_for(happened.wait(), 10)
    assert "A scheduled job of the sandbox failed" in caplog.text
    await server.stop()


async def test_nothing_is_left_running() -> None:
    before = asyncio.all_tasks()
    async with Sandbox(clock=ManualClock()) as sandbox, sandbox.client() as stripe:
        await stripe.identity.verification_sessions.create(type="document")
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
