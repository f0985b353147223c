"""Spans and metrics: what OpenTelemetry's own SDK gets of calls and of deliveries."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.semconv.attributes import error_attributes, http_attributes, server_attributes
from opentelemetry.semconv.metrics.http_metrics import HTTP_CLIENT_REQUEST_DURATION
from opentelemetry.semconv.schemas import Schemas

import pinstripe
from pinstripe import AsyncClient, Limits, Request, Response, RetryPolicy, otel
from pinstripe.bulk import fan_out
from pinstripe.events import Event
from pinstripe.pytest_plugin import SECRET, StripeEvent
from pinstripe.sandbox import Sandbox
from pinstripe.webhooks import MemoryStore, Router, Webhook
from tests.support.counting import counted
from tests.support.faulty import Faulty, ok
from tests.test_leaks_of_calls import KEY, MARKS, REFUSED, SENT, behaviours, said_back, settings

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("loop_thread_ends")]

SESSIONS = "/v1/identity/verification_sessions"
QUICK = RetryPolicy(base=0)

stripe_event = StripeEvent()


class Backend:
    """What an app that uses OpenTelemetry has: an SDK that keeps everything in memory."""

    def __init__(self, **settings: Any) -> None:
        self._spans, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider(shutdown_on_exit=False, **settings)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self._meters = MeterProvider([self._reader], shutdown_on_exit=False)
        self.hooks = otel.hooks(tracer_provider=self.tracers, meter_provider=self._meters)
        self.tracer = self.tracers.get_tracer("app")

    def take(self) -> list[ReadableSpan]:
        """Return the spans that have ended, in the order in which they began, and forget them."""
        found = sorted(self._spans.get_finished_spans(), key=lambda span: span.start_time or 0)
        self._spans.clear()
        return found

    def points(self, name: str) -> list[Any]:
        data = self._reader.get_metrics_data()
        scopes = [s for r in (data.resource_metrics if data else ()) for s in r.scope_metrics]
        metrics = [metric for scope in scopes for metric in scope.metrics if metric.name == name]
        return [point for metric in metrics for point in metric.data.data_points]

    def everything(self) -> str:
        """All that a backend would get, as text."""
        data = self._reader.get_metrics_data()
        return "".join(span.to_json() for span in self.take()) + (data.to_json() if data else "")


@pytest.fixture
def backend() -> Backend:
    return Backend()


def tree(spans: list[ReadableSpan]) -> list[str]:
    """The names of spans, each indented by its depth below those of the list."""
    by_id = {span.context.span_id: span for span in spans}
    lines = []
    for span in spans:
        depth, above = 0, span.parent
        while above is not None and above.span_id in by_id:
            depth, above = depth + 1, by_id[above.span_id].parent
        lines.append("  " * depth + span.name)
    return lines


def error_of(span: ReadableSpan) -> Any:
    is_error = span.status.status_code is trace.StatusCode.ERROR
    assert is_error == ("error.type" in span.attributes)
    assert span.status.description is None
    return span.attributes.get("error.type")


# --- calls --------------------------------------------------------------------------------------


async def test_a_call_with_one_retry(sandbox: Sandbox, backend: Backend) -> None:
    sandbox.faults.add(status=503, count=1)
    async with sandbox.client(hooks=backend.hooks, retry=QUICK, account="acct_1") as stripe:
        session = await stripe.identity.verification_sessions.create(type="document")
    answer = pinstripe.response_of(session)
    spans = backend.take()
    name = f"POST {SESSIONS}"
    assert tree(spans) == [f"call {name}", f"  {name}", f"  {name}"]
    call, first, second = spans
    assert [span.kind.name for span in spans] == ["INTERNAL", "CLIENT", "CLIENT"]
    assert [error_of(span) for span in spans] == [None, "503", None]
    key = call.attributes["stripe.idempotency_key"]
    begin = {
        "http.request.method": "POST",
        "url.template": SESSIONS,
        "server.address": "127.0.0.1",
        "server.port": int(sandbox.url.rpartition(":")[2]),
        "stripe.idempotency_key": key,
        "stripe.account": "acct_1",
    }
    assert key
    assert call.attributes == begin
    ids = first.attributes["stripe.request_id"], answer.request_id
    failed = {"http.response.status_code": 503, "error.type": "503", "stripe.request_id": ids[0]}
    assert first.attributes == {**begin, **failed}
    again = {"http.request.resend_count": 1, "stripe.request_id": ids[1]}
    assert second.attributes == {**begin, **again, "http.response.status_code": 200}
    assert ids[0] != ids[1]
    (pause,) = call.events
    assert pause.name == "pinstripe.pause"
    assert pause.attributes["pinstripe.pause.duration"] == 0
    assert pause.attributes["error.type"] == "503"
    assert first.end_time <= pause.timestamp <= second.start_time
    assert not any("url.full" in span.attributes for span in spans)


async def test_each_request_counts_in_the_metric(sandbox: Sandbox, backend: Backend) -> None:
    sandbox.faults.add(status=503, count=1)
    sandbox.faults.add(cut=True, count=1)
    async with sandbox.client(hooks=backend.hooks, retry=QUICK) as stripe:
        await stripe.climate.products.list()
        with suppress(pinstripe.NotFoundError):
            await stripe.climate.products.retrieve("climsku_0")
    points = backend.points(HTTP_CLIENT_REQUEST_DURATION)
    port = int(sandbox.url.rpartition(":")[2])
    server = {"server.address": "127.0.0.1", "server.port": port, "http.request.method": "GET"}
    of_list = {**server, "url.template": "/v1/climate/products"}
    of_one = {**server, "url.template": "/v1/climate/products/{product}"}
    expected = [
        {**of_list, "http.response.status_code": 503, "error.type": "503"},
        {**of_list, "error.type": "ConnectionLost"},
        {**of_list, "http.response.status_code": 200},
        {**of_one, "http.response.status_code": 404, "error.type": "404"},
    ]
    assert [dict(point.attributes) for point in points] == expected
    assert [point.count for point in points] == [1, 1, 1, 1]
    assert all(0 < point.sum < 30 and point.explicit_bounds[0] == 0.005 for point in points)
    # An exemplar leads from the metric to the request.
    requests = [span.context.span_id for span in backend.take() if span.kind.name == "CLIENT"]
    assert [exemplar.span_id for point in points for exemplar in point.exemplars] == requests


async def test_a_call_that_fails_says_how(sandbox: Sandbox, backend: Backend) -> None:
    async with sandbox.client(hooks=backend.hooks, timeout=0.05) as stripe:
        with suppress(pinstripe.NotFoundError):
            await stripe.climate.products.retrieve("climsku_0")
        sandbox.faults.add(latency=30)
        with suppress(pinstripe.DeadlineExceeded):
            await stripe.climate.products.list()
    errors = [error_of(span) for span in backend.take()]
    assert errors == ["NotFoundError", "404", "DeadlineExceeded", "CancelledError"]


async def test_a_wait_is_an_event_and_counts(sandbox: Sandbox, backend: Backend) -> None:
    one = Limits(max_in_flight=1)
    async with sandbox.client(hooks=backend.hooks, limits=one) as stripe:
        await asyncio.gather(*(stripe.request("GET", "/v1/climate/products") for _ in range(3)))
    spans = backend.take()
    calls = [span for span in spans if span.kind.name == "INTERNAL"]
    assert [[event.name for event in span.events] for span in calls] == [
        [],
        ["pinstripe.wait"],
        ["pinstripe.wait"],
    ]
    for span in calls[1:]:
        (event,) = span.events
        assert event.attributes["pinstripe.wait.duration"] > 0
        assert event.timestamp < span.end_time
    (point,) = backend.points("pinstripe.client.wait.duration")
    waits = [e.attributes["pinstripe.wait.duration"] for span in calls for e in span.events]
    assert (point.count, point.sum) == (2, pytest.approx(sum(waits)))


async def test_spans_are_below_the_caller_s(sandbox: Sandbox, backend: Backend) -> None:
    sandbox.identity.seed(3)
    async with sandbox.client(hooks=backend.hooks) as stripe:
        sessions = stripe.identity.verification_sessions
        with backend.tracer.start_as_current_span("app"):
            ids = [session.id async for session in sessions.list(limit=2)]
            async for outcome in fan_out(sessions.retrieve, ids):
                outcome.unwrap()
            assert trace.get_current_span().name == "app"
    lines = tree(backend.take())
    assert lines.count(f"  call GET {SESSIONS}") == 2
    assert lines.count(f"    GET {SESSIONS}") == 2
    one = f"GET {SESSIONS}/{{session}}"
    assert lines.count(f"  call {one}") == lines.count(f"    {one}") == 3
    assert len(lines) == 1 + 4 + 6


def test_a_blocking_call_is_below_the_caller_s_span(sandbox: Sandbox, backend: Backend) -> None:
    with sandbox.sync_client(hooks=backend.hooks) as stripe:
        with backend.tracer.start_as_current_span("app"):
            created = stripe.identity.verification_sessions.create(type="document")
        assert trace.get_current_span() is trace.INVALID_SPAN
    assert created.status == "requires_input"
    name = f"POST {SESSIONS}"
    assert tree(backend.take()) == ["app", f"  call {name}", f"    {name}"]


class Inner:
    """A transport that has a span of its own for each request."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self.tracer = tracer

    async def send(self, request: Request) -> Response:
        with self.tracer.start_as_current_span("inner"):
            return Response(status=200, headers={}, body=b"{}")

    async def aclose(self) -> None:
        """Nothing is open."""


