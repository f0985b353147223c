"""Version 2 of the API: event destinations, and the log of thin events.

An event destination receives events as a webhook endpoint does, or by Amazon EventBridge or Azure
Event Grid. A *thin* event says what happened to which object, and the object is fetched when it is
needed, as it is then. A *snapshot* event is that of version 1, with a copy of its object.

```python
import asyncio
import pinstripe


async def main() -> None:
    async with pinstripe.AsyncClient() as stripe:
        destination = await stripe.v2.core.event_destinations.create(
            name="ledger",
            type="webhook_endpoint",
            event_payload="thin",
            enabled_events=["v1.climate.order.created"],
            webhook_endpoint={"url": "https://example.com/stripe"},
            include=["webhook_endpoint.signing_secret"],
        )
        assert destination.webhook_endpoint is not None
        print(destination.webhook_endpoint.signing_secret is not None)  # only now: store it
        async for event in stripe.v2.core.events.list(types=["v1.climate.order.created"]):
            print(event.created, await stripe.events.fetch_related(event))


asyncio.run(main())
```

`pinstripe.webhooks.Webhook` verifies the deliveries of both kinds, and a `Router` runs handlers for
them: see `pinstripe.webhooks`.

**Lists.** An answer of `/v2` links to the next page. So a walk goes one way, page by page, and its
`cursor` names a page and an object in it. There is no `starting_after`, `ending_before` or
`parallel`.

**Nothing and null.** An argument that is None is not sent. To remove a key of `metadata`, give it
the value None.

https://docs.stripe.com/api/v2
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from typing_extensions import TypedDict

from pinstripe._config.options import RequestOptions
from pinstripe._core.checks import check_texts
from pinstripe._core.errors import ConfigurationError
from pinstripe._http.messages import Sender
from pinstripe._models.page import LinkedPage
from pinstripe._models.record import Listed, Model, Private, Record, model
from pinstripe._resources.endpoint import Endpoint
from pinstripe._resources.pager import Pager
from pinstripe._resources.resource import Resource
from pinstripe._resources.walk import Created, Paging
from pinstripe.webhook_endpoints import EnabledEvent

__all__ = [
    "V2",
    "AmazonEventbridge",
    "AmazonEventbridgeParams",
    "AzureEventGrid",
    "AzureEventGridParams",
    "Core",
    "CoreEvents",
    "DeletedEventDestination",
    "DestinationDisabled",
    "DestinationEvent",
    "DestinationWebhookEndpoint",
    "DestinationWebhookEndpointParams",
    "EventDestination",
    "EventDestinationType",
    "EventDestinations",
    "EventPayload",
    "EventRequest",
    "EventsFrom",
    "RelatedObject",
    "StatusDetails",
    "ThinEvent",
    "ThinEventReason",
    "ThinEventType",
]

ThinEventType: TypeAlias = (
    Literal[
        "v1.climate.order.canceled",
        "v1.climate.order.created",
        "v1.climate.order.delayed",
        "v1.climate.order.delivered",
        "v1.climate.order.product_substituted",
        "v1.climate.product.created",
        "v1.climate.product.pricing_updated",
        "v1.file.created",
        "v1.identity.verification_session.canceled",
        "v1.identity.verification_session.created",
        "v1.identity.verification_session.processing",
        "v1.identity.verification_session.redacted",
        "v1.identity.verification_session.requires_input",
        "v1.identity.verification_session.verified",
        "v2.core.event_destination.ping",
    ]
    | str
)
"""The type of a thin event; these are the types whose objects have a model here."""

DestinationEvent: TypeAlias = ThinEventType | EnabledEvent
"""A type of events that a destination can ask for: thin ones, or those of version 1."""

EventDestinationType: TypeAlias = (
    Literal["amazon_eventbridge", "azure_event_grid", "webhook_endpoint"] | str
)
"""How a destination is reached."""

EventPayload: TypeAlias = Literal["snapshot", "thin"] | str
"""Whether a destination gets events with a copy of their object, or without."""

EventsFrom: TypeAlias = (
    Literal["@self", "@accounts", "@organization_members", "@organization_members/@accounts"] | str
)
"""Whose events a destination gets: your own, or those of connected accounts or of members."""

_Url: TypeAlias = Literal["webhook_endpoint.url"] | str
_SecretOrUrl: TypeAlias = Literal["webhook_endpoint.signing_secret", "webhook_endpoint.url"] | str
_Time: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]

# https://docs.stripe.com/api/v2/core/events/list
_MAX_TYPES = 20


@model
class EventRequest(Record):
    """The request that caused an event; its id is None if no request to the API did."""

    id: str | None = None
    idempotency_key: str | None = None


@model
class RelatedObject(Record):
    """The object of a thin event.

    Attributes:
        id: Its id; None if there is only one, as of the settings of an account.
        url: The path of the object in the API.
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

    type: Literal["request"] | str
    request: EventRequest | None = None


