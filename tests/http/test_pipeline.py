"""From one call to its attempts: what is decided, and what is certain at the end."""

from __future__ import annotations

import asyncio
import copy
import json
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import anyio
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from pinstripe import (
    CertificateError,
    ConfigurationError,
    ConflictError,
    ConnectError,
    ConnectionLost,
    DeadlineExceeded,
    IdempotencyError,
    InvalidRequestError,
    PinstripeError,
    RateLimitError,
    Request,
    Response,
    ResponseError,
    ResponseTooLarge,
    RetryPolicy,
    ServerError,
    Timeout,
    TransportError,
)
from pinstripe._concurrency.patience import deadline_starts_at_turn
from pinstripe._config.hooks import Hooks
from pinstripe._http.pipeline import Pipeline, TimeSource
from pinstripe._http.retry import Attempts, Budget, decide, parse_retry_after, wants_retry
from pinstripe._limits import gate
from pinstripe._limits.gate import AsyncLimiter
from pinstripe._limits.limiter import EndpointQueue
from pinstripe._limits.rates import Rates
from tests.support.waiting import settle

pytestmark = pytest.mark.anyio

NOW = 1_790_000_000.0
inf, nan = float("inf"), float("nan")


def http_date(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(NOW + seconds, timezone.utc), usegmt=True)


def answer(status: int, body: object = b"", **headers: str) -> Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status=status, headers=names, body=data)


def refusal(status: int, code: str | None = None, **headers: str) -> Response:
    """The API's own refusal: its error envelope, and a request id."""
    error = {"type": "api_error", "code": code, "message": "no"}
    return answer(status, {"error": error}, **{"Request_Id": "req_1", **headers})


# --- Retry-After --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("1", 1.0),
        ("100000", 100_000.0),
        ("999999999", 999_999_999.0),
        (http_date(2), 2.0),
        (http_date(-100), 0.0),
        (http_date(86_400), 86_400.0),
        (datetime.fromtimestamp(NOW + 60, timezone.utc).strftime("%A, %d-%b-%y %H:%M:%S GMT"), 60),
        (format_datetime(datetime.fromtimestamp(NOW, timezone(timedelta(hours=5)))), 0.0),
        (http_date(30).replace("GMT", "-0000"), 30.0),
        (http_date(30).removesuffix(" GMT"), 30.0),
        ("", None),
        (" 1", None),
        ("-1", None),
        ("1.5", 1.5),
        ("0.25", 0.25),
        (".5", 0.5),
        ("2.", 2.0),
        ("1e3", 1000.0),
        ("soon", None),
        (".", None),
        ("1.5.2", None),
        ("1_000", None),
        ("nan", None),
        ("inf", None),
        ("٣", None),
        ("²", None),
        ("9" * 10, 9_999_999_999.0),
        ("99999999999999", 99_999_999_999_999.0),
        ("9" * 5000, sys.float_info.max),
        ("Mon, 99 Foo 2026 00:00:00 GMT", None),
        ("Mon, 01 Jan 99999999999999 00:00:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00 +9999999999", None),
    ],
)
def test_retry_after(value, seconds) -> None:
    assert parse_retry_after(value, None, NOW) == seconds


@pytest.mark.parametrize("off", [-3600, 3600, 10**8])
def test_a_date_is_read_by_the_clock_of_the_server_that_names_it(off) -> None:
    assert parse_retry_after(http_date(3), http_date(0), NOW + off) == 3
    assert parse_retry_after("2", http_date(0), NOW + off) == 2
    assert parse_retry_after(http_date(-3), http_date(0), NOW + off) == 0


@pytest.mark.parametrize("date", ["", "soon", "0", "٣", http_date(0)[:-9]])
def test_without_a_date_of_the_server_a_date_is_read_by_the_clock_of_this_machine(date) -> None:
    assert parse_retry_after(http_date(3), date, NOW) == 3


@given(st.text() | st.from_regex(r"\w{3}, \d+ \w{3} \d+ \d+:\d+:\d+ \S*"))
def test_any_retry_after_is_a_wait_or_nothing(value) -> None:
    wait = parse_retry_after(value, value, NOW)
    assert wait is None or 0 <= wait < inf


@given(st.integers(-(10**9), 10**9))
def test_a_date_is_a_wait_until_then(seconds) -> None:
    assert parse_retry_after(http_date(seconds), None, NOW) == max(0, seconds)


# --- decisions ----------------------------------------------------------------------------------

RETRIED = [409, 429, 500, 502, 503, 504, 599]
FINAL = [200, 201, 204, 301, 304, 307, 399, 400, 401, 402, 403, 404, 408, 422, 499]