async def test_what_a_transport_does_is_below_the_request(backend: Backend) -> None:
    async with AsyncClient(KEY, transport=Inner(backend.tracer), hooks=backend.hooks) as stripe:
        await stripe.request("GET", "/v1/balance")
    spans = backend.take()
    assert tree(spans) == ["call GET /v1/balance", "  GET /v1/balance", "    inner"]
    assert spans[0].attributes["server.address"] == "api.stripe.com"
    assert spans[0].attributes["server.port"] == 443


async def test_calls_that_share_an_answer_have_one_span(backend: Backend) -> None:
    async with AsyncClient(KEY, transport=Inner(backend.tracer), hooks=backend.hooks) as stripe:
        shared = stripe.with_options(coalesce=True)
        await asyncio.gather(*(shared.request("GET", "/v1/balance") for _ in range(3)))
    assert len(backend.take()) == 3


async def test_what_is_not_sampled_has_no_span_and_counts(sandbox: Sandbox) -> None:
    backend = Backend(sampler=ALWAYS_OFF)
    async with sandbox.client(hooks=backend.hooks) as stripe:
        await stripe.climate.products.list()
    assert backend.take() == []
    assert [p.count for p in backend.points(HTTP_CLIENT_REQUEST_DURATION)] == [1]


async def test_without_an_sdk_nothing_happens(sandbox: Sandbox) -> None:
    async with sandbox.client(hooks=otel.hooks()) as stripe:
        await stripe.climate.products.list()
    assert trace.get_current_span() is trace.INVALID_SPAN


