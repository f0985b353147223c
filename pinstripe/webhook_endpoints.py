"""Webhook endpoints: the addresses to which Stripe sends events.

https://docs.stripe.com/api/webhook_endpoints

The secret that signs the deliveries of an endpoint is in the answer of `create`, and in no other:
keep it. It stays out of every repr, as does the address, which can hold a password of its own;
read the attribute, or use `to_dict`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from pinstripe._config.options import RequestOptions
from pinstripe._core.checks import check_texts
from pinstripe._models.page import Page
from pinstripe._models.record import Listed, Model, Private, model
from pinstripe._resources.endpoint import Endpoint
from pinstripe._resources.pager import Pager
from pinstripe._resources.resource import Resource
from pinstripe._resources.walk import Paging

__all__ = [
    "DeletedWebhookEndpoint",
    "WebhookEndpoint",
    "WebhookEndpointStatus",
    "WebhookEndpoints",
]

WebhookEndpointStatus = Literal["disabled", "enabled"] | str
"""Whether events are sent to an endpoint."""


@model
class WebhookEndpoint(Listed):
    """One address to which events are sent.

    https://docs.stripe.com/api/webhook_endpoints/object

    `secret` is there only in the answer of `create`. `api_version` is None where events are
    rendered in the account's default version.
    """

    id: str
    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    created: datetime
    livemode: bool
    status: WebhookEndpointStatus
    url: Private[str]
    enabled_events: tuple[str, ...]
    api_version: str | None = None
    application: str | None = None
    description: str | None = None
    metadata: Private[dict[str, str]]
    secret: Private[str | None] = None


@model
class DeletedWebhookEndpoint(Model):
    """What is left of an endpoint that was deleted."""

    id: str
    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    deleted: bool


class WebhookEndpoints(Resource):
    """Calls on webhook endpoints.

    https://docs.stripe.com/api/webhook_endpoints
    """

    _CREATE = Endpoint("POST", "/v1/webhook_endpoints", WebhookEndpoint)
    _RETRIEVE = Endpoint("GET", "/v1/webhook_endpoints/{webhook_endpoint}", WebhookEndpoint)
    _UPDATE = Endpoint("POST", "/v1/webhook_endpoints/{webhook_endpoint}", WebhookEndpoint)
    _LIST = Endpoint("GET", "/v1/webhook_endpoints", Page[WebhookEndpoint])
    _DELETE = Endpoint("DELETE", "/v1/webhook_endpoints/{webhook_endpoint}", DeletedWebhookEndpoint)

    async def create(
        self,
        *,
        url: str,
        enabled_events: Sequence[str],
        api_version: str | None = None,
        connect: bool | None = None,
        description: str | None = None,
        metadata: Mapping[str, str] | Literal[""] | None = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> WebhookEndpoint:
        """Have events sent to an address from now on; an account has room for 16.

        https://docs.stripe.com/api/webhook_endpoints/create

        Args:
            url: The address; with a live key it starts with `https://`.
            enabled_events: The types of events to send, at least one. `"*"` stands for all but
                the few that have to be named, `identity.verification_session.redacted` among
                them.
            api_version: The version to render events in, such as `"2026-10-28.endive"`; the
                account's default version otherwise. It cannot be changed later.
            connect: True for the events of connected accounts, in place of your own; it cannot
                be changed later.
            description: What it is for.
            metadata: Your own facts: up to 50 keys.
            expand: Fields to expand.
            request_options: Options of this call.

        Returns:
            The endpoint, with its `secret`, which no other call gives.
        """
        check_texts("enabled_events", enabled_events)
        params = {
            "url": url,
            "enabled_events": enabled_events,
            "api_version": api_version,
            "connect": connect,
            "description": description,
            "metadata": metadata,
            "expand": expand,
        }
        return await self._call(self._CREATE, params, request_options)

    async def retrieve(
        self,
        webhook_endpoint: str,
        *,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> WebhookEndpoint:
        """Return an endpoint, without its secret.

        https://docs.stripe.com/api/webhook_endpoints/retrieve

        Args:
            webhook_endpoint: Its id (`we_...`).
            expand: Fields to expand.
            request_options: Options of this call.

        Raises:
            NotFoundError: There is no such endpoint.
        """
        params = {"expand": expand}
        return await self._call(
            self._RETRIEVE, params, request_options, webhook_endpoint=webhook_endpoint
        )

    async def update(
        self,
        webhook_endpoint: str,
        *,
        url: str | None = None,
        enabled_events: Sequence[str] | None = None,
        disabled: bool | None = None,
        description: str | None = None,
        metadata: Mapping[str, str] | Literal[""] | None = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> WebhookEndpoint:
        """Change an endpoint.

        https://docs.stripe.com/api/webhook_endpoints/update

        Args:
            webhook_endpoint: Its id (`we_...`).
            url: The address.
            enabled_events: The types of events to send, in place of all that were there.
            disabled: True to send nothing for now, False to send again; `status` tells it.
            description: What it is for; an empty text removes it.
            metadata: Merged into what is there; an empty text removes its key, or all of them in
                place of the mapping.
            expand: Fields to expand.
            request_options: Options of this call.

        Raises:
            NotFoundError: There is no such endpoint.
        """
        check_texts("enabled_events", enabled_events)
        params = {
            "url": url,
            "enabled_events": enabled_events,
            "disabled": disabled,
            "description": description,
            "metadata": metadata,
            "expand": expand,
        }
        return await self._call(
            self._UPDATE, params, request_options, webhook_endpoint=webhook_endpoint
        )

    def list(
        self,
        *,
        limit: int | None = None,
        max_items: int | None = None,
        starting_after: str | None = None,
        ending_before: str | None = None,
        cursor: str | None = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> Pager[WebhookEndpoint]:
        """List endpoints, newest first.

        https://docs.stripe.com/api/webhook_endpoints/list

        Args:
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
        paging = Paging(limit, max_items, starting_after, ending_before, cursor)
        return self._list(self._LIST, {"expand": expand}, paging, request_options)

    async def delete(
        self, webhook_endpoint: str, *, request_options: RequestOptions | None = None
    ) -> DeletedWebhookEndpoint:
        """Send nothing to an address any more, and forget it; this cannot be undone.

        https://docs.stripe.com/api/webhook_endpoints/delete

        Args:
            webhook_endpoint: Its id (`we_...`).
            request_options: Options of this call.

        Raises:
            NotFoundError: There is no such endpoint, or no longer.
        """
        return await self._call(
            self._DELETE, {}, request_options, webhook_endpoint=webhook_endpoint
        )