@pytest.mark.parametrize("status", RETRIED + FINAL)
def test_which_answers_are_worth_another_attempt(status) -> None:
    assert wants_retry(answer(status)) is (status in RETRIED)
    assert wants_retry(answer(status, Stripe_Should_Retry="true")) is (status >= 400)
    assert wants_retry(answer(status, Stripe_Should_Retry="false")) is False
    assert wants_retry(answer(status, Stripe_Should_Retry="maybe")) is (status in RETRIED)


@pytest.mark.parametrize("kind", [ConnectError, ConnectionLost, TransportError, DeadlineExceeded])
def test_a_lost_connection_is_worth_another_attempt(kind) -> None:
    assert wants_retry(kind("lost")) is True


def test_a_certificate_will_be_no_better_the_next_time() -> None:
    assert wants_retry(CertificateError("no")) is False


def pause_after(attempts: int, result: Any = None, **given_: Any) -> float | None:
    policy = given_.pop("policy", RetryPolicy(max_attempts=100))
    usual = {"retry_after": None, "remaining": inf, "spent": 0, "chance": 1.0}
    return decide(policy, attempts, result or answer(503), **{**usual, **given_})


def test_the_ladder_of_pauses() -> None:
    ladder = [pause_after(n) for n in range(1, 9)]
    assert ladder == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0, 5.0]
    assert [pause_after(n, chance=0.5) for n in range(1, 6)] == [0.25, 0.5, 1.0, 2.0, 2.5]
    assert [pause_after(n, chance=0.0) for n in range(1, 6)] == [0.0] * 5
    slow = RetryPolicy(max_attempts=9, base=1, cap=3)
    assert [pause_after(n, policy=slow) for n in range(1, 5)] == [1, 2, 3, 3]


def test_a_policy_of_very_many_attempts_overflows_nothing() -> None:
    policy = RetryPolicy(max_attempts=10**6, base=0.5, cap=5)
    assert pause_after(10**5, policy=policy) == 5
    assert pause_after(10**5, policy=evolve(policy, base=0)) == 0


def test_attempts_are_bounded() -> None:
    assert [pause_after(n, policy=RetryPolicy(max_attempts=3)) for n in (1, 2, 3, 4)] == [
        0.5,
        1.0,
        None,
        None,
    ]
    assert pause_after(1, policy=RetryPolicy(max_attempts=1)) is None
    lost = ConnectionLost("x")
    assert pause_after(1, lost, policy=RetryPolicy(max_attempts=1)) is None
    insist = answer(500, Stripe_Should_Retry="true")
    assert pause_after(3, insist, policy=RetryPolicy(max_attempts=3)) is None


def test_a_final_answer_is_final() -> None:
    assert pause_after(1, answer(400)) is None
    assert pause_after(1, answer(200)) is None
    assert pause_after(1, answer(500, Stripe_Should_Retry="false")) is None


def test_the_servers_wait_is_kept_and_spread_by_half_a_second() -> None:
    assert pause_after(1, retry_after=2, chance=0.0) == 2
    assert pause_after(1, retry_after=2, chance=1.0) == 2.5
    assert pause_after(5, retry_after=2, chance=1.0) == 2.5
    assert pause_after(1, retry_after=60) == 60.5
    assert pause_after(1, retry_after=60.1) is None
    assert pause_after(1, retry_after=3, policy=RetryPolicy(max_retry_after=2)) is None


def test_no_pause_reaches_the_deadline() -> None:
    assert pause_after(1, remaining=0.51) == 0.5
    assert pause_after(1, remaining=0.5) is None
    assert pause_after(1, remaining=-1, chance=0.0) is None
    assert pause_after(1, retry_after=10, remaining=9) is None


def test_no_retry_without_its_cost_in_the_budget() -> None:
    assert pause_after(1, spent=495) == 0.5
    assert pause_after(1, spent=496) is None
    assert pause_after(1, spent=0, policy=RetryPolicy(budget=4)) is None
    assert pause_after(1, spent=0, policy=RetryPolicy(budget=5)) == 0.5
    assert pause_after(1, spent=10**9, policy=RetryPolicy(budget=inf)) == 0.5


@given(st.lists(st.sampled_from(["retry", "retried", "first"])))
def test_a_budget_is_never_below_nothing_nor_above_its_bound(steps) -> None:
    budget, policy = Budget(), RetryPolicy(budget=20)
    for step in steps:
        before = budget.spent
        if step == "retry":
            if pause_after(1, spent=before, policy=policy) is not None:
                budget.spend()
        else:
            budget.refund(retried=step == "retried")
            assert budget.spent == max(0, before - (5 if step == "retried" else 1))
        assert 0 <= budget.spent <= 20


policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 10),
    base=st.floats(0, 100),
    cap=st.floats(0, 100),
    max_retry_after=st.floats(0, 100),
)


