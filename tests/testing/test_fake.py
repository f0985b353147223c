"""The fake API: what it answers, what it remembers, and what it refuses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import pinstripe
from pinstripe import ConfigurationError, ConnectionLost, DeadlineExceeded, RetryPolicy
from pinstripe.crypto import OnrampSession
from pinstripe.files import File
from pinstripe.identity import VerificationSession
from pinstripe.testing import Call, FakeAPI, delayed, refusal, sample

pytestmark = pytest.mark.anyio

SESSIONS = "/v1/identity/verification_sessions"
SESSION = f"{SESSIONS}/{{session}}"
VERIFIED = sample(VerificationSession, id="vs_1", status="verified")
AT_ONCE = RetryPolicy(base=0)


@pytest.fixture
def fake() -> FakeAPI:
    return FakeAPI()


async def test_a_model_comes_back_as_it_is(fake: FakeAPI) -> None:
    fake.on("GET", SESSION).answer(VERIFIED)
    async with fake.client() as stripe:
        assert await stripe.identity.verification_sessions.retrieve("vs_1") == VERIFIED
    (call,) = fake.calls
    assert (call.method, call.path, dict(call.ids)) == ("GET", SESSION, {"session": "vs_1"})


async def test_a_call_shows_what_was_sent(fake: FakeAPI) -> None:
    expected = fake.on("POST", SESSIONS).answer(VERIFIED)
    async with fake.client(account="acct_1") as stripe:
        await stripe.identity.verification_sessions.create(
            type="document",
            options={"document": {"allowed_types": ["passport", "id_card"]}},
            metadata={"user": "42", "0": "a"},
            request_options=pinstripe.RequestOptions(idempotency_key="k1"),
        )
    (call,) = expected.calls
    assert call.params == {
        "type": "document",
        "options": {"document": {"allowed_types": ["passport", "id_card"]}},
        "metadata": {"user": "42", "0": "a"},
    }
    assert (call.idempotency_key, call.account) == ("k1", "acct_1")
    assert "42" not in repr(call)


async def test_answers_follow_each_other_and_the_last_one_stays(fake: FakeAPI) -> None:
    fake.on("GET", SESSION).answer(refusal(404, code="resource_missing"), VERIFIED)
    async with fake.client() as stripe:
        sessions = stripe.identity.verification_sessions
        with pytest.raises(pinstripe.NotFoundError) as caught:
            await sessions.retrieve("vs_1")
        assert (caught.value.code, caught.value.outcome) == ("resource_missing", "rejected")
        for _ in range(3):
            assert await sessions.retrieve("vs_1") == VERIFIED


async def test_a_lost_answer_is_tried_again_with_the_same_key(fake: FakeAPI) -> None:
    expected = fake.on("POST", SESSIONS).answer(ConnectionLost("lost"), refusal(500), VERIFIED)
    async with fake.client(retry=AT_ONCE) as stripe:
        assert await stripe.identity.verification_sessions.create(type="document") == VERIFIED
    keys = {call.idempotency_key for call in expected.calls}
    assert len(expected.calls) == 3
    assert len(keys) == 1
    assert None not in keys


async def test_an_error_is_raised_as_a_new_one_each_time(fake: FakeAPI) -> None:
    lost = ConnectionLost("lost")
    fake.on("GET", SESSION).answer(lost)
    async with fake.client(retry=RetryPolicy(max_attempts=1)) as stripe:
        raised = []
        for name in ("vs_1", "vs_2"):
            with pytest.raises(ConnectionLost) as caught:
                await stripe.identity.verification_sessions.retrieve(name)
            raised.append(caught.value)
    assert len({id(error) for error in (lost, *raised)}) == 3
    assert lost.call is None


async def test_an_answer_may_come_too_late(fake: FakeAPI) -> None:
    fake.on("GET", SESSION).answer(delayed(60, VERIFIED))
    async with fake.client(timeout=0.05) as stripe:
        with pytest.raises(DeadlineExceeded):
            await stripe.identity.verification_sessions.retrieve("vs_1")


async def test_a_function_answers_by_what_it_is_asked(fake: FakeAPI) -> None:
    def answer(call: Call) -> Any:
        return sample(VerificationSession, id=call.ids["session"])

    fake.on("GET", SESSION).answer(answer)
    async with fake.client() as stripe:
        found = await asyncio.gather(
            *(stripe.identity.verification_sessions.retrieve(f"vs_{n}") for n in range(5))
        )
    assert [session.id for session in found] == [f"vs_{n}" for n in range(5)]


async def test_a_list_is_walked(fake: FakeAPI) -> None:
    def page(call: Call) -> Any:
        first = int(call.params.get("starting_after", "vs_-1").removeprefix("vs_")) + 1
        data = [sample(VerificationSession, id=f"vs_{n}") for n in range(first, first + 2)]
        return {"object": "list", "data": data, "has_more": first < 4, "url": SESSIONS}

    fake.on("GET", SESSIONS).answer(page)
    async with fake.client() as stripe:
        pager = stripe.identity.verification_sessions.list(limit=2)
        assert [session.id async for session in pager] == [f"vs_{n}" for n in range(6)]
    assert [call.params.get("starting_after") for call in fake.calls] == [None, "vs_1", "vs_3"]


async def test_an_upload_is_seen_whole(fake: FakeAPI) -> None:
    fake.on("POST", "/v1/files").answer(sample(File))
    async with fake.client() as stripe:
        await stripe.files.create(file=b"%PDF-1", filename="a.pdf", purpose="dispute_evidence")
    (call,) = fake.calls
    assert call.params == {"purpose": "dispute_evidence", "filename": "a.pdf"}
    assert b"%PDF-1" in (call.file or b"")


async def test_json_and_a_query_are_read(fake: FakeAPI) -> None:
    fake.on("POST", "/v2/core/event_destinations").answer({"id": "ed_1"})
    fake.on("GET", "/v1/events").answer({"data": []})
    async with fake.client() as stripe:
        await stripe.request("POST", "/v2/core/event_destinations", {"a": [1], "b": {"c": True}})
        await stripe.request("GET", "/v1/events", {"types": ["a", "b"]})
    assert [call.params for call in fake.calls] == [
        {"a": [1], "b": {"c": True}},
        {"types": ["a", "b"]},
    ]


async def test_what_no_test_expects_fails_and_says_what_is_expected(fake: FakeAPI) -> None:
    async with fake.client() as stripe:
        sessions = stripe.identity.verification_sessions
        with pytest.raises(AssertionError, match=r"expected: nothing$"):
            await sessions.retrieve("vs_SECRET")
        fake.on("POST", SESSIONS).answer(VERIFIED)
        fake.on("GET", SESSION)
        with pytest.raises(AssertionError) as caught:
            await sessions.cancel("vs_SECRET")
        said = f"POST {SESSION}/cancel was not expected; expected: POST {SESSIONS}, GET {SESSION}"
        assert str(caught.value) == said
        with pytest.raises(AssertionError, match="is expected, but has no answer"):
            await sessions.retrieve("vs_1")
    assert len(fake.calls) == 1


async def test_an_endpoint_that_is_given_again_replaces_the_earlier_one(fake: FakeAPI) -> None:
    fake.on("GET", SESSION).answer(refusal(500))
    fake.on("GET", SESSION).answer(VERIFIED)
    async with fake.client() as stripe:
        assert await stripe.identity.verification_sessions.retrieve("vs_1") == VERIFIED


def test_the_blocking_client_talks_to_it(fake: FakeAPI) -> None:
    fake.on("GET", SESSION).answer(VERIFIED)
    with fake.sync_client() as stripe:
        assert stripe.identity.verification_sessions.retrieve("vs_1") == VERIFIED


@pytest.mark.parametrize(
    ("wrong", "argument"),
    [
        (lambda fake: fake.on("PUT", "/v1/x"), "method"),
        (lambda fake: fake.on("GET", "v1/x"), "path"),
        (lambda fake: fake.on("GET", "/v1/x/{id}/y/{id}"), "path"),
        (lambda fake: fake.on("GET", "/v1/x/{1a}"), "path"),
        (lambda fake: fake.on("GET", "/v1/x").answer(), "answers"),
        (lambda fake: fake.on("GET", "/v1/x").answer(3), "answers"),
        (lambda _: refusal(200), "status"),
        (lambda _: sample(VerificationSession, stauts="verified"), "stauts"),
        (lambda _: sample(VerificationSession, metadata=3), "metadata"),
        (lambda _: sample(OnrampSession, id=None), "id"),
        (lambda _: sample(dict), "model"),
    ],
)
def test_what_is_wrong_is_refused_by_its_name(fake: FakeAPI, wrong: Any, argument: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        wrong(fake)
    assert caught.value.argument == argument
