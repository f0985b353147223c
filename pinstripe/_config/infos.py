"""What hooks get: the reports of calls and deliveries, as plain data.

No report holds a value of the caller, or of an event: it has the path template in place of the
path, the status in place of the answer, and the class of an error in place of its message.

A watched call makes at least four of these. msgspec makes one in a quarter of the time that attrs
takes, and that time is most of what it costs to watch a call.
"""

from msgspec import Struct


class CallInfo(Struct, frozen=True, kw_only=True):
    """A call that begins.

    Attributes:
        call: The number of the call in this process, which its other reports have too.
        method: The HTTP method.
        path: The path with placeholders for its ids.
        idempotency_key: The key of the call; None if it has none.
        account: The connected account that the call acts for; None if it acts for that of the key,
            or has a context.
        context: The path of accounts that the call acts for; None if it has none.
        server: The name or the IP address of the server.
        port: The port of the server.
    """

    call: int
    method: str
    path: str
    idempotency_key: str | None = None
    account: str | None = None
    context: str | None = None
    server: str
    port: int


class ResultInfo(Struct, frozen=True, kw_only=True):
    """How a call ended, after all of its requests.

    Attributes:
        call: The number of the call in this process.
        method: The HTTP method.
        path: The path with placeholders for its ids.
        attempts: How many requests the call took.
        duration: Seconds from the start of the call to its end, with all waits and pauses.
        status: The HTTP status of the answer, or of the error; None if it has none.
        request_id: The `Request-Id` of the last answer.
        error: The name of the exception that the call raised; None if it succeeded.
    """

    call: int
    method: str
    path: str
    attempts: int
    duration: float
    status: int | None = None
    request_id: str | None = None
    error: str | None = None


class RequestInfo(Struct, frozen=True, kw_only=True):
    """A request that is about to be sent.

    Attributes:
        call: The number of the call in this process.
        method: The HTTP method.
        path: The path with placeholders for its ids.
        attempt: The number of the request within its call, from 1 on.
        idempotency_key: The key of the call; None if it has none.
    """

    call: int
    method: str
    path: str
    attempt: int
    idempotency_key: str | None


class ResponseInfo(Struct, frozen=True, kw_only=True):
    """How a request ended: with an answer, or without one.

    Attributes:
        call: The number of the call in this process.
        method: The HTTP method.
        path: The path with placeholders for its ids.
        attempt: The number of the request within its call, from 1 on.
        duration: Seconds from the start of the request to the end of its answer.
        status: The HTTP status; None if no usable answer came.
        request_id: The `Request-Id` of the answer.
        error: The name of the exception; None if an answer came.
    """

    call: int
    method: str
    path: str
    attempt: int
    duration: float
    status: int | None = None
    request_id: str | None = None
    error: str | None = None


class RetryInfo(Struct, frozen=True, kw_only=True):
    """A request that failed and will be repeated.

    Attributes:
        call: The number of the call in this process.
        method: The HTTP method.
        path: The path with placeholders for its ids.
        attempt: The number of the failed request within its call, from 1 on.
        pause: Seconds until the next request.
        status: The HTTP status of its answer; None if no usable answer came.
        request_id: The `Request-Id` of the answer.
        error: The name of the exception; None if an answer came.
    """

    call: int
    method: str
    path: str
    attempt: int
    pause: float
    status: int | None = None
    request_id: str | None = None
    error: str | None = None


class WaitInfo(Struct, frozen=True, kw_only=True):
    """A request that had to wait for its turn: for a free slot, or for the rate limit.

    Attributes:
        call: The number of the call in this process.
        method: The HTTP method.
        path: The path with placeholders for its ids.
        duration: Seconds that it waited. In a fan-out, with the time in which its deadline had not
            begun yet.
    """

    call: int
    method: str
    path: str
    duration: float


class DeliveryInfo(Struct, frozen=True, kw_only=True):
    """A delivery that came to a router, and was verified.

    Attributes:
        delivery: The number of the delivery in this process, which its other reports have too.
        event_id: The id of its event; None if the delivery is refused.
        event_type: The type of its event; None if the delivery is refused.
    """

    delivery: int
    event_id: str | None = None
    event_type: str | None = None


class ReceiptInfo(Struct, frozen=True, kw_only=True):
    """How a delivery ended.

    Attributes:
        delivery: The number of the delivery in this process.
        event_id: The id of its event; None if the delivery was refused.
        event_type: The type of its event; None if the delivery was refused.
        duration: Seconds from its verification to its end.
        ending: The result, as `pinstripe.webhooks.Receipt.ending` has it; None if there is none.
        error: The name of the exception that ended the delivery without a result, such as that of
            a cancellation.
    """

    delivery: int
    event_id: str | None = None
    event_type: str | None = None
    duration: float
    ending: str | None = None
    error: str | None = None


class HandlerInfo(Struct, frozen=True, kw_only=True):
    """A handler of a router that is about to be called.

    Attributes:
        delivery: The number of the delivery in this process. A call of `Router.dispatch` has a
            number too, and no other reports.
        event_id: The id of the event.
        event_type: The type of the event.
        handler: The module and the name of the handler.
    """

    delivery: int
    event_id: str
    event_type: str
    handler: str


class HandledInfo(Struct, frozen=True, kw_only=True):
    """How a handler of a router ended.

    Attributes:
        delivery: The number of the delivery in this process. A call of `Router.dispatch` has a
            number too, and no other reports.
        event_id: The id of the event.
        event_type: The type of the event.
        handler: The module and the name of the handler.
        duration: Seconds from its call to its end.
        error: The name of the exception that it raised; None if it returned.
    """

    delivery: int
    event_id: str
    event_type: str
    handler: str
    duration: float
    error: str | None = None


# The module that users import them from; see the end of `options`.
for _class in (
    *(CallInfo, ResultInfo, RequestInfo, ResponseInfo, RetryInfo, WaitInfo),
    *(DeliveryInfo, ReceiptInfo, HandlerInfo, HandledInfo),
):
    _class.__module__ = "pinstripe"
