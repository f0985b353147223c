"""What is asked for over the wire, by each kind of client, and the answer to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from attrs import frozen

from benchmarks.support import payloads


@frozen
class Question:
    """What is asked for, by each kind of client."""

    name: str
    path: str
    ours: Callable[[Any], Any]


_LIST = "/v1/identity/verification_sessions"
QUOTES = Question(
    "quotes", "/v1/crypto/onramp/quotes", lambda client: client.crypto.onramp_quotes.retrieve()
)
SMALL = Question(
    "one session",
    f"{_LIST}/vs_1",
    lambda client: client.identity.verification_sessions.retrieve("vs_1"),
)
PAGE = Question(
    "a page of 100 sessions", _LIST, lambda client: client.identity.verification_sessions.list()
)
QUESTIONS = (QUOTES, SMALL, PAGE)


def answers() -> dict[str, bytes]:
    """Return the answer to each question."""
    session = payloads.session(1) | {"id": "vs_1"}
    return {
        QUOTES.path: payloads.quotes(),
        SMALL.path: json.dumps(session, indent=2).encode(),
        PAGE.path: payloads.page(),
    }
