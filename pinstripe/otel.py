"""Spans and metrics for OpenTelemetry, of each call and of each delivery.

```python
import pinstripe
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from pinstripe import otel

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
trace.set_tracer_provider(provider)

with pinstripe.Client(hooks=otel.hooks()) as stripe:
    stripe.identity.verification_sessions.create(type="document")
```

`pip install "pinstripe[otel]"` brings `opentelemetry-api`; the SDK and the exporter are your app's.
Give the same hooks to a `pinstripe.webhooks.Router`, for a span of each delivery. `otel.hooks() |
pinstripe.Hooks(on_retry=...)` adds functions of your own.

Choices, and their reasons:

- A call has a span of the kind INTERNAL, and each of its requests a span of the kind CLIENT below
  it, as the conventions for HTTP want it for requests that are sent again. So the time in which a
  call waits, for its turn or between two requests, is seen too.
- The conventions ask for `url.full`. It is left out: paths and queries hold values of yours, and
  `url.template` has placeholders. For the same reason a failure has the class of the exception or
  the status, and neither a message nor a traceback, which can repeat a value.
- The request id, the idempotency key, the account and the context are `stripe.request_id`,
  `stripe.idempotency_key`, `stripe.account` and `stripe.context`. The conventions have names for
  headers, but their values are lists, by which few backends can search.
- No `traceparent` is sent: Stripe does not use it, and the ids of your traces are your own.
- Calls that share one answer (`coalesce=True`) have one span, in the trace of the first caller.
- If a call is not sampled, its requests are not either; both count in the metrics.
- `pinstripe.client.wait.duration` counts the requests that waited, and no waits of zero.
- The conventions have no part for webhooks. A delivery is a message that is processed, so its span
  has the names for messaging. Only the result `failed` is an error: refusing what is forged, or
  what another delivery handles, is no fault of yours.
"""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import define

from pinstripe._config.hooks import Hooks
from pinstripe._config.infos import (
    CallInfo,
    DeliveryInfo,
    HandledInfo,
    HandlerInfo,
    ReceiptInfo,
    RequestInfo,
    ResponseInfo,
    ResultInfo,
    RetryInfo,
    WaitInfo,
)
from pinstripe._version import __version__

try:
    from opentelemetry import context, metrics, trace
except ImportError as _error:
    _problem = 'pinstripe.otel needs opentelemetry-api: pip install "pinstripe[otel]"'
    raise ImportError(_problem) from _error

from opentelemetry.metrics import Meter, MeterProvider
from opentelemetry.trace import Span, SpanKind, Tracer, TracerProvider
from opentelemetry.util.types import AttributeValue

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context

__all__ = ["hooks"]

# The version of the conventions that the names of the attributes are from.
_SCHEMA: Final = "https://opentelemetry.io/schemas/1.30.0"

# https://opentelemetry.io/docs/specs/semconv/http/http-metrics/
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

_Attributes: TypeAlias = "dict[str, AttributeValue]"

# To look up a member of an enumeration takes longer than all else about it.
_INTERNAL: Final = SpanKind.INTERNAL
_CLIENT: Final = SpanKind.CLIENT
_CONSUMER: Final = SpanKind.CONSUMER
_FAILED: Final = trace.Status(trace.StatusCode.ERROR)


def hooks(
    *, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
) -> Hooks:
    """Return hooks that make spans and metrics, for a client or a router.

    Args:
        tracer_provider: Makes the spans; by default the one that is set for the process, even if
            that is done later.
        meter_provider: Takes the metrics; by default as above.

    Returns:
        The hooks. Several clients and routers may have the same.
    """
    tracer = trace.get_tracer("pinstripe", __version__, tracer_provider, _SCHEMA)
    meter = metrics.get_meter("pinstripe", __version__, meter_provider, _SCHEMA)
    calls, deliveries = _Calls(tracer, meter), _Deliveries(tracer)
    return Hooks(
        on_call=calls.begin,
        on_result=calls.end,
        on_request=calls.begin_request,
        on_response=calls.end_request,
        on_retry=calls.pause,
        on_wait=calls.wait,
        on_delivery=deliveries.begin,
        on_receipt=deliveries.end,
        on_handler=deliveries.begin_handler,
        on_handled=deliveries.end_handler,
    )


class _OpenSpan:
    """A span that is the current one until it ends."""

    __slots__ = ("_token", "span")

    def __init__(self, tracer: Tracer, name: str, kind: SpanKind, attributes: _Attributes) -> None:
        self.span: Span = tracer.start_span(name, kind=kind, attributes=attributes)
        # Without an SDK there is nothing to be the current span.
        self._token: Token[Context] | None = None
        if self.span is not trace.INVALID_SPAN:
            self._token = context.attach(trace.set_span_in_context(self.span))

    def end(self, attributes: _Attributes) -> None:
        """End the span; it has failed if the attributes name an error."""
        if self._token is not None:
            context.detach(self._token)
        if attributes:
            self.span.set_attributes(attributes)
            if "error.type" in attributes:
                self.span.set_status(_FAILED)
        self.span.end()