async def test_own_functions_are_called_too(sandbox: Sandbox, backend: Backend) -> None:
    traces: list[int] = []

    def note(info: pinstripe.ResponseInfo) -> None:
        traces.append(trace.get_current_span().get_span_context().span_id)

    hooks = pinstripe.Hooks(on_response=note) | backend.hooks
    async with sandbox.client(hooks=hooks) as stripe:
        await stripe.climate.products.list()
    _, request = backend.take()
    assert traces == [request.context.span_id]


def test_the_names_are_those_of_the_conventions() -> None:
    assert Schemas.V1_30_0.value == otel._SCHEMA
    assert {
        http_attributes.HTTP_REQUEST_METHOD,
        http_attributes.HTTP_RESPONSE_STATUS_CODE,
        http_attributes.HTTP_REQUEST_RESEND_COUNT,
        server_attributes.SERVER_ADDRESS,
        server_attributes.SERVER_PORT,
        error_attributes.ERROR_TYPE,
    } == {
        "http.request.method",
        "http.response.status_code",
        "http.request.resend_count",
        "server.address",
        "server.port",
        "error.type",
    }


# --- deliveries ---------------------------------------------------------------------------------

CREATED = "file.created"


@pytest.fixture
def router(backend: Backend) -> Router:
    return Router(Webhook(SECRET), MemoryStore(), hooks=backend.hooks)


def handlers(router: Router, backend: Backend) -> None:
    @router.on(Event)
    async def first(event: Event) -> None:
        with backend.tracer.start_as_current_span("own"):
            pass

    @router.on(CREATED)
    def second(event: Event) -> None:
        with backend.tracer.start_as_current_span("own, in a thread"):
            pass


HANDLED = [
    "app",
    f"  process {CREATED}",
    "    handle tests.test_otel.handlers.<locals>.first",
    "      own",
    "    handle tests.test_otel.handlers.<locals>.second",
    "      own, in a thread",
]


async def test_a_delivery_has_a_span_with_its_handlers_below(router, backend) -> None:
    handlers(router, backend)
    event = stripe_event(CREATED)
    with backend.tracer.start_as_current_span("app"):
        await router.receive(event.body, event.signature)
        assert trace.get_current_span().name == "app"
    spans = backend.take()
    assert tree(spans) == HANDLED
    kinds = ["INTERNAL", "CONSUMER", "INTERNAL", "INTERNAL", "INTERNAL", "INTERNAL"]
    assert [span.kind.name for span in spans] == kinds
    assert spans[1].attributes == {
        "messaging.system": "stripe",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.message.id": json.loads(event.body)["id"],
        "stripe.event.type": CREATED,
        "pinstripe.ending": "handled",
    }
    assert spans[4].attributes == {"code.function.name": "tests.test_otel.handlers.<locals>.second"}