@given(
    policies,
    st.integers(1, 2000),
    st.sampled_from([answer(s) for s in RETRIED + FINAL]) | st.just(ConnectionLost("x")),
    st.none() | st.floats(0, 1000),
    st.tuples(st.floats(-10, 100), st.integers(0, 600), st.floats(0, 1, exclude_max=True)),
)
def test_every_pause_keeps_every_promise(policy, attempts, result, wait, rest) -> None:
    remaining, spent, chance = rest
    pause = decide(
        policy,
        attempts,
        result,
        retry_after=wait,
        remaining=remaining,
        spent=spent,
        chance=chance,
    )
    if pause is None:
        return
    assert spent + 5 <= policy.budget
    assert attempts < policy.max_attempts
    assert wants_retry(result)
    assert 0 <= pause < remaining
    if wait is None:
        assert pause <= policy.cap
    else:
        assert wait <= policy.max_retry_after
        assert wait <= pause <= wait + 0.5


# --- what is certain ----------------------------------------------------------------------------

OK = answer(200)
LOST = ConnectionLost("lost")
NOT_CONNECTED = ConnectError("refused")
NO_ENVELOPE = answer(404, b"<h1>Not Found</h1>", Request_Id="req_1")
NO_TYPE = answer(400, {"error": {"message": "no"}}, Request_Id="req_1")
NO_REQUEST_ID = answer(429, {"error": {"type": "api_error"}})
ODD_REQUEST_ID = answer(429, {"error": {"type": "api_error"}}, Request_Id="req 1")
STILL_RUNS = refusal(409, "idempotency_key_in_use")
OUTCOMES: list[tuple[list[Any], str]] = [
    ([], "not_sent"),
    ([NOT_CONNECTED], "not_sent"),
    ([NOT_CONNECTED, NOT_CONNECTED], "not_sent"),
    ([LOST], "unknown"),
    ([LOST, NOT_CONNECTED], "unknown"),
    *(([refusal(status)], "rejected") for status in (400, 401, 402, 403, 404, 409, 422, 429)),
    # Another attempt may have acted, and no later answer is certain to cover it.
    *(([LOST, refusal(status)], "unknown") for status in (400, 401, 403, 404, 409, 429)),
    ([refusal(500), refusal(400)], "unknown"),
    ([refusal(500), NOT_CONNECTED], "unknown"),
    ([refusal(500)], "unknown"),
    ([answer(307)], "unknown"),
    # Each attempt that was sent was refused.
    ([refusal(429), refusal(429), refusal(400)], "rejected"),
    ([refusal(429), NOT_CONNECTED], "rejected"),
    ([NOT_CONNECTED, refusal(429)], "rejected"),
    # Not in the API's own words: a proxy can answer after the API has acted.
    *(([answer(status, b"<h1>No</h1>")], "unknown") for status in (400, 401, 403, 407, 408, 413)),
    *(([one], "unknown") for one in (NO_ENVELOPE, NO_TYPE, NO_REQUEST_ID, ODD_REQUEST_ID)),
    ([NO_ENVELOPE, refusal(429)], "unknown"),
    ([refusal(429), NO_ENVELOPE], "unknown"),
    # In its own words, but about another request that still runs.
    ([STILL_RUNS], "unknown"),
    ([STILL_RUNS, refusal(400)], "unknown"),
]


@pytest.mark.parametrize(("results", "outcome"), OUTCOMES)
def test_what_is_certain_after_some_attempts(results, outcome) -> None:
    attempts = Attempts()
    for result in results:
        attempts.begin()
        attempts.end(result)
    assert attempts.count == len(results)
    assert attempts.outcome == outcome


@given(st.lists(st.sampled_from([NOT_CONNECTED, refusal(401), refusal(429), refusal(400)])))
def test_what_may_have_acted_stays_unknown(results) -> None:
    attempts = Attempts()
    for result in [LOST, *results]:
        attempts.begin()
        attempts.end(result)
    assert attempts.outcome == "unknown"


@pytest.mark.parametrize(
    ("stage", "outcome"),
    [("connection", "not_sent"), ("answer", "unknown"), ("body", "unknown")],
)
def test_an_attempt_cut_short_may_have_acted_once_a_byte_of_it_can_have_left(
    stage, outcome
) -> None:
    attempts = Attempts()
    attempts.begin()
    assert attempts.outcome == "unknown"  # a transport that reports nothing
    attempts.stage = stage
    assert attempts.outcome == outcome


def test_an_attempt_refused_here_is_none() -> None:
    attempts = Attempts()
    attempts.begin()
    attempts.withdraw()
    assert (attempts.count, attempts.outcome) == (0, "not_sent")


