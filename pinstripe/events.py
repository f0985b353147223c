"""Events: what happened to the objects of an account, for 30 days.

https://docs.stripe.com/api/events

`event.data.object` is the model of its kind, told by its `object` field. It is plain data where
the kind has no model here, and where it does not fit its model: an event shows its object as the
version of the API that was in use then had it, and an event that could not be read would end
every walk over the log.

An event of a type that is known here is of the class of that type, in the log and in a delivery
alike, so that `match` narrows it; every one is an `Event`. Its class promises the model of its
object: an event whose object does not fit is a plain `Event`, as is one of an unknown type.

msgspec builds one class a field, unless a tag of its own tells which, and a tag that it does not
know is an error to it. So the decoder gives an `Event` with plain data; `EventData` puts in the
place of that what the converter makes of it for the class of its kind, and the event then takes
the class of its type, which lays out the same fields. Reading it twice would cost half as much
again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import (
    TYPE_CHECKING,
    Annotated,
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

from pinstripe._config.options import RequestOptions
from pinstripe._core.checks import check_texts
from pinstripe._core.errors import ConfigurationError, DecodeError
from pinstripe._http.messages import Sender
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

EventType = (
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
"""What happened; these are the types of the resources that have a model here."""

RelatedModel: TypeAlias = VerificationSession | OnrampSession | Order | Product | File
"""The models of what events tell of."""

if TYPE_CHECKING:
    EventObject: TypeAlias = RelatedModel | dict[str, Any]
    """The object of an event: a model, or plain data."""
else:
    EventObject: TypeAlias = Any


class _Retrievable(Protocol):
    """A resource whose objects events tell of."""

    def __init__(self, send: Sender) -> None: ...

    async def retrieve(
        self,
        id: str,
        /,
        *,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> RelatedModel: ...


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
}

_MAX_TYPES = 20

_T_co = TypeVar("_T_co", covariant=True)


@model
class EventData(Record, Generic[_T_co]):
    """What an event is about.

    Attributes:
        object: The object as it was when the event happened, without what `expand` would show.
        previous_attributes: What an update replaced, by name of the field.
    """

    object: Private[_T_co]
    previous_attributes: Private[dict[str, Any] | None] = None

    def __post_init__(self) -> None:
        data: Any = self.object
        if isinstance(data, dict):
            laid_out: Any = self
            msgspec.structs.force_setattr(laid_out, "object", _typed(cast("dict[str, Any]", data)))


def _typed(data: dict[str, Any]) -> Any:
    kind = data.get("object")
    found = _MODELS.get(kind) if isinstance(kind, str) else None
    if found is None:
        return data
    try:
        return structure(data, found)
    except DecodeError:
        return data


@model
class EventRequest(Record):
    """The request that caused an event; its id is None where no request to the API did."""

    id: str | None = None
    idempotency_key: str | None = None


if TYPE_CHECKING:
    _Request: TypeAlias = EventRequest
else:
    _Request: TypeAlias = EventRequest | str


@model
class Event(Listed):
    """Something that happened to an object.

    https://docs.stripe.com/api/events/object

    Attributes:
        account: The connected account whose event it is.
        api_version: The version of the API that `data` is written in; it never changes.
        context: The account, as the `Stripe-Context` header takes it.
        livemode: Whether it happened in live mode; None if the event does not say.
        pending_webhooks: To how many webhook endpoints it is still to be delivered; None if the
            event does not say.
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
class VerificationSessionCreated(Event):
    """A verification session was created."""

    data: EventData[VerificationSession]
    type: Literal["identity.verification_session.created"]


@model
class VerificationSessionProcessing(Event):
    """The person has submitted what was asked for, and it is being checked."""

    data: EventData[VerificationSession]
    type: Literal["identity.verification_session.processing"]


@model
class VerificationSessionRequiresInput(Event):
    """A check failed; `last_error` of the session says why, and the person may try again."""

    data: EventData[VerificationSession]
    type: Literal["identity.verification_session.requires_input"]


@model
class VerificationSessionVerified(Event):
    """Every check passed."""

    data: EventData[VerificationSession]
    type: Literal["identity.verification_session.verified"]


@model
class VerificationSessionCanceled(Event):
    """A verification session was canceled, and ends so."""

    data: EventData[VerificationSession]
    type: Literal["identity.verification_session.canceled"]


@model
class VerificationSessionRedacted(Event):
    """What was collected in a verification session has been removed."""

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
    """Another product took the place of the ordered one."""

    data: EventData[Order]
    type: Literal["climate.order.product_substituted"]


@model
class ProductCreated(Event):
    """A product of carbon removal came to the shelf."""

    data: EventData[Product]
    type: Literal["climate.product.created"]