@define(eq=False)
class _OpenCall:
    """A call that has not ended.

    Attributes:
        span: Its span.
        server: The attributes of its requests in spans and metrics.
        own: The attributes of its requests in spans only.
        request: The span of the request that has not ended; None if there is none.
    """

    span: _OpenSpan
    server: _Attributes
    own: _Attributes
    request: _OpenSpan | None = None


class _Calls:
    """The spans and metrics of calls."""

    def __init__(self, tracer: Tracer, meter: Meter) -> None:
        self._tracer = tracer
        self._open: dict[int, _OpenCall] = {}
        self._durations = meter.create_histogram(
            "http.client.request.duration",
            unit="s",
            description="Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )
        self._waits = meter.create_histogram(
            "pinstripe.client.wait.duration",
            unit="s",
            description="Time that requests waited for their turn, of those that had to wait.",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )

    def begin(self, info: CallInfo) -> None:
        own: _Attributes = {}
        if info.idempotency_key is not None:
            own["stripe.idempotency_key"] = info.idempotency_key
        if info.account is not None:
            own["stripe.account"] = info.account
        if info.context is not None:
            own["stripe.context"] = info.context
        server: _Attributes = {
            "http.request.method": info.method,
            "url.template": info.path,
            "server.address": info.server,
            "server.port": info.port,
        }
        name = f"call {info.method} {info.path}"
        span = _OpenSpan(self._tracer, name, _INTERNAL, {**server, **own} if own else server)
        self._open[info.call] = _OpenCall(span, server, own)

    def end(self, info: ResultInfo) -> None:
        self._open.pop(info.call).span.end({} if info.error is None else {"error.type": info.error})

    def begin_request(self, info: RequestInfo) -> None:
        call = self._open[info.call]
        if not call.span.span.is_recording():
            return
        attributes = {**call.server, **call.own}
        if info.attempt > 1:
            attributes["http.request.resend_count"] = info.attempt - 1
        name = f"{info.method} {info.path}"
        call.request = _OpenSpan(self._tracer, name, _CLIENT, attributes)

    def end_request(self, info: ResponseInfo) -> None:
        call = self._open[info.call]
        end = _end(info)
        # While its span is the current one, so that an exemplar can refer to that.
        self._durations.record(info.duration, {**call.server, **end})
        if call.request is not None:
            if info.request_id is not None:
                end["stripe.request_id"] = info.request_id
            call.request.end(end)
            call.request = None

    def pause(self, info: RetryInfo) -> None:
        attributes = {**_end(info), "pinstripe.pause.duration": info.pause}
        self._open[info.call].span.span.add_event("pinstripe.pause", attributes)

    def wait(self, info: WaitInfo) -> None:
        call = self._open[info.call]
        self._waits.record(info.duration, call.server)
        attributes: _Attributes = {"pinstripe.wait.duration": info.duration}
        began = time_ns() - int(info.duration * 1e9)
        call.span.span.add_event("pinstripe.wait", attributes, began)


class _Deliveries:
    """The spans of deliveries and of their handlers, which run one after the other."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._open: dict[int, _OpenSpan] = {}
        self._handlers: dict[int, _OpenSpan] = {}

    def begin(self, info: DeliveryInfo) -> None:
        attributes: _Attributes = {
            "messaging.system": "stripe",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
        }
        name = "process"
        if info.event_id is not None and info.event_type is not None:
            name = f"process {info.event_type}"
            attributes["messaging.message.id"] = info.event_id
            attributes["stripe.event.type"] = info.event_type
        self._open[info.delivery] = _OpenSpan(self._tracer, name, _CONSUMER, attributes)

    def end(self, info: ReceiptInfo) -> None:
        end: _Attributes = {} if info.ending is None else {"pinstripe.ending": info.ending}
        if info.error is not None:
            end["error.type"] = info.error
        elif info.ending == "failed":
            end["error.type"] = info.ending
        self._open.pop(info.delivery).end(end)

    def begin_handler(self, info: HandlerInfo) -> None:
        attributes: _Attributes = {"code.function.name": info.handler}
        name = f"handle {info.handler}"
        span = _OpenSpan(self._tracer, name, _INTERNAL, attributes)
        self._handlers[info.delivery] = span

    def end_handler(self, info: HandledInfo) -> None:
        end: _Attributes = {} if info.error is None else {"error.type": info.error}
        self._handlers.pop(info.delivery).end(end)


def _end(info: ResponseInfo | RetryInfo) -> _Attributes:
    """Return the attributes that say how a request ended."""
    end: _Attributes = {}
    if info.status is not None:
        end["http.response.status_code"] = info.status
    if info.error is not None:
        end["error.type"] = info.error
    elif info.status is not None and info.status >= 400:
        end["error.type"] = str(info.status)
    return end