# --- the pipeline -------------------------------------------------------------------------------


class Script:
    """Sends nothing: answers from a list, and keeps what it was asked."""

    def __init__(self, *results: Response | Exception | Callable[[], Any]) -> None:
        self.results = list(results)
        self.requests: list[Request] = []

    async def send(self, request: Request) -> Response:
        self.requests.append(request)
        result = self.results.pop(0)
        if callable(result):
            result = await result()
        if isinstance(result, Exception):
            raise copy.copy(result)
        return result


class HandTime:
    """Time that passes only in `sleep`; chance that is always one half."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def time_source(self) -> TimeSource:
        return TimeSource(
            monotonic=lambda: self.now,
            wall=lambda: NOW + self.now - 100,
            random=lambda: 0.5,
            sleep=self.sleep,
        )


def pipeline(send: Any, time: HandTime | TimeSource | None = None, **settings: Any) -> Pipeline:
    time = time or HandTime()
    usual: dict[str, Any] = {
        "headers": {"Stripe-Version": "v", "Stripe-Account": "acct_client"},
        "timeout": Timeout(30),
        "retry": RetryPolicy(),
        "hooks": Hooks(),
        "time_source": time.time_source() if isinstance(time, HandTime) else time,
    }
    limiter = settings.pop("limiter", None) or AsyncLimiter(1, Rates())
    budget = settings.pop("budget", None) or Budget()
    return Pipeline(send, lambda: limiter, budget, **{**usual, **settings})


POST = Request(
    method="POST", path="/v1/x", template="/v1/x", headers={"Idempotency-Key": "key-1"}, body=b""
)
GET = Request(method="GET", path="/v1/x", template="/v1/x")


async def failure(call: Any) -> Any:
    with pytest.raises(PinstripeError) as caught:
        await call
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    return caught.value


async def test_success_at_once_is_handed_through() -> None:
    script = Script(OK)
    assert await pipeline(script.send).send(GET) is OK
    (sent,) = script.requests
    assert sent.headers == {"Stripe-Version": "v", "Stripe-Account": "acct_client"}
    assert sent.timeout == Timeout(30)


async def test_headers_and_timeouts_of_the_call_go_before_those_of_the_client() -> None:
    script = Script(OK)
    request = evolve(GET, headers={"Stripe-Account": "acct_call"}, timeout=Timeout(5, connect=1))
    await pipeline(script.send).send(request)
    (sent,) = script.requests
    assert sent.headers == {"Stripe-Version": "v", "Stripe-Account": "acct_call"}
    assert sent.timeout == Timeout(5, connect=1)
    assert request.headers == {"Stripe-Account": "acct_call"}


async def test_a_key_is_used_over_all_attempts_and_attempts_are_counted() -> None:
    script, time = Script(NOT_CONNECTED, refusal(503), OK), HandTime()
    response = await pipeline(script.send, time).send(POST)
    assert response == evolve(OK, attempts=3)
    assert [sent.idempotency_key for sent in script.requests] == ["key-1"] * 3
    assert time.pauses == [0.25, 0.5]


FAULTS: dict[str, tuple[Any, type[PinstripeError], str]] = {
    "not connected": (NOT_CONNECTED, ConnectError, "not_sent"),
    "lost": (LOST, ConnectionLost, "unknown"),
    "500": (refusal(500), ServerError, "unknown"),
    "429": (refusal(429), RateLimitError, "rejected"),
    "409": (refusal(409), ConflictError, "rejected"),
    "409 in use": (refusal(409, "idempotency_key_in_use"), IdempotencyError, "unknown"),
}


@pytest.mark.parametrize(("fault", "kind", "outcome"), FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("attempts", [1, 2, 5])
async def test_what_never_succeeds_ends_with_all_that_is_known(
    fault, kind, outcome, attempts
) -> None:
    script = Script(*[fault] * attempts)
    policy = RetryPolicy(max_attempts=attempts)
    error = await failure(pipeline(script.send, retry=policy).send(POST))
    assert type(error) is kind
    assert error.outcome == outcome
    assert error.attempts == attempts == len(script.requests)
    assert error.idempotency_key == "key-1"


@pytest.mark.parametrize("first", [NOT_CONNECTED, LOST, refusal(500), refusal(429)])
@pytest.mark.parametrize("last", [NOT_CONNECTED, LOST, refusal(500), refusal(429)])
async def test_the_first_attempt_is_not_forgotten(first, last) -> None:
    error = await failure(
        pipeline(Script(first, last).send, retry=RetryPolicy(max_attempts=2)).send(POST)
    )
    if any(result is LOST or getattr(result, "status", 0) == 500 for result in (first, last)):
        assert error.outcome == "unknown"
    elif first is last is NOT_CONNECTED:
        assert error.outcome == "not_sent"
    else:
        assert error.outcome == "rejected"


async def test_a_refusal_is_final() -> None:
    script = Script(refusal(400, "parameter_missing", Request_Id="req_1"))
    error = await failure(pipeline(script.send).send(POST))
    assert type(error) is InvalidRequestError
    assert (error.code, error.request_id, error.attempts) == ("parameter_missing", "req_1", 1)
    assert (error.status, error.outcome) == (400, "rejected")


async def test_a_get_has_no_key() -> None:
    error = await failure(pipeline(Script(refusal(404)).send).send(GET))
    assert error.idempotency_key is None


@pytest.mark.parametrize("status", [100, 101, 199, 300, 301, 302, 303, 304, 307, 308, 399])
async def test_a_redirect_is_an_error_that_names_the_place(status) -> None:
    place = "https://evil.example/v1/x\x1b[31m"
    error = await failure(
        pipeline(Script(answer(status, b"moved", Location=place)).send).send(POST)
    )
    assert type(error) is ResponseError
    assert str(error) == (
        f"POST /v1/x: the server answered {status} and points to https://evil.example/v1/x [31m"
        f" (status {status})"
    )
    assert (error.status, error.body, error.outcome) == (status, b"moved", "unknown")
    assert (error.attempts, error.idempotency_key) == (1, "key-1")


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ("https://user:word@evil.example:8/x?token=1#part", "https://evil.example:8/x"),
        ("//u@evil.example/x;y?", "//evil.example/x;y"),
        ("/v1/x?client_secret=1", "/v1/x"),
        ("https://evil.example/vs_1_secret_abc", "https://evil.example/[secret]"),
        ("https://evil.example/sk_live_abc", "https://evil.example/[secret]"),
        ("https://[::1", "no valid address"),
        ("", "nowhere"),
    ],
)
async def test_the_place_of_a_redirect_is_named_without_its_secrets(location, place) -> None:
    error = await failure(pipeline(Script(answer(307, Location=location)).send).send(GET))
    assert error.message == f"the server answered 307 and points to {place}"


async def test_a_redirect_to_nowhere() -> None:
    error = await failure(pipeline(Script(answer(302)).send).send(GET))
    assert "nowhere" in str(error)


async def test_retry_after_is_waited_for() -> None:
    time = HandTime()
    script = Script(refusal(429, Retry_After="2"), refusal(503, Retry_After=http_date(10)), OK)
    response = await pipeline(script.send, time).send(POST)
    assert response.attempts == 3
    assert time.pauses == [2.25, 10 - 2.25 + 0.5]


async def test_a_wait_that_is_too_long_is_reported_at_once() -> None:
    time = HandTime()
    script = Script(refusal(429, Retry_After="100000"))
    error = await failure(pipeline(script.send, time, timeout=Timeout(inf)).send(POST))
    assert type(error) is RateLimitError
    assert error.retry_after == 100_000
    assert error.message == "the server asks to wait 100000 s: no"
    assert time.pauses == []


@pytest.mark.parametrize(
    ("value", "said"),
    [("99999999999999", "99999999999999 s"), ("9" * 400, "1.79769313486232e+308 s")],
)
async def test_a_wait_of_any_length_is_reported_at_once(value, said) -> None:
    time, script = HandTime(), Script(refusal(429, Retry_After=value))
    error = await failure(pipeline(script.send, time, timeout=Timeout(inf)).send(POST))
    assert error.message == f"the server asks to wait {said}: no"
    assert (time.pauses, error.attempts) == ([], 1)


async def test_a_wait_is_counted_from_the_date_of_its_answer() -> None:
    time = HandTime()
    ahead = {"Retry_After": http_date(3603), "Date": http_date(3600)}
    await pipeline(Script(refusal(503, **ahead), OK).send, time).send(POST)
    assert time.pauses == [3.25]
    await pipeline(Script(refusal(503, Retry_After="1.5"), OK).send, time).send(POST)
    assert time.pauses[1:] == [1.75]


async def test_a_pause_beyond_the_deadline_is_not_started() -> None:
    time = HandTime()
    script = Script(refusal(503, Retry_After="20"), refusal(503, Retry_After="20"), OK)
    error = await failure(pipeline(script.send, time).send(POST))
    assert type(error) is ServerError
    assert (error.attempts, error.retry_after) == (2, 20)
    assert "wait 20 s" in str(error)
    assert time.pauses == [20.25]


async def test_an_answer_too_large_is_not_asked_for_again() -> None:
    script = Script(ResponseTooLarge("long"))
    error = await failure(pipeline(script.send).send(POST))
    assert (error.outcome, error.attempts) == ("unknown", 1)


async def test_what_a_transport_refuses_was_not_sent() -> None:
    closed = ConfigurationError("client", "is closed")
    error = await failure(pipeline(Script(closed).send).send(POST))
    assert (error.outcome, error.attempts) == ("not_sent", 0)
    closed = ConfigurationError("client", "is closed")
    error = await failure(pipeline(Script(LOST, closed).send).send(POST))
    assert (error.outcome, error.attempts) == ("unknown", 1)


async def test_errors_that_are_not_ours_pass_and_free_the_slot() -> None:
    script = Script(KeyError("bug"), OK)
    pipe = pipeline(script.send)
    with pytest.raises(KeyError):
        await pipe.send(GET)
    assert await pipe.send(GET) is OK


async def test_an_outage_costs_a_tenth_more_requests_and_no_more() -> None:
    script = Script(*[refusal(503)] * 1100)
    pipe = pipeline(script.send)
    for _ in range(1000):
        assert type(await failure(pipe.send(POST))) is ServerError
    assert len(script.requests) == 1100


async def test_the_budget_comes_back_with_success() -> None:
    budget = Budget()
    policy = RetryPolicy(budget=10)
    script = Script(*[LOST, LOST, LOST], LOST, *[OK] * 5, LOST, OK, LOST, OK)
    pipe = pipeline(script.send, retry=policy, budget=budget)
    await failure(pipe.send(POST))
    assert (budget.spent, len(script.requests)) == (10, 3)
    await failure(pipe.send(POST))
    assert (budget.spent, len(script.requests)) == (10, 4)
    for left in (9, 8, 7, 6, 5):
        await pipe.send(GET)
        assert budget.spent == left
    for _ in range(2):
        assert (await pipe.send(POST)).attempts == 2
        assert budget.spent == 5


STALE = ConnectionLost("closed")
STALE.stale = True


@pytest.mark.parametrize("request_", [GET, POST])
async def test_a_stale_connection_costs_neither_a_pause_nor_the_budget(request_) -> None:
    script, time, budget = Script(STALE, OK), HandTime(), Budget(spent=500)
    pipe = pipeline(
        script.send, time, retry=RetryPolicy(max_attempts=2), budget=budget, timeout=Timeout(9)
    )
    response = await pipe.send(request_)
    assert (response.attempts, time.pauses, budget.spent) == (2, [0.0], 499)
    first, second = script.requests
    assert first == second


async def test_a_second_stale_connection_is_no_accident() -> None:
    script, time = Script(STALE, STALE, OK), HandTime()
    assert (await pipeline(script.send, time).send(POST)).attempts == 3
    assert time.pauses == [0.0, 0.5]


@pytest.mark.parametrize("most", [1, 2, 3])
@pytest.mark.parametrize("fault", [STALE, LOST, NOT_CONNECTED, refusal(503)])
async def test_no_call_makes_more_requests_than_its_policy_allows(most, fault) -> None:
    script = Script(*[fault] * 9)
    error = await failure(pipeline(script.send, retry=RetryPolicy(max_attempts=most)).send(POST))
    assert error.attempts == len(script.requests) == most


@pytest.mark.parametrize("status", [200, 400, 503, 302])
@pytest.mark.parametrize("request_", [GET, POST])
async def test_the_answer_to_another_request_says_nothing(status, request_) -> None:
    other = answer(status, Idempotency_Key="key-2", Request_Id="req_2")
    error = await failure(pipeline(Script(other).send).send(request_))
    assert type(error) is ResponseError
    assert (error.outcome, error.attempts, error.request_id) == ("unknown", 1, "req_2")
    echo = answer(200, Idempotency_Key="key-1")
    assert await pipeline(Script(echo).send).send(POST) is echo


# --- deadline, slots, cancellation --------------------------------------------------------------


async def test_the_deadline_while_an_answer_is_awaited() -> None:
    script = Script(anyio.Event().wait, OK)
    pipe = pipeline(script.send, timeout=Timeout(0.01))
    error = await failure(pipe.send(POST))
    assert type(error) is DeadlineExceeded
    assert error.message == "no answer within 0.01 s: the server had still not answered"
    assert (error.outcome, error.attempts, error.idempotency_key) == ("unknown", 1, "key-1")
    assert await pipe.send(GET) is OK


async def test_the_deadline_of_a_call_goes_before_that_of_the_client() -> None:
    request = evolve(POST, timeout=Timeout(0.01))
    error = await failure(pipeline(Script(anyio.Event().wait).send).send(request))
    assert error.message.startswith("no answer within 0.01 s: ")


def taken(limiter: AsyncLimiter) -> AsyncLimiter:
    assert limiter.try_acquire(EndpointQueue(), 0.0)
    return limiter


async def test_the_deadline_while_a_slot_is_awaited() -> None:
    script = Script()
    pipe = pipeline(script.send, limiter=taken(AsyncLimiter(1, Rates())), timeout=Timeout(0.01))
    error = await failure(pipe.send(POST))
    assert type(error) is DeadlineExceeded
    assert (error.outcome, error.attempts, script.requests) == ("not_sent", 0, [])
    assert str(error) == (
        "POST /v1/x: no answer within 0.01 s: the call was still waiting for its turn"
    )


@pytest.mark.parametrize(
    ("first", "outcome"), [(LOST, "unknown"), (refusal(500), "unknown"), (refusal(429), "rejected")]
)
async def test_the_deadline_before_a_second_attempt(first, outcome) -> None:
    limiter = AsyncLimiter(1, Rates())

    async def lose_the_slot(seconds: float) -> None:
        taken(limiter)

    time = evolve(HandTime().time_source(), sleep=lose_the_slot, random=lambda: 0.0)
    pipe = pipeline(Script(first).send, time, limiter=limiter, timeout=Timeout(0.01))
    error = await failure(pipe.send(POST))
    assert type(error) is DeadlineExceeded
    assert (error.outcome, error.attempts) == (outcome, 1)


async def test_a_deadline_of_the_callers_own_is_not_mistaken_for_ours() -> None:
    with pytest.raises(TimeoutError) as caught:
        with anyio.fail_after(0.01):
            await pipeline(Script(anyio.Event().wait).send).send(GET)
    assert not isinstance(caught.value, PinstripeError)


class HeldSender:
    """A sender that holds every request until `open` is set, and counts those in flight."""

    def __init__(self) -> None:
        self.flying = self.most = self.sent = 0
        self.open = anyio.Event()

    async def send(self, request: Request) -> Response:
        self.flying += 1
        self.sent += 1
        self.most = max(self.most, self.flying)
        try:
            await self.open.wait()
        finally:
            self.flying -= 1
        return OK


async def test_slots_bound_what_is_in_flight() -> None:
    sender = HeldSender()
    pipe = pipeline(sender.send, limiter=AsyncLimiter(3, Rates()))
    calls = [asyncio.create_task(pipe.send(GET)) for _ in range(20)]
    await settle()
    assert (sender.flying, sender.sent) == (3, 3)
    sender.open.set()
    await asyncio.gather(*calls)
    assert (sender.most, sender.sent) == (3, 20)


async def test_a_cancelled_call_frees_its_slot() -> None:
    sender = HeldSender()
    pipe = pipeline(sender.send, limiter=AsyncLimiter(1, Rates()))
    flying = asyncio.create_task(pipe.send(GET))
    waiting = [asyncio.create_task(pipe.send(GET)) for _ in range(2)]
    await settle()
    waiting[0].cancel()
    flying.cancel()
    sender.open.set()
    assert await waiting[1] is OK
    results = await asyncio.gather(flying, waiting[0], return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 2
    assert sender.sent == 2


async def test_no_slot_is_held_during_a_pause() -> None:
    limiter = AsyncLimiter(1, Rates())
    entered = []

    async def sleep(seconds: float) -> None:
        entered.append(limiter.try_acquire(EndpointQueue(), 0.0))
        limiter.release_slot()

    time = evolve(HandTime().time_source(), sleep=sleep)
    await pipeline(Script(LOST, OK).send, time, limiter=limiter).send(GET)
    assert entered == [True]


class Stuck:
    """A transport that reports how far a request has come, and stays there."""

    def __init__(self, stage: Any, failure: Response | None = None) -> None:
        self.stage = stage
        self.failure = failure

    async def send(self, request: Request) -> Response:
        request.progress.stage, request.progress.failure = self.stage, self.failure
        await anyio.sleep_forever()
        raise AssertionError


@pytest.mark.parametrize(
    ("stage", "text", "outcome"),
    [
        ("connection", "there was still no connection", "not_sent"),
        ("answer", "the server had still not answered", "unknown"),
        ("body", "the body of the answer had still not come to its end", "unknown"),
    ],
)
async def test_a_deadline_names_the_stage_that_it_hit(stage, text, outcome) -> None:
    error = await failure(pipeline(Stuck(stage).send, timeout=Timeout(0.01)).send(POST))
    assert str(error) == f"POST /v1/x: no answer within 0.01 s: {text}"
    assert (type(error), error.outcome, error.attempts) == (DeadlineExceeded, outcome, 1)


async def test_a_deadline_during_the_body_of_a_failure_keeps_its_status() -> None:
    head = answer(429, Request_Id="req_7", Retry_After="100")
    error = await failure(pipeline(Stuck("body", head).send, timeout=Timeout(0.01)).send(POST))
    assert (type(error), error.status, error.request_id) == (RateLimitError, 429, "req_7")
    assert (error.outcome, error.retry_after, error.idempotency_key) == ("unknown", 100, "key-1")


async def test_an_error_names_its_call_its_status_and_its_request() -> None:
    error = await failure(pipeline(Script(refusal(400)).send).send(POST))
    assert str(error) == "POST /v1/x: no (status 400, request req_1)"
    assert (error.call, error.message) == ("POST /v1/x", "no")
    error = await failure(
        pipeline(Script(answer(500)).send, retry=RetryPolicy(max_attempts=1)).send(GET)
    )
    assert str(error) == "GET /v1/x: the server answered 500 (status 500)"
    error = await failure(pipeline(Script(*[LOST] * 3).send).send(GET))
    assert str(error) == "GET /v1/x: lost"
    assert str(copy.copy(error)) == str(error)


# --- the end of the client ----------------------------------------------------------------------


async def test_closing_ends_calls_wherever_they_are() -> None:
    limiter, sender = AsyncLimiter(2, Rates()), HeldSender()
    pausing = pipeline(Script(LOST).send, TimeSource(), limiter=limiter, retry=RetryPolicy(base=30))
    calls = [asyncio.create_task(pausing.send(POST))]
    await settle()
    pipe = pipeline(sender.send, limiter=limiter)
    calls += [asyncio.create_task(pipe.send(POST)) for _ in range(5)]
    await settle()
    assert sender.flying == 2
    await limiter.close()
    errors: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in errors] == [ConnectionLost] * 6
    assert {error.idempotency_key for error in errors} == {"key-1"}
    assert [error.outcome for error in errors] == ["unknown"] * 3 + ["not_sent"] * 3
    assert [error.attempts for error in errors] == [1, 1, 1, 0, 0, 0]
    assert (sender.flying, sender.sent) == (0, 2)
    assert str(errors[1]) == "POST /v1/x: the client was closed during the call"


async def test_closing_ends_calls_whose_deadline_has_not_begun() -> None:
    limiter, sender = AsyncLimiter(1, Rates()), HeldSender()
    pipe = pipeline(sender.send, limiter=limiter)

    async def patient() -> Response:
        deadline_starts_at_turn.set(True)
        return await pipe.send(POST)

    calls = [asyncio.create_task(patient()) for _ in range(50)]
    await settle()
    await asyncio.gather(limiter.close(), limiter.close())
    errors: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(error) for error in errors} == {ConnectionLost}
    assert [error.outcome for error in errors].count("unknown") == sender.sent == 1


async def test_closing_does_not_wait_for_a_call_that_does_not_end(monkeypatch) -> None:
    monkeypatch.setattr(gate, "_GRACE", 0.01)
    limiter, release = AsyncLimiter(1, Rates()), anyio.Event()

    async def stubborn(request: Request) -> Response:
        with anyio.CancelScope(shield=True):
            try:
                await anyio.sleep_forever()
            except asyncio.CancelledError:
                await release.wait()
                raise
        raise AssertionError

    call = asyncio.create_task(pipeline(stubborn, limiter=limiter).send(POST))
    await settle()
    await limiter.close()
    assert not call.done()
    release.set()
    assert (await failure(call)).idempotency_key == "key-1"


@pytest.mark.parametrize("hook", ["on_wait", "on_request", "on_response"])
async def test_a_hook_that_raises_what_is_no_exception_loses_no_slot(hook) -> None:
    class Abort(BaseException):
        pass

    def abort(_: object) -> None:
        raise Abort

    limiter = AsyncLimiter(1, Rates())
    first = HeldSender()
    holding = asyncio.create_task(pipeline(first.send, limiter=limiter).send(GET))
    await settle()
    pipe = pipeline(Script(OK).send, limiter=limiter, hooks=Hooks(**{hook: abort}))
    waiting = asyncio.create_task(pipe.send(GET))
    await settle()
    first.open.set()
    await holding
    with pytest.raises(Abort):
        await waiting
    assert await pipeline(Script(OK).send, limiter=limiter).send(GET) is OK


async def test_calls_do_not_share_what_they_know() -> None:
    script = Script(LOST, OK, NOT_CONNECTED, NOT_CONNECTED, NOT_CONNECTED)
    pipe = pipeline(script.send)
    assert (await pipe.send(POST)).attempts == 2
    error = await failure(pipe.send(POST))
    assert (error.outcome, error.attempts) == ("not_sent", 3)


def test_the_clock_of_the_machine_is_the_default() -> None:
    time = TimeSource()
    assert time.sleep is asyncio.sleep
    assert 0 <= time.random() < 1
    assert time.wall() > NOW - 10**9
    assert time.monotonic() <= time.monotonic()
