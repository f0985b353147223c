"""Events: the log of changes to the objects of an account, for 30 days.

Read the log if deliveries to a webhook were lost, or if you do not run a webhook. A walk with
`ending_before` returns the events since the last one that you have seen, oldest first.

```python
import asyncio
import pinstripe
from pinstripe.events import VerificationSessionVerified


async def main() -> None:
    async with pinstripe.AsyncClient() as stripe:
        async for event in stripe.events.list(type="identity.*", max_items=50):
            match event:
                case VerificationSessionVerified():
                    print(event.data.object.client_reference_id)
                case _:
                    print(event.type, event.id)


asyncio.run(main())
```

`event.data.object` is the model of its kind, such as `VerificationSession`. An event keeps the
version of the API that it was written in, so its object may not fit the model. It is plain data
then, and if its kind has no model here: one event that cannot be read must not end every walk over
the log.

An event of a type that is known here has a class of its own, in the log and in a delivery, so that
`match` narrows it. An event of another type, or whose object does not fit, is a plain `Event`.

https://docs.stripe.com/api/events
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    NamedTuple,
    Protocol,
    TypeAlias,
    TypeVar,
    cast,
    get_args,
    get_type_hints,
)

import msgspec
from attrs import evolve

from pinstripe._config.options import RequestOptions
from pinstripe._core.checks import check_id, check_texts, kind_of
from pinstripe._core.errors import ConfigurationError, DecodeError
from pinstripe._http.messages import Request, Response, Sender
from pinstripe._models.convert import structure
from pinstripe._models.page import Page
from pinstripe._models.record import Listed, Model, Private, Record, model
from pinstripe._resources.endpoint import Endpoint
from pinstripe._resources.pager import Pager
from pinstripe._resources.resource import Resource
from pinstripe._resources.walk import Created, Paging
from pinstripe.climate import Order, Orders, Product, Products
from pinstripe.crypto import OnrampSession, OnrampSessions
from pinstripe.files import File, Files
from pinstripe.identity import VerificationSession, VerificationSessions
from pinstripe.v2 import (
    EventDestination,
    EventDestinations,
    EventRequest,
    RelatedObject,
    ThinEvent,
    ThinEventReason,
)

# How an event becomes typed. msgspec decides by one tag which class to build, and an unknown tag
# is an error to it, while both the kind of the object and the type of the event are open. So it
# happens in two steps, right after msgspec has filled in the fields:
#
# 1. `EventData.__post_init__` finds the model by the `object` field of the plain data, and puts
#    the model in place of the data, if the data fit it.
# 2. `Event.__post_init__` finds the class by the `type` of the event, and changes the class of the
#    event to it. Its subclasses add no field, so their layout in memory is the same. It does so
#    only if step 1 made the model that the class promises.
#
# To decode the bytes a second time with the right classes would take half as long again.

EventType: TypeAlias = (
    Literal[
        "climate.order.canceled",
        "climate.order.created",
        "climate.order.delayed",
        "climate.order.delivered",
        "climate.order.product_substituted",
        "climate.product.created",
        "climate.product.pricing_updated",
        "crypto.onramp_session.updated",
        "crypto.onramp_session_updated",
        "file.created",
        "identity.verification_session.canceled",
        "identity.verification_session.created",
        "identity.verification_session.processing",
        "identity.verification_session.redacted",
        "identity.verification_session.requires_input",
        "identity.verification_session.verified",
    ]
    | str
)
"""The type of an event; these are the types whose objects have a model here."""

RelatedModel: TypeAlias = (
    VerificationSession | OnrampSession | Order | Product | File | EventDestination
)
"""The models of the objects of events; the last one is that of thin events only."""

if TYPE_CHECKING:
    EventObject: TypeAlias = (
        VerificationSession | OnrampSession | Order | Product | File | dict[str, Any]
    )
    """The object of an event: a model, or plain data."""
else:
    EventObject: TypeAlias = Any

__all__ = [
    "Event",
    "EventData",
    "EventOf",
    "EventRequest",
    "EventType",
    "Events",
    "FileCreated",
    "OnrampSessionUpdated",
    "OrderCanceled",
    "OrderCreated",
    "OrderDelayed",
    "OrderDelivered",
    "OrderProductSubstituted",
    "ProductCreated",
    "ProductPricingUpdated",
    "RelatedModel",
    "RelatedObject",
    "ThinEvent",
    "ThinEventReason",
    "TypedEvent",
    "VerificationSessionCanceled",
    "VerificationSessionCreated",
    "VerificationSessionProcessing",
    "VerificationSessionRedacted",
    "VerificationSessionRequiresInput",
    "VerificationSessionVerified",
    "event_class",
]


class _Retrievable(Protocol):
    """A resource whose objects have events; those of version 1 also take `expand`."""

    def __init__(self, send: Sender) -> None: ...

    async def retrieve(
        self, id: str, /, *, request_options: RequestOptions | None = None
    ) -> RelatedModel: ...


# The models and resources by the `object` field of an object.
_MODELS: Mapping[str, type[Model]] = {
    "climate.order": Order,
    "climate.product": Product,
    "crypto.onramp_session": OnrampSession,
    "file": File,
    "identity.verification_session": VerificationSession,
}

_RESOURCES: Mapping[str, type[_Retrievable]] = {
    "climate.order": Orders,
    "climate.product": Products,
    "crypto.onramp_session": OnrampSessions,
    "file": Files,
    "identity.verification_session": VerificationSessions,
    "v2.core.event_destination": EventDestinations,
}

# https://docs.stripe.com/api/events/list
_MAX_TYPES = 20

_T_co = TypeVar("_T_co", covariant=True)


@model
class EventData(Record, Generic[_T_co]):
    """The object of an event.

    Attributes:
        object: The object as it was when the event happened; nothing in it is expanded.
        previous_attributes: The values before an update, by the name of the field.
    """

    object: Private[_T_co]
    previous_attributes: Private[dict[str, Any] | None] = None

    def __post_init__(self) -> None:
        data: Any = self.object
        if not isinstance(data, dict):
            return
        kind = cast("dict[str, Any]", data).get("object")
        found = _MODELS.get(kind) if isinstance(kind, str) else None
        if found is None:
            return
        try:
            fitting = structure(data, found)
        except DecodeError:
            return  # they were written in another version of the API, and stay as they are
        event_data: Any = self
        msgspec.structs.force_setattr(event_data, "object", fitting)


if TYPE_CHECKING:
    _Request: TypeAlias = EventRequest
else:
    _Request: TypeAlias = EventRequest | str


@model
class Event(Listed):
    """Something that happened to an object.

    https://docs.stripe.com/api/events/object

    Attributes:
        account: The connected account that the event belongs to.
        api_version: The version of the API that `data` is written in; it never changes.
        context: The account, as the `Stripe-Context` header takes it.
        livemode: Whether it happened in live mode; None if the event does not say.
        pending_webhooks: How many webhook endpoints have not received it yet; None if the event
            does not say.
        request: The request that caused it.
    """

    id: str
    object: Literal["event"] = "event"
    account: str | None = None
    api_version: str | None = None
    context: str | None = None
    created: datetime
    data: EventData[EventObject]
    livemode: bool | None = None
    pending_webhooks: int | None = None
    request: _Request | None = None
    type: EventType

    def __post_init__(self) -> None:
        found = _typed_events().get(self.type) if type(self) is Event else None
        if found is not None and isinstance(self.data.object, found.kind):
            laid_out: Any = self
            msgspec.structs.force_setattr(laid_out, "__class__", found.event)
        # Before the version 2017-05-25 of the API the request was its id alone.
        request: Any = self.request
        if isinstance(request, str):
            event: Any = self
            msgspec.structs.force_setattr(event, "request", EventRequest(id=request))


@model
class EventOf(Event, Generic[_T_co]):
    """An event whose object is of a class of yours: `router.on(type, into=Class)` asks for it.

    Attributes:
        data: The object, and what it was before an update.
    """

    data: EventData[_T_co]  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues] -- any class, where `Event` has those of this package


@model
class VerificationSessionCreated(Event):
    """A verification session was created."""

    data: EventData[VerificationSession]
    type: Literal["identity.verification_session.created"]


@model
class VerificationSessionProcessing(Event):
    """The person has submitted everything, and it is being checked."""

    data: EventData[VerificationSession]
    type: Literal["identity.verification_session.processing"]


@model
class VerificationSessionRequiresInput(Event):
    """A check failed; see `last_error` of the session. The person may try again."""

    data: EventData[VerificationSession]
    type: Literal["identity.verification_session.requires_input"]


@model
class VerificationSessionVerified(Event):
    """Every check passed."""

    data: EventData[VerificationSession]
    type: Literal["identity.verification_session.verified"]


@model
class VerificationSessionCanceled(Event):
    """A verification session was canceled."""

    data: EventData[VerificationSession]
    type: Literal["identity.verification_session.canceled"]


@model
class VerificationSessionRedacted(Event):
    """The data that a verification session collected were removed."""

    data: EventData[VerificationSession]
    type: Literal["identity.verification_session.redacted"]


@model
class OrderCreated(Event):
    """An order of carbon removal was placed."""

    data: EventData[Order]
    type: Literal["climate.order.created"]


@model
class OrderCanceled(Event):
    """An order was canceled."""

    data: EventData[Order]
    type: Literal["climate.order.canceled"]


@model
class OrderDelayed(Event):
    """An order will be delivered later than expected."""

    data: EventData[Order]
    type: Literal["climate.order.delayed"]


@model
class OrderDelivered(Event):
    """An order was delivered."""

    data: EventData[Order]
    type: Literal["climate.order.delivered"]


@model
class OrderProductSubstituted(Event):
    """The product of an order was replaced by another one."""

    data: EventData[Order]
    type: Literal["climate.order.product_substituted"]


@model
class ProductCreated(Event):
    """A new product of carbon removal can be ordered."""

    data: EventData[Product]
    type: Literal["climate.product.created"]


@model
class ProductPricingUpdated(Event):
    """The prices or the available tons of a product changed."""

    data: EventData[Product]
    type: Literal["climate.product.pricing_updated"]


@model
class OnrampSessionUpdated(Event):
    """The status of an onramp session changed; both spellings of the type occur."""

    data: EventData[OnrampSession]
    type: Literal["crypto.onramp_session.updated", "crypto.onramp_session_updated"]


@model
class FileCreated(Event):
    """The API made a file."""

    data: EventData[File]
    type: Literal["file.created"]


TypedEvent: TypeAlias = (
    VerificationSessionCreated
    | VerificationSessionProcessing
    | VerificationSessionRequiresInput
    | VerificationSessionVerified
    | VerificationSessionCanceled
    | VerificationSessionRedacted
    | OrderCreated
    | OrderCanceled
    | OrderDelayed
    | OrderDelivered
    | OrderProductSubstituted
    | ProductCreated
    | ProductPricingUpdated
    | OnrampSessionUpdated
    | FileCreated
)
"""An event whose type is known here; use `match`, or compare its `type`."""


class _Typed(NamedTuple):
    """The class of a type of events, and the model of their object."""

    event: type[Event]
    kind: type[Model]


@cache
def _typed_events() -> Mapping[str, _Typed]:
    found: dict[str, _Typed] = {}
    for event in get_args(TypedEvent):
        hints = get_type_hints(event)
        (kind,) = get_args(hints["data"])
        found |= {name: _Typed(event, kind) for name in get_args(hints["type"])}
    return found


def event_class(type: str) -> type[Event]:
    """Return the class of the events of a type; `Event` if the type has no class of its own.

    Args:
        type: The type, such as `"file.created"`.
    """
    found = _typed_events().get(type)
    return Event if found is None else found.event


class Events(Resource):
    """Calls on events.

    https://docs.stripe.com/api/events
    """

    _RETRIEVE = Endpoint("GET", "/v1/events/{id}", Event)
    _LIST = Endpoint("GET", "/v1/events", Page[Event])

    async def retrieve(
        self,
        id: str,
        *,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> Event:
        """Return an event of the last 30 days.

        https://docs.stripe.com/api/events/retrieve

        Args:
            id: Its id (`evt_...`).
            expand: Fields to expand.
            request_options: Options of this call.

        Raises:
            NotFoundError: The event does not exist, or is older than 30 days.
        """
        return await self._call(self._RETRIEVE, {"expand": expand}, request_options, id=id)

    async def fetch_related(
        self,
        event: ThinEvent,
        *,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> RelatedModel:
        """Return the object of a thin event, as it is now.

        It is retrieved by its id; the URL in the event is not followed. The call acts for the
        `context` of the event, and names the event in its `Stripe-Request-Trigger`.

        https://docs.stripe.com/event-destinations

        Args:
            event: The event.
            expand: Fields to expand; an object of `/v2` has none.
            request_options: Options of this call; an `account` or a `context` replaces that of the
                event.

        Raises:
            ConfigurationError: The event has no object, or its object has no model here.
            NotFoundError: The object does not exist any more.
        """
        if not isinstance(event, ThinEvent):
            raise ConfigurationError("event", f"must be a ThinEvent, not {kind_of(event)}")
        related = event.related_object
        resource = _RESOURCES.get(related.type) if related is not None else None
        if related is None or related.id is None or resource is None:
            problem = "has no object that has a model here; use AsyncClient.request"
            raise ConfigurationError("event", problem)
        if expand is not None and resource is EventDestinations:
            raise ConfigurationError("expand", "cannot be used with an object of /v2")
        calls: Any = resource(_triggered(self._send, check_id("event", event.id)))
        given: dict[str, Any] = {} if expand is None else {"expand": expand}
        options = _acting_for(event, request_options)
        found: RelatedModel = await calls.retrieve(related.id, **given, request_options=options)
        return found

    def list(
        self,
        *,
        created: Created | datetime | None = None,
        delivery_success: bool | None = None,
        type: EventType | None = None,
        types: Sequence[EventType] | None = None,
        limit: int | None = None,
        max_items: int | None = None,
        starting_after: str | None = None,
        ending_before: str | None = None,
        cursor: str | None = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> Pager[Event]:
        """List the events of the last 30 days, newest first.

        A walk over `list(ending_before=last_seen)` returns the later events, oldest first.

        https://docs.stripe.com/api/events/list

        Args:
            created: Only those that happened in this range, or in this second.
            delivery_success: True for events that every webhook endpoint has accepted; False for
                events that at least one endpoint has not accepted, so far or at all.
            type: Only events of this type; `*` stands for any part of it, as in `"climate.*"`.
            types: Only events of these types, 20 at most; in place of `type`.
            limit: Objects in a page, 1 to 100; 100 by default.
            max_items: Objects in the whole walk, at most.
            starting_after: The id after which the walk starts.
            ending_before: The id before which the walk starts; it goes back to newer objects.
            cursor: Where an earlier walk stopped, from `Pager.cursor`.
            expand: Fields to expand, with the prefix `data.`.
            request_options: Options of each call.

        Returns:
            A pager: iterate it with `async for`, or await it for the first page.
        """
        check_texts("types", types)
        if types is not None:
            if type is not None:
                raise ConfigurationError("types", "cannot be used together with type")
            if len(types) > _MAX_TYPES:
                problem = f"has {len(types)} types; {_MAX_TYPES} are allowed"
                raise ConfigurationError("types", problem)
        params = {
            "created": created,
            "delivery_success": delivery_success,
            "type": type,
            "types": types,
            "expand": expand,
        }
        paging = Paging(limit, max_items, starting_after, ending_before, cursor)
        return self._list(self._LIST, params, paging, request_options)


def _triggered(send: Sender, event: str) -> Sender:
    """Return a sender whose requests name the event for which they are made."""

    async def send_triggered(request: Request) -> Response:
        headers = {**request.headers, "Stripe-Request-Trigger": f"event={event}"}
        return await send(evolve(request, headers=headers))

    return send_triggered


def _acting_for(event: ThinEvent, options: RequestOptions | None) -> RequestOptions | None:
    """Return options with the context of an event, unless they say for whom to act."""
    given = RequestOptions() if options is None else options
    # What is no RequestOptions is refused by the call.
    is_settled = not isinstance(given, RequestOptions) or given.account or given.context
    if event.context is None or is_settled:
        return options
    try:
        return evolve(given, context=event.context)
    except ConfigurationError:
        problem = "has a context that is no path of accounts; pass the account as request_options"
    raise ConfigurationError("event", problem)
