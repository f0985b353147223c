"""Waits for a status: the polls between, in virtual time, and how each wait ends."""

from __future__ import annotations

import asyncio
import json
import math
import pickle
import random
import threading
from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe import (
    ConfigurationError,
    ConnectionLost,
    GoalUnreachable,
    NotFoundError,
    Request,
    Response,
    ServerError,
    WaitError,
    WaitTimedOut,
    to_dict,
)
from pinstripe._concurrency import wakers
from pinstripe._concurrency.loop_local import LoopLocal
from pinstripe._concurrency.patience import deadline_starts_at_turn
from pinstripe._resources import waiting
from pinstripe._resources.waiting import ONRAMP_SESSION, ORDER, REDACTION, SESSION, Lifecycle
from pinstripe.climate import Order, Orders
from pinstripe.crypto import OnrampSession, OnrampSessions
from pinstripe.identity import VerificationSession, VerificationSessions
from pinstripe.pytest_plugin import SECRET, StripeEvent
from pinstripe.testing import FakeAPI, refusal, sample
from pinstripe.webhooks import Router, Webhook
from tests.support.virtual import limiter_of, now, pipeline, run

LIFECYCLES = (SESSION, REDACTION, ONRAMP_SESSION, ORDER)
ALL = ["canceled", "processing", "requires_input", "verified"]


