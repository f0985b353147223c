"""`Sandbox`: the emulator inside a program, async and sync."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import pinstripe.sandbox
from pinstripe import AsyncClient
from pinstripe.sandbox import ManualClock, Sandbox
from tests.support.sandbox_api import SESSIONS


@pytest.mark.anyio
async def test_a_client_works_in_it() -> None:
    clock = ManualClock()
    async with Sandbox(seed=3, clock=clock, redaction_seconds=5) as sandbox:
        assert sandbox.clock is clock
        async with sandbox.client() as stripe:
            assert isinstance(stripe, AsyncClient)
            session = await stripe.identity.verification_sessions.create(type="document")
            sandbox.identity.verify(session.id)
            shown = await stripe.identity.verification_sessions.retrieve(
                session.id, expand=["verified_outputs"]
            )
            assert shown.status == "verified"
            await stripe.identity.verification_sessions.redact(session.id)
            clock.advance(5)
            shown = await stripe.identity.verification_sessions.retrieve(session.id)
            assert shown.redaction is not None
            assert shown.redaction.status == "redacted"
        async with sandbox.client(api_key=sandbox.restricted_key) as stripe:
            shown = await stripe.identity.verification_sessions.retrieve(
                session.id, expand=["verified_outputs.dob"]
            )
            assert shown.verified_outputs is not None
            assert shown.verified_outputs.dob is not None
            assert shown.verified_outputs.dob.year == 1
    with pytest.raises(RuntimeError, match="not running"):
        sandbox.client()


def test_it_runs_in_its_own_thread() -> None:
    with Sandbox(api_key="sk_test_mine") as sandbox:
        request = urllib.request.Request(
            sandbox.url + SESSIONS, b"type=document", {"Authorization": f"Bearer {sandbox.api_key}"}
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as response:
            session: Any = json.load(response)
        assert sandbox.identity.submit(session["id"])["status"] == "processing"
        assert sandbox.clock() > 0
    with pytest.raises(RuntimeError, match="not running"):
        _ = sandbox.url


def test_the_example_of_the_guide_runs(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", pinstripe.sandbox.__doc__ or "", re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text(example)
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("verified\n", "")