@model
class ThinEvent(Listed):
    """An event without its object; fetch that with `pinstripe.events.Events.fetch_related`.

    https://docs.stripe.com/api/v2/core/events/object

    A delivery has neither `changes` nor `data` nor `snapshot_event`: `CoreEvents.retrieve` has.

    Attributes:
        changes: The values before and after the event, by name of the field, if it has them.
        context: The account that the event belongs to, as the `Stripe-Context` header takes it.
        data: What a few types say beyond that, as plain data.
        livemode: Whether it happened in live mode; None if the event does not say.
        reason: What caused it; None if the event does not say.
        related_object: The object of the event; None if it has none.
        snapshot_event: The id of the event about the same that is not thin, if there is one.
        type: `v1.` and the type of the event that is not thin, or a type of version 2.
    """

    id: str
    object: Literal["v2.core.event"] = "v2.core.event"
    changes: Private[dict[str, Any] | None] = None
    context: str | None = None
    created: _Time
    data: Private[dict[str, Any] | None] = None
    livemode: bool | None = None
    reason: ThinEventReason | None = None
    related_object: RelatedObject | None = None
    snapshot_event: str | None = None
    type: ThinEventType


@model
class DestinationWebhookEndpoint(Record):
    """The address of a destination; a field is None unless `include` asked for it.

    Attributes:
        signing_secret: The secret that signs deliveries; only the answer of `create` has it.
        url: The address.
    """

    signing_secret: Private[str | None] = None
    url: Private[str | None] = None


@model
class AmazonEventbridge(Record):
    """The event source of a destination at Amazon EventBridge."""

    aws_account_id: str
    aws_event_source_arn: str
    aws_event_source_status: Literal["active", "deleted", "pending", "unknown"] | str


@model
class AzureEventGrid(Record):
    """The partner topic of a destination at Azure Event Grid."""

    azure_partner_topic_name: str
    azure_partner_topic_status: Literal["activated", "deleted", "never_activated", "unknown"] | str
    azure_region: str
    azure_resource_group_name: str
    azure_subscription_id: str


@model
class DestinationDisabled(Record):
    """Why a destination is disabled."""

    reason: Literal["no_aws_event_source_exists", "no_azure_partner_topic_exists", "user"] | str


@model
class StatusDetails(Record):
    """What is known about the status of a destination."""

    disabled: DestinationDisabled | None = None


@model
class EventDestination(Listed):
    """One place to which events are sent.

    https://docs.stripe.com/api/v2/core/event_destinations/object

    Attributes:
        snapshot_api_version: The version that the objects of snapshot events are written in; None
            if it is thin.
        status_details: Why it is disabled; None if it is enabled.
    """

    id: str
    object: Literal["v2.core.event_destination"] = "v2.core.event_destination"
    amazon_eventbridge: AmazonEventbridge | None = None
    azure_event_grid: AzureEventGrid | None = None
    created: _Time
    description: str
    enabled_events: tuple[str, ...]
    event_payload: EventPayload
    events_from: tuple[str, ...] | None = None
    livemode: bool
    metadata: Private[dict[str, str] | None] = None
    name: str
    snapshot_api_version: str | None = None
    status: Literal["disabled", "enabled"] | str
    status_details: StatusDetails | None = None
    type: EventDestinationType
    updated: _Time
    webhook_endpoint: DestinationWebhookEndpoint | None = None


