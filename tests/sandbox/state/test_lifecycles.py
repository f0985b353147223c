"""The lifecycle tables, and random walks over HTTP that have to agree with them."""

from __future__ import annotations

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinstripe.sandbox import ManualClock, Refusal, Server, Settings
from pinstripe.sandbox._state.lifecycles import (
    CLIMATE_ORDER,
    ONRAMP_SESSION,
    REDACTION,
    VERIFICATION_SESSION,
    Lifecycle,
)
from tests.support.sandbox_api import Api, refusal_of

TABLES = (VERIFICATION_SESSION, REDACTION, ONRAMP_SESSION, CLIMATE_ORDER)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_state_can_be_reached_and_no_row_occurs_twice(table: Lifecycle) -> None:
    reached = {table.initial}
    for _ in table.rows:
        reached |= {row.target for row in table.rows if row.source in reached}
    assert reached == table.states
    assert len({(row.source, row.action) for row in table.rows}) == len(table.rows)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_steps_are_those_of_the_table(table: Lifecycle) -> None:
    for state in table.states:
        for row in table.rows:
            known = {other.action: other for other in table.rows if other.source == state}
            if row.action in known:
                assert table.step(state, row.action) is known[row.action]
            else:
                with pytest.raises(Refusal) as caught:
                    table.step(state, row.action)
                assert caught.value.code == "status_transition_invalid"


SESSION_STATES = {
    "requires_input": {
        "submit": "processing",
        "verify": "verified",
        "fail": "requires_input",
        "give_up": "requires_input",
        "cancel": "canceled",
        "redact": "canceled",
    },
    "processing": {"verify": "verified", "fail": "requires_input", "give_up": "requires_input"},
    "verified": {"redact": "verified"},
    "canceled": {},
}
ACTIONS = ("submit", "verify", "fail", "give_up", "cancel", "redact", "finish", "update")


@pytest.mark.anyio
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(ACTIONS), max_size=8))
async def test_a_session_walks_as_published(api: Api, server: Server, actions: list[str]) -> None:
    session = await api.session_of()
    path = f"/v1/identity/verification_sessions/{session['id']}"
    state, redaction = "requires_input", None
    for action in actions:
        allowed = _allowed(action, state, redaction)
        status = await _act(api, server, action, session["id"])
        assert status == (200 if allowed else 400), (action, state, redaction)
        if allowed:
            state = SESSION_STATES[state].get(action, state)
            redaction = {"redact": "processing", "finish": "redacted"}.get(action, redaction)
        shown = await api.ok("GET", path)
        assert shown["status"] == state
        assert (shown["redaction"] or {}).get("status") == redaction
        assert (shown["client_secret"] is None) == (state != "requires_input")
        assert (shown["url"] is None) == (state != "requires_input")


def _allowed(action: str, state: str, redaction: str | None) -> bool:
    if action == "finish":
        return redaction == "processing"
    if action == "update":
        return redaction is None
    return action in SESSION_STATES[state] and not (action == "redact" and redaction)


async def _act(api: Api, server: Server, action: str, id: str) -> int:
    path = f"/v1/identity/verification_sessions/{id}"
    if action in ("cancel", "redact"):
        return (await api("POST", f"{path}/{action}")).status
    if action == "update":
        return (await api("POST", path, {"metadata[a]": "b"})).status
    steps = {
        "submit": lambda: server.identity.submit(id),
        "verify": lambda: server.identity.verify(id),
        "fail": lambda: server.identity.fail(id, "document_expired"),
        "give_up": lambda: server.identity.fail(id, "abandoned"),
        "finish": lambda: server.identity.finish_redaction(id),
    }
    refusal = refusal_of(steps[action])
    assert refusal is None or refusal.code == "status_transition_invalid"
    return refusal.status if refusal else 200


ONRAMP_STEPS = {
    "initialized": {"requires_payment", "rejected", "quote_ready"},
    "requires_payment": {"rejected", "fulfillment_processing"},
    "fulfillment_processing": {"fulfillment_complete"},
    "quote_ready": {"fulfillment_processing"},
}


@pytest.mark.anyio
@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(sorted(ONRAMP_SESSION.states)), max_size=6))
async def test_an_onramp_session_walks_as_published(targets: list[str]) -> None:
    server = Server(Settings(seed=1, clock=ManualClock()))
    await server.start()
    async with aiohttp.ClientSession(server.url) as http:
        api = Api(http)
        session = await api.ok("POST", "/v1/crypto/onramp_sessions")
        state = "initialized"
        for target in targets:
            if target in ONRAMP_STEPS.get(state, ()):
                assert server.crypto.advance(session["id"], target)["status"] == target
                state = target
            else:
                with pytest.raises(Refusal):
                    server.crypto.advance(session["id"], target)
        shown = await api.ok("GET", f"/v1/crypto/onramp_sessions/{session['id']}")
        assert shown["status"] == state
    await server.stop()
