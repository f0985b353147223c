"""What hooks and the log get of a call, and that a hook that raises does not fail it."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import subprocess
import sys
from contextvars import ContextVar
from inspect import cleandoc
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from pinstripe import (
    AsyncClient,
    CallInfo,
    ConfigurationError,
    Hooks,
    RequestInfo,
    Response,
    ResponseInfo,
    ResponseTooLarge,
    ResultInfo,
    RetryInfo,
    Timeout,
    WaitInfo,
)
from pinstripe._concurrency.patience import deadline_starts_at_turn
from pinstripe._http.watched import WatchedCalls
from pinstripe._limits.gate import AsyncLimiter
from pinstripe._limits.limiter import EndpointQueue
from pinstripe._limits.rates import Rates
from pinstripe.sandbox import Sandbox
from tests.http.test_pipeline import (
    GET,
    LOST,
    OK,
    POST,
    HandTime,
    HeldSender,
    Script,
    answer,
    failure,
    refusal,
    settle,
)
from tests.http.test_pipeline import pipeline as unwatched

pytestmark = pytest.mark.anyio

NAMES = ("on_call", "on_result", "on_request", "on_response", "on_retry", "on_wait")
NAMES_OF_ROUTER = ("on_delivery", "on_receipt", "on_handler", "on_handled")


def pipeline(
    send: Any, time: HandTime | None = None, *, hooks: Hooks | None = None, **settings: Any
) -> WatchedCalls:
    """A pipeline whose calls are reported, as those of a client with hooks."""
    time, hooks = time or HandTime(), hooks or Hooks()
    made = unwatched(send, time, hooks=hooks, **settings)
    monotonic = time.time_source().monotonic
    return WatchedCalls(made, hooks, ("acct_client", None), lambda host: (host, 443), monotonic)


def noting() -> tuple[Hooks, list[Any]]:
    notes: list[Any] = []
    return Hooks(**dict.fromkeys(NAMES, notes.append)), notes


async def test_hooks_get_every_step() -> None:
    hooks, notes = noting()
    script = Script(LOST, refusal(503, Request_Id="req_1", Retry_After="2"), OK)
    await pipeline(script.send, hooks=hooks).send(attrs.evolve(POST, template="/v1/x/{id}"))
    where = {"call": notes[0].call, "method": "POST", "path": "/v1/x/{id}"}
    failed = {"status": 503, "request_id": "req_1"}
    begin = {"idempotency_key": "key-1", "account": "acct_client", "server": "api", "port": 443}
    assert notes == [
        CallInfo(**where, **begin),
        RequestInfo(**where, attempt=1, idempotency_key="key-1"),
        ResponseInfo(**where, attempt=1, duration=0, error="ConnectionLost"),
        RetryInfo(**where, attempt=1, pause=0.25, error="ConnectionLost"),
        RequestInfo(**where, attempt=2, idempotency_key="key-1"),
        ResponseInfo(**where, attempt=2, duration=0, **failed),
        RetryInfo(**where, attempt=2, pause=2.5, **failed),
        RequestInfo(**where, attempt=3, idempotency_key="key-1"),
        ResponseInfo(**where, attempt=3, duration=0, status=200),
        ResultInfo(**where, attempts=3, duration=2.75, status=200),
    ]


async def test_each_reported_request_has_a_reported_end() -> None:
    hooks, notes = noting()
    await failure(pipeline(Script(ResponseTooLarge("long")).send, hooks=hooks).send(GET))
    late = pipeline(Script(anyio.Event().wait).send, hooks=hooks, timeout=Timeout(0.01))
    await failure(late.send(GET))
    closed = ConfigurationError("client", "is closed")
    await failure(pipeline(Script(closed).send, hooks=hooks).send(GET))
    ends = [note.error for note in notes if isinstance(note, ResponseInfo)]
    assert ends == ["ResponseTooLarge", "CancelledError", "ConfigurationError"]
    whole = [CallInfo, RequestInfo, ResponseInfo, ResultInfo]
    assert [type(note) for note in notes] == whole * 3
    numbers = [note.call for note in notes]
    assert numbers == [number for number in sorted(set(numbers)) for _ in whole]


async def test_durations_are_measured() -> None:
    hooks, notes = noting()
    time = HandTime()

    async def slow() -> Response:
        time.now += 1.5
        return OK

    await pipeline(Script(slow).send, time, hooks=hooks).send(GET)
    assert [note.duration for note in notes[2:]] == [1.5, 1.5]


async def test_a_wait_for_a_slot_is_reported() -> None:
    hooks, notes = noting()
    hooks = Hooks(on_wait=notes.append)
    sender, time = HeldSender(), HandTime()
    pipe = pipeline(sender.send, time, limiter=AsyncLimiter(1, Rates()), hooks=hooks)
    calls = [asyncio.create_task(pipe.send(GET)) for _ in range(2)]
    await settle()
    time.now += 3
    sender.open.set()
    await asyncio.gather(*calls)
    (note,) = notes
    assert note == WaitInfo(call=note.call, method="GET", path="/v1/x", duration=3)


async def test_the_wait_before_the_deadline_begins_is_reported_too() -> None:
    notes: list[Any] = []
    sender, time = HeldSender(), HandTime()
    limiter, hooks = (
        AsyncLimiter(1, Rates(), time.time_source().monotonic),
        Hooks(on_wait=notes.append),
    )
    pipe = pipeline(sender.send, time, limiter=limiter, hooks=hooks)
    deadline_starts_at_turn.set(True)
    calls = [asyncio.create_task(pipe.send(GET)) for _ in range(3)]
    await settle()
    time.now += 3  # one call is sent, one is in the queue, and one is in the waiting list
    sender.open.set()
    await asyncio.gather(*calls)
    assert [note.duration for note in notes] == [3, 3]


async def test_a_call_is_reported_in_one_context() -> None:
    current: ContextVar[int] = ContextVar("current")
    seen: list[tuple[int, int]] = []

    def see(info: Any) -> None:
        seen.append((info.call, current.get()))

    later = dict.fromkeys(NAMES[1:], see)
    hooks = Hooks(on_call=lambda info: current.set(info.call), **later)
    limiter = AsyncLimiter(1, Rates())
    pipe = pipeline(Script(LOST, OK, OK).send, limiter=limiter, hooks=hooks)
    await asyncio.gather(pipe.send(GET), pipe.send(GET))
    assert len({call for call, _ in seen}) == 2
    assert all(call == number for call, number in seen)
    assert current.get(None) is None


async def test_hooks_that_are_joined_are_all_called(caplog) -> None:
    notes: list[str] = []

    def broken(info: Any) -> None:
        notes.append("broken")
        raise RuntimeError("a bug of the caller's own")

    first = Hooks(on_call=broken, on_request=lambda _: notes.append("request"))
    second = Hooks(on_call=lambda _: notes.append("call"))
    await pipeline(Script(OK).send, hooks=first | second).send(GET)
    assert notes == ["broken", "call", "request"]
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    joined: Any = first
    with pytest.raises(TypeError):
        joined | print


def test_the_example_numbers_each_line_of_a_log(sandbox: Sandbox, tmp_path: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", cleandoc(Hooks.__doc__ or ""), re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text(block, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        env={**os.environ, "STRIPE_API_KEY": sandbox.api_key, "PINSTRIPE_BASE_URL": sandbox.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    begin, end = done.stderr.splitlines()
    assert begin == "1 root: POST /v1/identity/verification_sessions begins"
    assert re.fullmatch(r"1 root: 200 in \d\.\d{3} s, 1 requests", end)


async def test_a_hook_that_raises_changes_nothing(caplog) -> None:
    def broken(info: Any) -> None:
        raise RuntimeError("a bug of the caller's own")

    hooks = Hooks(**dict.fromkeys(NAMES, broken))
    limiter = AsyncLimiter(1, Rates())
    pipe = pipeline(Script(LOST, OK, OK).send, limiter=limiter, hooks=hooks)
    answers = await asyncio.gather(pipe.send(GET), pipe.send(GET))
    assert sorted(response.attempts for response in answers) == [1, 2]
    assert limiter.try_acquire(EndpointQueue(), 0.0)
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(logged) >= 11
    assert all(record.name == "pinstripe" and record.exc_info for record in logged)
    error = await failure(pipeline(Script(refusal(400)).send, hooks=hooks).send(GET))
    assert error.status == 400


async def test_an_interrupt_in_a_hook_is_raised() -> None:
    def stop(info: Any) -> None:
        raise KeyboardInterrupt

    limiter = AsyncLimiter(1, Rates())
    pipe = pipeline(Script(OK).send, limiter=limiter, hooks=Hooks(on_response=stop))
    with pytest.raises(KeyboardInterrupt):
        await pipe.send(GET)
    assert limiter.try_acquire(EndpointQueue(), 0.0)


async def wait(info: Any) -> None:
    """A hook that would never run."""


class Waiting:
    async def __call__(self, info: Any) -> None:
        """As above."""


@pytest.mark.parametrize("name", NAMES + NAMES_OF_ROUTER)
@pytest.mark.parametrize(
    ("hook", "problem"),
    [(wait, "not an async one"), (Waiting(), "not an async one"), (3, "a function, not an int")],
)
def test_hooks_must_be_plain_functions(name, hook, problem) -> None:
    with pytest.raises(ConfigurationError, match=problem) as caught:
        Hooks(**{name: hook})
    assert caught.value.argument == name
    with pytest.raises(ConfigurationError, match="hooks: must be a Hooks"):
        AsyncClient("sk_test_1", hooks={name: print})


def test_reports_cannot_be_changed() -> None:
    info = WaitInfo(call=1, method="GET", path="/v1/x", duration=3)
    with pytest.raises(AttributeError):
        info.duration = 0
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Hooks().on_request = print


# --- the log ------------------------------------------------------------------------------------


async def test_a_line_for_each_request_and_each_retry(caplog) -> None:
    caplog.set_level(logging.DEBUG, "pinstripe")
    request = attrs.evolve(POST, path="/v1/x/PRIVATE", template="/v1/x/{id}", query="a=PRIVATE")
    script = Script(refusal(503, Request_Id="req_1"), LOST, answer(200, Request_Id="a b\x1b"))
    await pipeline(script.send).send(request)
    assert [(r.name, r.levelname, r.getMessage()) for r in caplog.records] == [
        ("pinstripe", "DEBUG", "POST /v1/x/{id} attempt 1: 503 in 0.000 s (req_1)"),
        ("pinstripe", "INFO", "POST /v1/x/{id} attempt 1: 503, again in 0.250 s (req_1)"),
        ("pinstripe", "DEBUG", "POST /v1/x/{id} attempt 2: ConnectionLost in 0.000 s (-)"),
        ("pinstripe", "INFO", "POST /v1/x/{id} attempt 2: ConnectionLost, again in 0.500 s (-)"),
        ("pinstripe", "DEBUG", "POST /v1/x/{id} attempt 3: 200 in 0.000 s (-)"),
    ]
    first, second = (vars(record) for record in caplog.records[:2])
    facts = {"method": "POST", "path": "/v1/x/{id}", "attempt": 1, "status": 503}
    assert first | facts | {"request_id": "req_1", "error": None, "duration": 0} == first
    assert second | facts | {"request_id": "req_1", "error": None, "pause": 0.25} == second
    assert "PRIVATE" not in repr([vars(record) for record in caplog.records])


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
async def test_levels_are_kept(caplog, level) -> None:
    caplog.set_level(level, "pinstripe")
    await pipeline(Script(LOST, OK).send).send(GET)
    assert len(caplog.records) == (level == logging.INFO)


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/v1/customers/cus_Na6dX7aXxi11N4", "/v1/customers/{id}"),
        ("/v1/customers/cus_9/sources/card_1x", "/v1/customers/{id}/sources/{id}"),
        ("/v2/core/accounts/acct_1", "/v2/core/accounts/{id}"),
        ("/v1/coupons/SUMMER", "/v1/coupons/{id}"),
        ("/v1/customers/cus_AbCdEf/sources", "/v1/customers/{id}/sources"),
        ("/v1/products/john-smith", "/v1/products/{id}"),
        ("/v1/products/v1", "/v1/products/{id}"),
        ("/v1/9/x", "/v1/{id}/x"),
        ("/v1/balance", "/v1/balance"),
        ("/v1/issuing/personalization_designs", "/v1/issuing/personalization_designs"),
    ],
)
async def test_a_path_written_out_is_shown_without_its_ids(path, template) -> None:
    hooks, notes = noting()
    canned = Canned()
    async with AsyncClient("sk_test_1", transport=canned, hooks=hooks) as client:
        await client.with_options(account="acct_1").request("GET", path)
    assert canned.paths == [path]
    assert [note.path for note in notes] == [template] * 4


@pytest.mark.parametrize(
    ("template", "ids", "path"),
    [
        ("/v1/customers/{customer}/sources", {"customer": "smith"}, "/v1/customers/smith/sources"),
        ("/v1/a/{a}/b/{b}", {"b": "y", "a": "x"}, "/v1/a/x/b/y"),
        ("/v1/balance", {}, "/v1/balance"),
    ],
)
async def test_a_path_is_shown_as_the_template_that_was_given(template, ids, path) -> None:
    hooks, notes = noting()
    canned = Canned()
    async with AsyncClient("sk_test_1", transport=canned, hooks=hooks) as client:
        await client.request("GET", template, ids=ids)
    assert canned.paths == [path]
    assert [note.path for note in notes] == [template] * 4


class Canned:
    """A transport that answers everything with the same, and keeps what was asked."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def send(self, request: Any) -> Response:
        self.paths.append(request.path)
        return OK

    async def aclose(self) -> None:
        """Nothing is open."""