@model
class DeletedEventDestination(Model):
    """The id of a destination that was deleted."""

    id: str
    object: str | None = None


class DestinationWebhookEndpointParams(TypedDict):
    """The address of a destination.

    Attributes:
        url: The address; with a live key it starts with `https://`.
    """

    url: Private[str]


class AmazonEventbridgeParams(TypedDict):
    """Where a destination at Amazon EventBridge is.

    Attributes:
        aws_account_id: The AWS account that receives the events.
        aws_region: Its region, such as `"us-east-1"`.
    """

    aws_account_id: str
    aws_region: str


class AzureEventGridParams(TypedDict):
    """Where a destination at Azure Event Grid is.

    Attributes:
        azure_region: The region, such as `"westus2"`.
        azure_resource_group_name: The resource group.
        azure_subscription_id: The subscription.
    """

    azure_region: str
    azure_resource_group_name: str
    azure_subscription_id: str


class CoreEvents(Resource):
    """Calls on thin events.

    https://docs.stripe.com/api/v2/core/events
    """

    _RETRIEVE = Endpoint("GET", "/v2/core/events/{id}", ThinEvent)
    _LIST = Endpoint("GET", "/v2/core/events", LinkedPage[ThinEvent])

    async def retrieve(
        self, id: str, *, request_options: RequestOptions | None = None
    ) -> ThinEvent:
        """Return a thin event of the last 30 days, with what a delivery leaves out.

        https://docs.stripe.com/api/v2/core/events/retrieve

        Args:
            id: Its id (`evt_...`).
            request_options: Options of this call; for an event that was delivered with a
                `context`, set that.

        Raises:
            NotFoundError: The event does not exist, or is older than 30 days.
        """
        return await self._call(self._RETRIEVE, {}, request_options, id=id)

    def list(
        self,
        *,
        created: Created | None = None,
        object_id: str | None = None,
        types: Sequence[ThinEventType] | None = None,
        limit: int | None = None,
        max_items: int | None = None,
        cursor: str | None = None,
        request_options: RequestOptions | None = None,
    ) -> Pager[ThinEvent]:
        """List the thin events of the last 30 days.

        https://docs.stripe.com/api/v2/core/events/list

        Args:
            created: Only those that happened in this range.
            object_id: Only those about this object.
            types: Only those of these types, 20 at most.
            limit: Objects in a page, 1 to 100; 100 by default.
            max_items: Objects in the whole walk, at most.
            cursor: Where an earlier walk stopped, from `Pager.cursor`; it has the filters and the
                limit of that walk.
            request_options: Options of each call.

        Returns:
            A pager: iterate it with `async for`, or await it for the first page.
        """
        check_texts("types", types)
        if types is not None and len(types) > _MAX_TYPES:
            problem = f"has {len(types)} types; {_MAX_TYPES} are allowed"
            raise ConfigurationError("types", problem)
        params = {"created": created, "object_id": object_id, "types": types}
        paging = Paging(limit, max_items, None, None, cursor)
        return self._list_linked(self._LIST, params, paging, request_options)