def test_a_blocking_delivery_has_the_same_spans(router, backend) -> None:
    handlers(router, backend)
    event = stripe_event(CREATED)
    with backend.tracer.start_as_current_span("app"):
        router.receive_blocking(event.body, event.signature)
    assert tree(backend.take()) == HANDLED


async def test_an_event_that_is_dispatched_has_spans_of_its_handlers(router, backend) -> None:
    handlers(router, backend)
    event = stripe_event(CREATED)
    with backend.tracer.start_as_current_span("app"):
        await router.dispatch(router.webhook.parse(event.body, event.signature))
    lines = [line.removeprefix("  ") for line in HANDLED[2:]]
    assert tree(backend.take()) == ["app", *lines]


async def test_how_a_delivery_ended(router, backend) -> None:
    wrong = [ValueError("CANARY")]

    @router.on(Event)
    def handle(event: Event) -> None:
        if wrong:
            raise wrong.pop()

    event = stripe_event(CREATED)
    for signature in (event.signature, event.signature, event.signature, "t=1,v1=CANARY"):
        await router.receive(event.body, signature)
    spans = backend.take()
    ended = [(s.attributes["pinstripe.ending"], error_of(s)) for s in spans if s.parent is None]
    assert ended == [
        ("failed", "failed"),
        ("handled", None),
        ("duplicate", None),
        ("invalid", None),
    ]
    handled = [error_of(span) for span in spans if span.parent is not None]
    assert handled == ["ValueError", None]
    assert spans[-1].name == "process"
    assert "CANARY" not in "".join(span.to_json() for span in spans)


async def test_a_delivery_that_is_cancelled_ends(router, backend) -> None:
    began = asyncio.Event()

    @router.on(Event)
    async def handle(event: Event) -> None:
        began.set()
        await asyncio.Event().wait()

    event = stripe_event(CREATED)
    task = asyncio.create_task(router.receive(event.body, event.signature))
    await began.wait()
    task.cancel()
    await asyncio.wait([task])
    assert [error_of(span) for span in backend.take()] == ["CancelledError"] * 2


# --- nothing private ----------------------------------------------------------------------------


ANSWERS = ("said back", "null", "429", "500", "a page of a proxy", "a redirect", "reset_in_body")


@pytest.mark.parametrize("name", ANSWERS)
async def test_nothing_that_was_sent_is_in_a_span_or_a_metric(name: str) -> None:
    backend = Backend()

    async def repeat(exchange: Any) -> None:
        error = {"type": "invalid_request_error", "message": said_back(exchange)}
        body = json.dumps({"error": error}).encode()
        await ok(body, 400)(exchange)

    async with (
        Faulty({**behaviours(), "said back": repeat}[name]) as server,
        AsyncClient(KEY, hooks=backend.hooks, **settings(server.url)) as stripe,
    ):
        for call in (*SENT.values(), *REFUSED.values()):
            with suppress(Exception):
                await call(stripe)
    told = backend.everything()
    assert told.count('"name": "call ') >= len(SENT)
    assert not [mark for mark in MARKS if mark in told]


# --- what is around -----------------------------------------------------------------------------


@pytest.fixture
def instrumented(backend: Backend) -> Iterator[None]:
    instrumentor = AioHttpClientInstrumentor()
    instrumentor.instrument(tracer_provider=backend.tracers)
    yield
    instrumentor.uninstrument()


@pytest.mark.usefixtures("instrumented")
async def test_the_instrumentation_of_aiohttp_sees_none_of_our_requests(sandbox, backend) -> None:
    async with aiohttp.ClientSession() as session, session.get(sandbox.url):
        pass
    assert len(backend.take()) == 1
    async with sandbox.client() as stripe:
        await stripe.climate.products.list()
        await stripe.files.create(file=b"%PDF-1.4", filename="a.pdf", purpose="dispute_evidence")
    assert backend.take() == []


def test_without_opentelemetry_the_extra_is_named() -> None:
    script = """
import sys
sys.modules["opentelemetry"] = None
import pinstripe
pinstripe.AsyncClient("sk_test_1", hooks=pinstripe.Hooks())
try:
    import pinstripe.otel
except ImportError as error:
    assert 'pip install "pinstripe[otel]"' in str(error), error
else:
    raise SystemExit("it was imported")
"""
    command = [sys.executable, "-W", "error", "-c", script]
    subprocess.run(command, env=counted(), check=True, timeout=60)
