"""Events: what happened to the objects of an account, for 30 days.

https://docs.stripe.com/api/events

`event.data.object` is the model of its kind, told by its `object` field. It is plain data where
the kind has no model here, and where it does not fit its model: an event shows its object as the
version of the API that was in use then had it, and an event that could not be read would end
every walk over the log.

msgspec builds one class a field, unless a tag of its own tells which. So the decoder gives plain
data, and `EventData` puts in its place what the converter makes of it for the class of its kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import msgspec

from pinstripe._config import RequestOptions
from pinstripe._convert import structure
from pinstripe._endpoint import Endpoint, Page
from pinstripe._errors import ConfigurationError, DecodeError
from pinstripe._model import Listed, Model, Private, Record, model
from pinstripe._pager import Pager
from pinstripe._resource import Resource
from pinstripe._walk import Created, Paging
from pinstripe._wire import check_texts
from pinstripe.climate import Order, Product
from pinstripe.crypto import OnrampSession
from pinstripe.files import File
from pinstripe.identity import VerificationSession

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

if TYPE_CHECKING:
    EventObject: TypeAlias = (
        VerificationSession | OnrampSession | Order | Product | File | dict[str, Any]
    )
    """The object of an event: a model, or plain data."""
else:
    EventObject: TypeAlias = Any

_MODELS: Mapping[str, type[Model]] = {
    "climate.order": Order,
    "climate.product": Product,
    "crypto.onramp_session": OnrampSession,
    "file": File,
    "identity.verification_session": VerificationSession,
}

_MAX_TYPES = 20


@model
class EventData(Record):
    """What an event is about.

    Attributes:
        object: The object as it was when the event happened, without what `expand` would show.
        previous_attributes: What an update replaced, by name of the field.
    """

    object: Private[EventObject]
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


@model
class Event(Listed):
    """Something that happened to an object.

    https://docs.stripe.com/api/events/object

    Attributes:
        account: The connected account whose event it is.
        api_version: The version of the API that `data` is written in; it never changes.
        context: The account, as the `Stripe-Context` header takes it.
        pending_webhooks: To how many webhook endpoints it is still to be delivered.
    """

    id: str
    object: Literal["event"] = "event"
    account: str | None = None
    api_version: str | None = None
    context: str | None = None
    created: datetime
    data: EventData
    livemode: bool
    pending_webhooks: int
    request: EventRequest | None = None
    type: EventType


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