class EventDestinations(Resource):
    """Calls on event destinations.

    https://docs.stripe.com/api/v2/core/event_destinations
    """

    _CREATE = Endpoint("POST", "/v2/core/event_destinations", EventDestination)
    _RETRIEVE = Endpoint("GET", "/v2/core/event_destinations/{id}", EventDestination)
    _UPDATE = Endpoint("POST", "/v2/core/event_destinations/{id}", EventDestination)
    _LIST = Endpoint("GET", "/v2/core/event_destinations", LinkedPage[EventDestination])
    _DELETE = Endpoint("DELETE", "/v2/core/event_destinations/{id}", DeletedEventDestination)
    _DISABLE = Endpoint("POST", "/v2/core/event_destinations/{id}/disable", EventDestination)
    _ENABLE = Endpoint("POST", "/v2/core/event_destinations/{id}/enable", EventDestination)
    _PING = Endpoint("POST", "/v2/core/event_destinations/{id}/ping", ThinEvent, answers_other=True)

    async def create(
        self,
        *,
        name: str,
        type: EventDestinationType,
        event_payload: EventPayload,
        enabled_events: Sequence[DestinationEvent],
        webhook_endpoint: DestinationWebhookEndpointParams | None = None,
        amazon_eventbridge: AmazonEventbridgeParams | None = None,
        azure_event_grid: AzureEventGridParams | None = None,
        description: str | None = None,
        events_from: Sequence[EventsFrom] | None = None,
        metadata: Private[Mapping[str, str] | None] = None,
        snapshot_api_version: str | None = None,
        include: Sequence[_SecretOrUrl] | None = None,
        request_options: RequestOptions | None = None,
    ) -> EventDestination:
        """Have events sent to a destination from now on; an account can have 16.

        https://docs.stripe.com/api/v2/core/event_destinations/create

        Args:
            name: A name for it.
            type: How it is reached; give the argument of the same name too. It cannot be changed
                later, and neither can `event_payload`, `events_from`, `snapshot_api_version` and
                where in a cloud it is.
            event_payload: Whether events are thin, or have a copy of their object.
            enabled_events: The types of events to send: of thin ones such as
                `"v1.climate.order.created"`, of others such as `"climate.order.created"`.
            webhook_endpoint: The address, for that type.
            amazon_eventbridge: The AWS account, for that type.
            azure_event_grid: The resource group, for that type.
            description: Your own text about its purpose.
            events_from: Whose events to send; your own by default.
            metadata: Your own data: up to 50 keys.
            snapshot_api_version: The version to render the objects of snapshot events in.
            include: Fields to fill that are None otherwise: `"webhook_endpoint.signing_secret"`,
                which no other call returns, and `"webhook_endpoint.url"`.
            request_options: Options of this call.
        """
        params = {
            "name": name,
            "type": type,
            "event_payload": event_payload,
            "enabled_events": enabled_events,
            "webhook_endpoint": webhook_endpoint,
            "amazon_eventbridge": amazon_eventbridge,
            "azure_event_grid": azure_event_grid,
            "description": description,
            "events_from": events_from,
            "metadata": metadata,
            "snapshot_api_version": snapshot_api_version,
            "include": include,
        }
        return await self._call(self._CREATE, params, request_options)

    async def retrieve(
        self,
        id: str,
        *,
        include: Sequence[_Url] | None = None,
        request_options: RequestOptions | None = None,
    ) -> EventDestination:
        """Return a destination.

        https://docs.stripe.com/api/v2/core/event_destinations/retrieve

        Args:
            id: Its id (`ed_...`).
            include: Fields to fill that are None otherwise: `"webhook_endpoint.url"`.
            request_options: Options of this call.

        Raises:
            NotFoundError: The destination does not exist.
        """
        return await self._call(self._RETRIEVE, {"include": include}, request_options, id=id)

    async def update(
        self,
        id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        enabled_events: Sequence[DestinationEvent] | None = None,
        webhook_endpoint: DestinationWebhookEndpointParams | None = None,
        metadata: Private[Mapping[str, str | None] | None] = None,
        include: Sequence[_Url] | None = None,
        request_options: RequestOptions | None = None,
    ) -> EventDestination:
        """Change a destination.

        https://docs.stripe.com/api/v2/core/event_destinations/update

        Args:
            id: Its id (`ed_...`).
            name: A name for it.
            description: Your own text about its purpose.
            enabled_events: The types of events to send, in place of all earlier ones.
            webhook_endpoint: The address.
            metadata: Merged into the metadata it has; None in place of a text removes its key.
            include: Fields to fill that are None otherwise: `"webhook_endpoint.url"`.
            request_options: Options of this call.

        Raises:
            NotFoundError: The destination does not exist.
        """
        params = {
            "name": name,
            "description": description,
            "enabled_events": enabled_events,
            "webhook_endpoint": webhook_endpoint,
            "metadata": metadata,
            "include": include,
        }
        return await self._call(self._UPDATE, params, request_options, id=id)

    def list(
        self,
        *,
        include: Sequence[_Url] | None = None,
        limit: int | None = None,
        max_items: int | None = None,
        cursor: str | None = None,
        request_options: RequestOptions | None = None,
    ) -> Pager[EventDestination]:
        """List destinations.

        https://docs.stripe.com/api/v2/core/event_destinations/list

        Args:
            include: Fields to fill that are None otherwise: `"webhook_endpoint.url"`.
            limit: Objects in a page, 1 to 100; 100 by default.
            max_items: Objects in the whole walk, at most.
            cursor: Where an earlier walk stopped, from `Pager.cursor`; it has the limit of that
                walk.
            request_options: Options of each call.

        Returns:
            A pager: iterate it with `async for`, or await it for the first page.
        """
        paging = Paging(limit, max_items, None, None, cursor)
        return self._list_linked(self._LIST, {"include": include}, paging, request_options)

    async def delete(
        self, id: str, *, request_options: RequestOptions | None = None
    ) -> DeletedEventDestination:
        """Delete a destination: no more events are sent to it; this cannot be undone.

        https://docs.stripe.com/api/v2/core/event_destinations/delete

        Args:
            id: Its id (`ed_...`).
            request_options: Options of this call.

        Raises:
            NotFoundError: The destination does not exist, or was deleted before.
        """
        return await self._call(self._DELETE, {}, request_options, id=id)

    async def disable(
        self, id: str, *, request_options: RequestOptions | None = None
    ) -> EventDestination:
        """Stop sending events to a destination, until `enable`.

        https://docs.stripe.com/api/v2/core/event_destinations/disable

        Args:
            id: Its id (`ed_...`).
            request_options: Options of this call.

        Raises:
            NotFoundError: The destination does not exist.
        """
        return await self._call(self._DISABLE, {}, request_options, id=id)

    async def enable(
        self, id: str, *, request_options: RequestOptions | None = None
    ) -> EventDestination:
        """Send events to a destination again.

        https://docs.stripe.com/api/v2/core/event_destinations/enable

        Args:
            id: Its id (`ed_...`).
            request_options: Options of this call.

        Raises:
            NotFoundError: The destination does not exist.
        """
        return await self._call(self._ENABLE, {}, request_options, id=id)

    async def ping(self, id: str, *, request_options: RequestOptions | None = None) -> ThinEvent:
        """Send an event to a destination, to see that it arrives.

        https://docs.stripe.com/api/v2/core/event_destinations/ping

        Args:
            id: Its id (`ed_...`).
            request_options: Options of this call.

        Returns:
            The event, of the type `v2.core.event_destination.ping`; its object is the destination.

        Raises:
            NotFoundError: The destination does not exist.
        """
        return await self._call(self._PING, {}, request_options, id=id)


class Core:
    """What every product has in version 2.

    Attributes:
        event_destinations: Destinations: the places to which events are sent.
        events: Thin events: what happened to which object.
    """

    def __init__(self, send: Sender) -> None:
        self.event_destinations = EventDestinations(send)
        self.events = CoreEvents(send)


class V2:
    """Version 2 of the API.

    Attributes:
        core: Event destinations and thin events.
    """

    def __init__(self, send: Sender) -> None:
        self.core = Core(send)
