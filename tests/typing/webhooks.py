"""What a user's code infers from webhook endpoints and the pytest plugin; checked, never run."""

from __future__ import annotations

from typing import Any

from typing_extensions import assert_type

from pinstripe import AsyncClient, Pager
from pinstripe.pytest_plugin import SignedEvent, StripeEvent
from pinstripe.sandbox import Sandbox
from pinstripe.webhook_endpoints import DeletedWebhookEndpoint, WebhookEndpoint


async def endpoints(stripe: AsyncClient) -> None:
    resource = stripe.webhook_endpoints
    endpoint = await resource.create(url="https://a.example", enabled_events=["*", "new.type"])
    assert_type(endpoint, WebhookEndpoint)
    assert_type(endpoint.secret, str | None)
    assert_type(endpoint.enabled_events, tuple[str, ...])
    assert_type(await resource.update(endpoint.id, disabled=True, metadata=""), WebhookEndpoint)
    assert_type(await resource.delete(endpoint.id), DeletedWebhookEndpoint)
    assert_type(resource.list(), Pager[WebhookEndpoint])
    await resource.create(url="https://a.example")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def deliveries(sandbox: Sandbox) -> None:
    await sandbox.webhooks.flush()
    assert_type(sandbox.webhooks.deliveries(status="failed"), list[dict[str, Any]])


def events(stripe_event: StripeEvent) -> None:
    event = stripe_event("climate.order.created", metric_tons="2")
    assert_type(event, SignedEvent)
    assert_type(event.body, bytes)
    assert_type(event.headers, dict[str, str])
    assert_type(event.data, dict[str, Any])
