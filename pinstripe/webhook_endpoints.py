"""Webhook endpoints: the addresses to which Stripe sends events.

Create an endpoint for each service that receives events, and give its secret to that service,
which verifies deliveries with `pinstripe.webhooks`.

```python
import asyncio
import pinstripe


async def main() -> None:
    async with pinstripe.AsyncClient() as stripe:
        endpoint = await stripe.webhook_endpoints.create(
            url="https://example.com/stripe",
            enabled_events=["identity.verification_session.verified", "climate.order.delivered"],
        )
        assert endpoint.secret is not None  # store it now: no later answer has it
        async for one in stripe.webhook_endpoints.list():
            print(one.id, one.status, one.enabled_events)
        await stripe.webhook_endpoints.update(endpoint.id, disabled=True)


asyncio.run(main())
```

The secret signs the deliveries of an endpoint, and only the answer of `create` has it. Neither the
secret nor the address shows in a repr, since an address can hold a password; read the attribute,
or use `to_dict`.

https://docs.stripe.com/api/webhook_endpoints
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, TypeAlias

from pinstripe._config.options import RequestOptions
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

WebhookEndpointStatus: TypeAlias = Literal["disabled", "enabled"] | str
"""Whether events are sent to an endpoint."""


@model
class WebhookEndpoint(Listed):
    """One address to which events are sent.

    https://docs.stripe.com/api/webhook_endpoints/object

    `secret` is None except in the answer of `create`. `api_version` is None if events are
    rendered in the default version of the account.
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
    """The id of an endpoint that was deleted."""

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
        url: Private[str],
        enabled_events: Sequence[str],
        api_version: str | None = None,
        connect: bool | None = None,
        description: str | None = None,
        metadata: Private[Mapping[str, str] | Literal[""] | None] = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> WebhookEndpoint:
        """Have events sent to an address from now on; an account can have 16 endpoints.

        https://docs.stripe.com/api/webhook_endpoints/create

        Args:
            url: The address; with a live key it starts with `https://`.
            enabled_events: The types of events to send, at least one. `"*"` stands for all
                except the few that have to be named, such as
                `identity.verification_session.redacted`.
            api_version: The version to render events in, such as `"2026-10-28.endive"`; the
                default version of the account otherwise. It cannot be changed later.
            connect: True for the events of connected accounts in place of your own. It cannot be
                changed later.
            description: Your own text about its purpose.
            metadata: Your own data: up to 50 keys.
            expand: Fields to expand.
            request_options: Options of this call.

        Returns:
            The endpoint with its `secret`, which no other call returns.
        """
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
            NotFoundError: The endpoint does not exist.
        """
        params = {"expand": expand}
        return await self._call(
            self._RETRIEVE, params, request_options, webhook_endpoint=webhook_endpoint
        )

    async def update(
        self,
        webhook_endpoint: str,
        *,
        url: Private[str | None] = None,
        enabled_events: Sequence[str] | None = None,
        disabled: bool | None = None,
        description: str | None = None,
        metadata: Private[Mapping[str, str] | Literal[""] | None] = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> WebhookEndpoint:
        """Change an endpoint.

        https://docs.stripe.com/api/webhook_endpoints/update

        Args:
            webhook_endpoint: Its id (`we_...`).
            url: The address.
            enabled_events: The types of events to send, in place of all earlier ones.
            disabled: True to stop sending, False to send again; see `status`.
            description: Your own text about its purpose; an empty text removes it.
            metadata: Merged into the metadata it has; an empty text removes its key, and in place
                of the mapping it removes all keys.
            expand: Fields to expand.
            request_options: Options of this call.

        Raises:
            NotFoundError: The endpoint does not exist.
        """
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
        paging = Paging(limit, max_items, starting_after, ending_before, cursor)
        return self._list(self._LIST, {"expand": expand}, paging, request_options)

    async def delete(
        self, webhook_endpoint: str, *, request_options: RequestOptions | None = None
    ) -> DeletedWebhookEndpoint:
        """Delete an endpoint: no more events are sent to it; this cannot be undone.

        https://docs.stripe.com/api/webhook_endpoints/delete

        Args:
            webhook_endpoint: Its id (`we_...`).
            request_options: Options of this call.

        Raises:
            NotFoundError: The endpoint does not exist, or was deleted before.
        """
        return await self._call(
            self._DELETE, {}, request_options, webhook_endpoint=webhook_endpoint
        )