@pytest.fixture(autouse=True)
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin without interests, and see that a test leaves none behind."""
    interests: LoopLocal[dict[str, Any]] = LoopLocal()
    monkeypatch.setattr(wakers, "_interests", interests)
    yield
    assert not any(value for _, value in interests.by_loop())


@cache
def body(status: Any, kind: Any = VerificationSession) -> Response:
    """The answer to a poll, or of a redaction if the status is a pair."""
    fields = {"status": status}
    if isinstance(status, tuple):
        fields = {"status": "verified", "redaction": status[0] and {"status": status[0]}}
    content = json.dumps(to_dict(sample(kind, id="x_1", **fields))).encode()
    return Response(status=200, headers={"Request-Id": "req_1"}, body=content)


class Script:
    """Answers each poll with the next status or error, and the last one for ever."""

    def __init__(self, *answers: Any, kind: Any = VerificationSession) -> None:
        self.answers = answers
        self.kind = kind
        self.polls: list[float] = []
        self.patient: list[bool] = []

    async def __call__(self, request: Request) -> Response:
        self.patient.append(deadline_starts_at_turn.get())
        self.polls.append(now())
        found = self.answers[min(len(self.polls), len(self.answers)) - 1]
        if found is None:
            await asyncio.Event().wait()
        if isinstance(found, Exception):
            raise found
        return body(found, self.kind)

    @property
    def pauses(self) -> list[float]:
        return [b - a for a, b in zip(self.polls, self.polls[1:], strict=False)]


def wait(script: Script, until: Any = "verified", timeout: float = 1e6) -> Any:
    return VerificationSessions(script).wait("x_1", until=until, timeout=timeout)


# --- the ways a wait ends -----------------------------------------------------------------------


def test_a_wait_polls_until_the_object_has_the_status() -> None:
    script = Script("requires_input", "processing", "processing", "verified")
    session = run(wait(script))
    assert (session.status, len(script.polls)) == ("verified", 4)
    assert all(script.patient)
    assert not deadline_starts_at_turn.get()


@pytest.mark.parametrize(
    "until", [["verified"], ("canceled", "verified"), {"verified"}, "verified"]
)
def test_a_goal_that_is_reached_already_takes_one_request(until) -> None:
    script = Script("verified")
    assert run(wait(script, until)).status == "verified"
    assert script.polls == [0]


@pytest.mark.parametrize(
    ("statuses", "until"), [(["canceled"], "verified"), (["processing", "verified"], ["canceled"])]
)
def test_a_status_from_which_the_goal_cannot_be_reached_ends_the_wait(statuses, until) -> None:
    script = Script(*statuses)
    with pytest.raises(GoalUnreachable) as caught:
        run(wait(script, until))
    goal = until if isinstance(until, str) else until[0]
    problem = f"a verification session is {statuses[-1]} and can no longer become {goal}"
    assert (caught.value.message, caught.value.request_id) == (problem, "req_1")
    assert len(script.polls) == len(statuses)
    assert pickle.loads(pickle.dumps(caught.value)).last.status == statuses[-1]


def test_a_wait_ends_when_its_time_is_over() -> None:
    script = Script("requires_input")
    with pytest.raises(WaitTimedOut, match="last seen as requires_input") as caught:
        run(wait(script, ["verified", "canceled"], timeout=10))
    assert "did not become canceled or verified within 10 s" in str(caught.value)
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, WaitError)
    assert caught.value.last.status == "requires_input"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_wait_ends_though_a_pause_ends_in_the_same_moment(monkeypatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: (low + high) / 2)
    script = Script("requires_input")
    with pytest.raises(WaitTimedOut):
        run(wait(script, timeout=waiting._FIRST_PAUSE))
    assert script.polls == [0]


@pytest.mark.parametrize(
    ("answers", "last"), [([None], None), (["processing", None], "processing")]
)
def test_the_time_of_a_wait_ends_a_poll_too(answers, last) -> None:
    with pytest.raises(WaitTimedOut) as caught:
        run(wait(Script(*answers), timeout=10))
    assert (caught.value.last and caught.value.last.status) == last
    assert ("the first answer did not come" in str(caught.value)) == (last is None)


def test_a_status_that_is_newer_than_the_tables_is_waited_out() -> None:
    assert run(wait(Script("brand_new", "verified"))).status == "verified"
    with pytest.raises(WaitTimedOut, match="last seen as brand_new"):
        run(wait(Script("brand_new"), timeout=100))


# --- polls that fail ----------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ConnectionLost("cut"), ServerError("down")])
def test_an_outage_ends_no_wait_that_has_begun(error) -> None:
    script = Script("processing", error, error, "verified")
    assert run(wait(script)).status == "verified"
    with pytest.raises(WaitTimedOut) as caught:
        run(wait(Script("processing", error), timeout=60))
    assert caught.value.__cause__ is error
    assert caught.value.last.status == "processing"


def permanent() -> ConnectionLost:
    error = ConnectionLost("closed")
    error.permanent = True
    return error


@pytest.mark.parametrize(
    "answers",
    [
        [ConnectionLost("cut")],
        [TimeoutError("of the caller's own")],
        ["processing", NotFoundError("gone")],
        ["processing", permanent()],
    ],
)
def test_an_error_that_another_poll_cannot_mend_ends_the_wait(answers) -> None:
    with pytest.raises(type(answers[-1])) as caught:
        run(wait(Script(*answers, "verified")))
    assert caught.value is answers[-1]


# --- pauses -------------------------------------------------------------------------------------


def test_pauses_grow_to_a_minute_and_no_two_waits_have_the_same() -> None:
    scripts = [Script("processing"), Script("processing")]
    for script in scripts:
        with pytest.raises(WaitTimedOut):
            run(wait(script, timeout=3600))
    for pauses in (script.pauses for script in scripts):
        expected = [min(60, (4 / 3) ** n) for n in range(len(pauses))]
        assert all(0.74 * e < p < 1.26 * e for p, e in zip(pauses, expected, strict=True))
        assert 55 < len(pauses) < 90
    assert scripts[0].pauses != scripts[1].pauses


def test_many_waits_stay_within_the_rate_limit() -> None:
    script = Script(*["processing"] * 150, "verified")

    async def main() -> list[VerificationSession]:
        pipe = pipeline(script, limiter_of(account=20))
        waits = (
            VerificationSessions(pipe.send).wait("x_1", until="verified", timeout=1e6)
            for _ in range(60)
        )
        return await asyncio.gather(*waits)

    assert {session.status for session in run(main())} == {"verified"}
    busiest = max(sum(t <= each < t + 1 for each in script.polls) for t in script.polls)
    assert busiest <= 41  # a burst, and what comes after it


# --- news ---------------------------------------------------------------------------------------

stripe_event = StripeEvent()


def event(id: str, name: str = "processing") -> Any:
    return stripe_event(f"identity.verification_session.{name}", object={"id": id})


@pytest.mark.parametrize("is_delivered", [True, False])
def test_an_event_that_a_router_gets_ends_the_pause(is_delivered) -> None:
    router = Router(Webhook(SECRET), name=f"waiting {is_delivered}")
    script = Script(*["requires_input"] * 12, "processing", "verified")

    async def main() -> VerificationSession:
        task = asyncio.create_task(wait(script))
        await asyncio.sleep(30)
        for id in ("another_1", "x_1"):
            signed = event(id)
            if is_delivered:
                assert (await router.receive(signed.body, signed.signature)).ending == "ignored"
            else:
                await router.dispatch(Webhook(SECRET).parse(signed.body, signed.signature))
        return await task

    assert run(main()).status == "verified"
    assert script.polls.count(30) == 1
    # The next change often follows soon.
    after = script.polls[script.polls.index(30) + 1 :]
    assert after[0] - 30 < 1.26


def test_an_event_that_is_not_genuine_wakes_nobody() -> None:
    router = Router(Webhook(SECRET), name="forged")
    script = Script("processing")

    async def main() -> None:
        task = asyncio.create_task(wait(script, timeout=40))
        await asyncio.sleep(30)
        assert (await router.receive(event("x_1").body, "t=1,v1=00")).ending == "invalid"
        with pytest.raises(WaitTimedOut):
            await task

    run(main())
    assert 30 not in script.polls


def test_news_that_come_during_a_poll_are_not_lost() -> None:
    class Racing(Script):
        async def __call__(self, request: Request) -> Response:
            answer = await super().__call__(request)
            if len(self.polls) == 1:
                wakers.wake("x_1")
                await asyncio.sleep(0)
            return answer

    script = Racing("processing", "verified")
    assert run(wait(script)).status == "verified"
    assert script.polls == [0, 0]


def test_news_from_another_thread_wake_a_wait() -> None:
    script = Script("processing", "verified")
    polled = threading.Event()

    async def tell(request: Request) -> Response:
        answer = await script(request)
        polled.set()
        return answer

    async def main() -> VerificationSession:
        return await VerificationSessions(tell).wait("x_1", until="verified", timeout=math.inf)

    def wake() -> None:
        assert polled.wait(60)
        wakers.wake("x_1")

    thread = threading.Thread(target=wake)
    thread.start()
    assert asyncio.run(main()).status == "verified"
    thread.join()


def test_news_for_a_loop_that_has_ended_are_dropped() -> None:
    interest = wakers.interest_in("x_1")

    async def enter() -> asyncio.Event:
        return interest.__enter__()

    news = asyncio.run(enter())
    wakers.wake("x_1")
    assert not news.is_set()
    interest.__exit__(None, None, None)


# --- cancellation -------------------------------------------------------------------------------


@pytest.mark.parametrize("answers", [[None], ["processing"]])
def test_a_cancelled_wait_leaves_nothing_behind(answers) -> None:
    async def main() -> None:
        task = asyncio.create_task(wait(Script(*answers)))
        await asyncio.sleep(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


# --- arguments ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "argument", "problem"),
    [
        ({"until": "redacted"}, "until", "canceled, processing, requires_input, verified"),
        ({"until": []}, "until", "or several of these in a list"),
        ({"until": ["verified", "verifed"]}, "until", "must be what a verification session"),
        ({"until": 7}, "until", "must be what"),
        ({"timeout": 0}, "timeout", "must be seconds above 0"),
        ({"timeout": math.nan}, "timeout", "must be seconds above 0"),
        ({"timeout": "9"}, "timeout", "must be seconds above 0"),
        ({"session": "no id"}, "session", "must be an id"),
        ({"expand": "verified_outputs"}, "expand", "must be a list"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_sent(arguments, argument, problem) -> None:
    script = Script("verified")
    given = {"session": "x_1", "until": "verified", "timeout": 9, **arguments}
    with pytest.raises(ConfigurationError, match=problem) as caught:
        run(VerificationSessions(script).wait(**given))
    assert (caught.value.argument, script.polls) == (argument, [])


@pytest.mark.parametrize(
    ("call", "goal"),
    [
        (OnrampSessions(Script("x")).wait, "initialized"),
        (Orders(Script("x")).wait, "open"),
        (Orders(Script("x")).wait, "awaiting_funds"),
    ],
)
def test_a_status_that_objects_only_begin_with_is_no_goal(call, goal) -> None:
    with pytest.raises(ConfigurationError) as caught:
        run(call("x_1", until=goal, timeout=9))
    assert caught.value.argument == "until"


# --- the other resources ------------------------------------------------------------------------

Calls = Callable[[Script], Awaitable[Any]]


@pytest.mark.parametrize(
    ("kind", "call", "statuses", "refused"),
    [
        (
            OnrampSession,
            lambda send: OnrampSessions(send).wait(
                "x_1", until="fulfillment_complete", timeout=1e6
            ),
            ["initialized", "requires_payment", "fulfillment_processing", "fulfillment_complete"],
            "rejected",
        ),
        (
            Order,
            lambda send: Orders(send).wait("x_1", until="delivered", timeout=1e6),
            ["awaiting_funds", "confirmed", "delivered"],
            "canceled",
        ),
        (
            VerificationSession,
            lambda send: VerificationSessions(send).wait_for_redaction("x_1", timeout=1e6),
            [(None,), ("processing",), ("validated",), ("redacted",)],
            None,
        ),
    ],
)
def test_the_other_resources_wait_likewise(kind: Any, call: Calls, statuses, refused) -> None:
    script = Script(*statuses, kind=kind)
    run(call(script))  # type: ignore[arg-type]
    assert len(script.polls) == len(statuses)
    if refused is not None:
        with pytest.raises(GoalUnreachable):
            run(call(Script(refused, kind=kind)))  # type: ignore[arg-type]


def test_a_redaction_that_is_done_becomes_nothing_else() -> None:
    script = Script(("redacted",))
    waiting = VerificationSessions(script).wait_for_redaction("x_1", until="processing", timeout=9)
    with pytest.raises(GoalUnreachable, match="is redacted and can no longer become processing"):
        run(waiting)


def test_a_redaction_that_nobody_began_is_said_to_be_so() -> None:
    waiting = VerificationSessions(Script((None,))).wait_for_redaction("x_1", timeout=9)
    with pytest.raises(WaitTimedOut, match="last seen as not begun"):
        run(waiting)


# --- through a whole client ---------------------------------------------------------------------


def test_a_blocking_client_waits_on_its_loop() -> None:
    fake = FakeAPI()
    polls = fake.on("GET", "/v1/identity/verification_sessions/{session}")
    polls.answer(sample(VerificationSession, id="vs_1", status="verified"))
    with fake.sync_client() as stripe:
        sessions = stripe.identity.verification_sessions
        assert sessions.wait("vs_1", until="verified", timeout=60).status == "verified"
        with pytest.raises(GoalUnreachable):
            sessions.wait("vs_1", until="canceled", timeout=60)


@pytest.mark.anyio
async def test_options_and_fields_to_expand_go_with_each_poll() -> None:
    fake = FakeAPI()
    polls = fake.on("GET", "/v1/identity/verification_sessions/{session}")
    polls.answer(refusal(404))
    async with fake.client() as stripe:
        with pytest.raises(NotFoundError):
            await stripe.identity.verification_sessions.wait(
                "vs_1", until="verified", timeout=60, expand=["verified_outputs"]
            )
    assert "verified_outputs" in str(fake.calls[0].params)


# --- the tables ---------------------------------------------------------------------------------

known = st.sampled_from(LIFECYCLES).flatmap(
    lambda lifecycle: st.tuples(st.just(lifecycle), st.sampled_from([*lifecycle.moves]))
)


@given(known, st.randoms(use_true_random=False))
def test_what_a_walk_along_the_table_comes_to_can_be_reached(start, chance) -> None:
    lifecycle, status = start
    passed = {status}
    at = status
    for _ in range(8):
        assert lifecycle.can_reach(status, {at})
        if not lifecycle.moves[at]:
            break
        at = chance.choice(lifecycle.moves[at])
        passed.add(at)
    # And what is reachable in no number of steps is refused.
    reachable = {goal for goal in lifecycle.goals if lifecycle.can_reach(status, {goal})}
    assert passed <= reachable | {status}
    for goal in reachable:
        assert goal == status or any(
            lifecycle.can_reach(following, {goal}) for following in lifecycle.moves[status]
        )


@pytest.mark.parametrize("lifecycle", LIFECYCLES, ids=lambda one: one.name)
def test_every_status_that_can_follow_has_a_row(lifecycle: Lifecycle) -> None:
    assert {*lifecycle.goals} <= lifecycle.moves.keys()
    assert lifecycle.can_reach("brand_new", {"anything"})


@given(st.lists(st.sampled_from(ALL), min_size=1), st.lists(st.sampled_from(ALL), min_size=1))
def test_a_wait_returns_the_first_poll_with_a_goal_or_ends_before_it(statuses, goals) -> None:
    """Whatever order the statuses come in, possible or not."""
    ends = "timeout"
    for status in statuses:
        if status in goals:
            ends = status
            break
        if not SESSION.can_reach(status, goals):
            ends = "unreachable"
            break
    try:
        found = run(wait(Script(*statuses), goals, timeout=1e4)).status
    except GoalUnreachable:
        found = "unreachable"
    except WaitTimedOut:
        found = "timeout"
    assert found == ends
