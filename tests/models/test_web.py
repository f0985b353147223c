"""Models in a web application: the view of the guide answers with plain data that is read back."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

from pinstripe import from_dict
from pinstripe.identity import VerificationSession
from pinstripe.sandbox import Sandbox
from tests.support.hosts import uvicorn

GUIDE = Path(__file__).parents[2] / ".docs" / "guides" / "client.md"


def test_the_view_of_the_guide(monkeypatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    view = next(block for block in blocks if "fastapi" in block)
    with Sandbox() as sandbox, sandbox.sync_client() as stripe:
        session = stripe.identity.verification_sessions.create(type="document")
        monkeypatch.setenv("PINSTRIPE_BASE_URL", sandbox.url)
        monkeypatch.setenv("STRIPE_API_KEY", sandbox.api_key)
        names: dict[str, Any] = {}
        exec(view, names)
        with (
            uvicorn(names["app"]) as site,
            urllib.request.urlopen(f"{site}/sessions/{session.id}") as answer,
        ):
            shown = json.load(answer)
    assert shown["status"] == session.status
    assert from_dict(VerificationSession, shown["session"]).id == session.id