@model
class ProductPricingUpdated(Event):
    """The prices of a product changed, or how much of it there is."""

    data: EventData[Product]
    type: Literal["climate.product.pricing_updated"]


@model
class OnrampSessionUpdated(Event):
    """The status of an onramp session changed; both spellings of the type are in use."""

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
"""An event whose type is known here: told apart by `match`, or by its `type`."""


class _Typed(NamedTuple):
    """The class of a type of events, and the model of what they are about."""

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


@model
class RelatedObject(Record):
    """The object that a thin event is about.

    Attributes:
        id: Its id; None if there is only one, as of the settings of an account.
        url: The path of the API where it stands.
    """

    id: str | None = None
    type: str
    url: str


@model
class ThinEventReason(Record):
    """What caused a thin event.

    Attributes:
        type: What it was, such as `"request"`.
        request: The request to the API, if it was one.
    """

    type: str
    request: EventRequest | None = None


@model
class ThinEvent(Model):
    """An event that says what changed, but not how: it is fetched with `fetch_related`.

    https://docs.stripe.com/event-destinations

    Attributes:
        changes: The values before and after the event, by name of the field, if it has them.
        context: The account whose event it is, as the `Stripe-Context` header takes it.
        data: What a few types say beyond that, as plain data.
        livemode: Whether it happened in live mode; None if the event does not say.
        reason: What caused it; None if the event does not say.
        related_object: What it is about; None where that is no object.
        snapshot_event: The id of the event about the same that is not thin, if there is one.
        type: What happened: `v1.` and the type of the event that is not thin.
    """

    id: str
    object: Literal["v2.core.event"] = "v2.core.event"
    changes: Private[dict[str, Any] | None] = None
    context: str | None = None
    created: Annotated[datetime, msgspec.Meta(tz=True)]
    data: Private[dict[str, Any] | None] = None
    livemode: bool | None = None
    reason: ThinEventReason | None = None
    related_object: RelatedObject | None = None
    snapshot_event: str | None = None
    type: str


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
            NotFoundError: There is no such event, or it is over 30 days old.
        """
        return await self._call(self._RETRIEVE, {"expand": expand}, request_options, id=id)

    async def fetch_related(
        self,
        event: ThinEvent,
        *,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> RelatedModel:
        """Return the object that a thin event is about, as it is now.

        It is asked for by its id: the URL in the event is not followed.

        https://docs.stripe.com/event-destinations

        Args:
            event: The event.
            expand: Fields to expand.
            request_options: Options of this call; `account` where the event is that of a
                connected account.

        Raises:
            ConfigurationError: The event is about no object, or about one that has no model here.
            NotFoundError: There is no such object any more.
        """
        related = event.related_object
        resource = _RESOURCES.get(related.type) if related is not None else None
        if related is None or related.id is None or resource is None:
            problem = "is about no object that has a model here; see AsyncClient.request"
            raise ConfigurationError("event", problem)
        calls = resource(self._send)
        return await calls.retrieve(related.id, expand=expand, request_options=request_options)

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

        `async for` over `list(ending_before=last_seen)` gives what has happened since, in the
        order in which it happened.

        https://docs.stripe.com/api/events/list

        Args:
            created: Only those that happened in this range, or at this very second.
            delivery_success: Only those that every webhook endpoint took; with False only those
                that are still to be delivered, or never were, to one at least.
            type: Only those of this type; `*` stands for any part of it, as in `"climate.*"`.
            types: Only those of these types, 20 at most; in place of `type`.
            limit: Objects a page, 1 to 100; 100 by default.
            max_items: Objects the walk gives at most.
            starting_after: The id after which the walk starts.
            ending_before: The id from which the walk goes back, to ever newer objects.
            cursor: Where an earlier walk stood, from `Pager.cursor`.
            expand: Fields to expand, with the prefix `data.`.
            request_options: Options of each call.

        Returns:
            A pager: iterate it with `async for`, or await it for the first page.
        """
        _check_types(type, types)
        params = {
            "created": created,
            "delivery_success": delivery_success,
            "type": type,
            "types": types,
            "expand": expand,
        }
        paging = Paging(limit, max_items, starting_after, ending_before, cursor)
        return self._list(self._LIST, params, paging, request_options)


def _check_types(type: str | None, types: Sequence[str] | None) -> None:
    check_texts("types", types)
    if types is None:
        return
    if type is not None:
        raise ConfigurationError("types", "cannot be used together with type")
    if len(types) > _MAX_TYPES:
        raise ConfigurationError("types", f"names {len(types)} types; {_MAX_TYPES} are allowed")
