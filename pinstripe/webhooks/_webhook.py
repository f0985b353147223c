"""Webhook deliveries: from the bytes of a request and its signature to a typed event.

Nothing here does I/O. A web framework hands over the body and the signature header, and gets an
event or one of two errors. The payload holds personal data, so neither the errors nor the frames
in their tracebacks contain it.

An event keeps what was delivered, for `delivery_of`: fields that are newer than the models are in
the raw body only. As with the answers of calls, neither a copy nor a pickle of the event has it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Literal, NoReturn, TypeAlias, cast

import msgspec
from attrs import field, frozen
from multidict import CIMultiDict

from pinstripe._concurrency.wakers import is_anything_awaited, wake
from pinstripe._core.errors import ConfigurationError, DecodeError, PinstripeError
from pinstripe._core.tracebacks import hide_every_frame, hide_frames
from pinstripe._core.values import Unpicklable, Value
from pinstripe._models.convert import decode, read, to_dict
from pinstripe._models.misfits import MISFITS
from pinstripe._models.record import Private, Record, attach_response, model
from pinstripe._signature import (
    DEFAULT_MAX_BYTES,
    DEFAULT_TOLERANCE,
    check_settings,
    sign,
    verify,
)
from pinstripe.events import Event, ThinEvent

Received: TypeAlias = Event | ThinEvent
"""The event of a delivery. The settings of the endpoint decide which of the two it receives."""


SIGNATURE: Final = "Stripe-Signature"
"""The header with the signature of a delivery."""


@model
class DeliveredEvent(Event):
    """An event that says so itself, as each one in a payload must; it becomes one of its type."""

    object: Literal["event"]  # pyright: ignore[reportGeneralTypeIssues] -- it must be there

    def __post_init__(self) -> None:
        event: Any = self
        msgspec.structs.force_setattr(event, "__class__", Event)
        Event.__post_init__(self)


@model
class Payload(Record):
    """The field of a payload that says which class the whole of it is of."""

    object: str | None = None


@model
class Message(Payload):
    """The fields in which a message of Amazon EventBridge or Azure Event Grid carries an event."""

    detail: Private[Any] = None
    data: Private[Any] = None


@frozen(eq=False, repr=False)
class Delivery(Value, Unpicklable):
    """What was delivered; it is returned by `delivery_of`.

    Attributes:
        body: The raw body, or the payload that `parse_event` was given, as JSON.
        headers: The headers, as far as the router or the webhook was given them; a name is found
            in upper and lower case.
    """

    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


# The values of `object` in the two kinds of events.
_EVENTS: Final[dict[str, type[Event | ThinEvent]]] = {
    "event": Event,
    "v2.core.event": ThinEvent,
}


def _as_tuple(secrets: Any) -> Any:
    # Only lists: what is wrong is left as it is, for `check_settings` to refuse by its name.
    return tuple(cast("list[Any]", secrets)) if isinstance(secrets, list) else secrets


@frozen
class Webhook:
    """An endpoint that receives events.

        webhook = Webhook(os.environ["STRIPE_WEBHOOK_SECRET"])
        event = webhook.parse(body, headers.get("Stripe-Signature"))

    https://docs.stripe.com/webhooks

    Attributes:
        secrets: The secret of the endpoint (`whsec_...`), or several while one replaces another.
        tolerance: Seconds by which a signature may be older or newer than the clock; 300 by
            default.
        max_bytes: How many bytes a body may have; 256 KiB by default.
        clock: Returns the time, in seconds since the Unix epoch.

    Raises:
        ConfigurationError: An argument is wrong.
    """

    secrets: str | Sequence[str] = field(repr=False, converter=_as_tuple)
    tolerance: float = field(default=DEFAULT_TOLERANCE, kw_only=True)
    max_bytes: int = field(default=DEFAULT_MAX_BYTES, kw_only=True)
    clock: Callable[[], float] = field(default=time.time, kw_only=True, repr=False)

    def __attrs_post_init__(self) -> None:
        check_settings(self.secrets, self.tolerance, self.max_bytes)
        if not callable(self.clock):
            raise ConfigurationError("clock", "must be a function that returns the time")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Webhook cannot be pickled: it holds the secrets of an endpoint")

    def parse(
        self, body: bytes, signature: str | None, *, headers: Mapping[str, str] | None = None
    ) -> Received:
        """Verify a delivery, and return its event.

        The event is of the class for its type, or a plain `Event` if no class is for that type;
        see `pinstripe.events`.

        Args:
            body: The body of the request exactly as it came: bytes, neither decoded nor parsed.
            signature: The `Stripe-Signature` header; None if the request has none.
            headers: All headers of the request, for `delivery_of`.

        Raises:
            SignatureError: The delivery cannot be trusted; `reason` says which check refused it.
            DecodeError: The signature is right, but the body is not an event.
            ConfigurationError: The body is not bytes, or the signature not text.
        """
        result: Received | PinstripeError
        try:
            self.verify(body, signature)
            result = _read(body)
            known = {SIGNATURE: signature or ""} if headers is None else headers
            attach_response(Delivery(body, CIMultiDict(known)), result)
        except PinstripeError as error:
            result = error.with_traceback(None)
        # The error is raised here, after the payload is gone: its traceback has this frame only.
        del body, signature, headers
        if isinstance(result, PinstripeError):
            raise result
        return result

    def verify(self, body: bytes, signature: str | None) -> int:
        """Verify a delivery, and return which of the secrets signed it.

        Args:
            body: As for `parse`.
            signature: As for `parse`.

        Returns:
            The index of the secret. While one secret replaces another, it shows when the old one
            is no longer used.

        Raises:
            SignatureError: The delivery cannot be trusted; `reason` says which check refused it.
            ConfigurationError: The body is not bytes, or the signature not text.
        """
        return verify(
            body,
            signature,
            self.secrets,
            now=self.clock(),
            tolerance=self.tolerance,
            max_bytes=self.max_bytes,
        )

    def sign(self, body: bytes) -> str:
        """Return the `Stripe-Signature` header of a delivery that is made now; for tests.

        Args:
            body: The body of the request.
        """
        return sign(body, self.secrets, int(self.clock()))


# attrs writes this method, whose frame holds the secrets.
Webhook.__init__ = hide_every_frame(Webhook.__init__)  # type: ignore[method-assign]


@hide_frames
def parse_event(payload: bytes | str | Mapping[str, Any]) -> Received:
    """Return the event of a payload that has no signature, such as a message of a queue.

    It checks nothing about who wrote the payload. So it is safe only for what comes from a place
    of your own that nobody else can write to: a queue that your endpoint fills after
    `Webhook.parse`, an Amazon EventBridge bus or an Azure Event Grid topic that Stripe sends to.
    It is never safe for the body of an HTTP request, which anybody can send: use `Webhook.parse`.

    Of a message of EventBridge or Event Grid the whole may be given, or its `detail` or `data`
    alone. Then `await router.dispatch(event)` runs the handlers.

    https://docs.stripe.com/event-destinations

    Args:
        payload: The event, or the message that carries it: JSON, or what was read from it.

    Raises:
        DecodeError: It is not an event, nor a message that carries one.
        ConfigurationError: It is neither JSON nor a mapping of plain data.
    """
    body = _as_json(payload)
    event = _read(_unwrapped(body))
    attach_response(Delivery(body, CIMultiDict[str]()), event)
    return event


def delivery_of(event: Received) -> Delivery:
    """Return what an event was read from, with the fields that are newer than its class.

        json.loads(delivery_of(event).body)["data"]["object"]["brand_new_field"]

    Args:
        event: An event that a webhook, a router or `parse_event` has read.

    Raises:
        ConfigurationError: It was made by hand, is a copy, or comes from a call; for what a call
            returned see `pinstripe.response_of`.
    """
    delivery: object = getattr(event, "_response", None)
    if not isinstance(delivery, Delivery):
        raise ConfigurationError("event", "was not itself delivered; see pinstripe.response_of")
    return delivery


def object_of(event: Event) -> Any:
    """Return the object of an event as plain data, with the fields that are newer than its model.

    Args:
        event: The event.
    """
    found: Any = event.data.object
    if isinstance(found, dict):
        return cast("dict[str, Any]", found)
    delivery: object = getattr(event, "_response", None)
    if isinstance(delivery, Delivery):
        return msgspec.json.decode(_unwrapped(delivery.body))["data"]["object"]
    return to_dict(found)


def _read(body: bytes) -> Received:
    # Nearly every payload is such an event. To look at its field `object` first would be to go
    # through all of it twice.
    with suppress(*MISFITS):
        return read(body, DeliveredEvent)
    kind = _EVENTS.get(decode(body, Payload).object or "")
    if kind is None:
        problem = DecodeError("not an event: expected `event` or `v2.core.event` at $.object")
        problem.path = "$.object"
        raise problem
    return decode(body, kind)


def _unwrapped(body: bytes) -> bytes:
    """Return the event inside the message of a bus; any other payload as it is."""
    message = decode(body, Message)
    if message.object in _EVENTS:
        return body
    inside = message.detail or message.data
    return msgspec.json.encode(inside) if inside else body


def _as_json(payload: Any) -> bytes:
    """Return a payload as bytes of JSON."""
    with suppress(TypeError, ValueError, RecursionError):
        if isinstance(payload, bytes):
            return payload
        if isinstance(payload, str):
            return payload.encode()
        if isinstance(payload, Mapping):
            return msgspec.json.encode(payload)
    raise ConfigurationError(
        "payload", "must be JSON, as bytes or text, or a mapping of plain data"
    )


def subject_of(event: Received) -> str | None:
    """Return the id of the object that an event is about; None if it has none.

    Args:
        event: The event.
    """
    if isinstance(event, ThinEvent):
        return None if event.related_object is None else event.related_object.id
    # Events of types without a class of their own have plain data, of which anything may be.
    object = event.data.object
    id = object.get("id") if isinstance(object, dict) else object.id
    return id if isinstance(id, str) else None


def wake_waits(event: Received) -> None:
    """Let the waits of clients of this process look at the object of an event.

    Args:
        event: The event, verified or passed on by code that trusts it.
    """
    subject = subject_of(event) if is_anything_awaited() else None
    if subject is not None:
        wake(subject)
