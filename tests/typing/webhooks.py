"""What a user's code infers from webhooks and the pytest plugin; checked, never run."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine, MetaData
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import Session
from typing_extensions import assert_type

from pinstripe import AsyncClient, Client, Pager
from pinstripe.climate import Order
from pinstripe.crypto import OnrampSession
from pinstripe.events import (
    Event,
    EventData,
    EventRequest,
    OnrampSessionUpdated,
    OrderCanceled,
    OrderCreated,
    RelatedObject,
    ThinEvent,
    ThinEventReason,
    VerificationSessionVerified,
)
from pinstripe.identity import VerificationSession, VerificationSessionVerifiedOutputs
from pinstripe.pytest_plugin import SignedEvent, StripeEvent
from pinstripe.sandbox import Sandbox
from pinstripe.webhook_endpoints import DeletedWebhookEndpoint, WebhookEndpoint
from pinstripe.webhooks import (
    CatchUpReport,
    Delivery,
    DeliveryResult,
    DjangoStore,
    MemoryStore,
    Receipt,
    Router,
    SQLAlchemyStore,
    Store,
    Webhook,
    delivery_of,
    parse_event,
)


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


def received(webhook: Webhook, body: bytes) -> None:
    event = webhook.parse(body, "t=1,v1=0")
    assert_type(event, Event | ThinEvent)
    match event:
        case VerificationSessionVerified():
            assert_type(event, VerificationSessionVerified)
            assert_type(event.data.object, VerificationSession)
            assert_type(
                event.data.object.verified_outputs, VerificationSessionVerifiedOutputs | None
            )
        case OrderCreated() | OrderCanceled():
            assert_type(event.data.object, Order)
            assert_type(event.data.previous_attributes, dict[str, Any] | None)
        case OnrampSessionUpdated(data=EventData(object=session)):
            assert_type(session, OnrampSession)
        case ThinEvent():
            assert_type(event.related_object, RelatedObject | None)
        case _:
            assert_type(event, Event)


def known(event: OrderCreated | VerificationSessionVerified) -> None:
    if event.type == "climate.order.created":
        assert_type(event.data.object, Order)
    else:
        assert_type(event.data.object, VerificationSession)


async def log(stripe: AsyncClient, thin: ThinEvent) -> None:
    async for event in stripe.events.list():
        if isinstance(event, OrderCreated):
            assert_type(event.data.object, Order)
    found = await stripe.events.fetch_related(thin)
    if isinstance(found, Order):
        assert_type(found.metric_tons, Decimal)


async def routed(router: Router, body: bytes) -> None:
    @router.on(OrderCreated)
    async def one(event: OrderCreated) -> None: ...

    @router.on(OrderCreated, OrderCanceled)
    def two(event: OrderCreated | OrderCanceled) -> None: ...

    @router.on(OrderCreated, OrderCanceled, VerificationSessionVerified)
    def three(event: Event) -> None: ...

    @router.on("payment_intent.succeeded", "v1.file.created")
    def named(event: Event | ThinEvent) -> None:
        assert_type(delivery_of(event), Delivery)

    @router.on(OrderCreated)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    def wrong(event: OrderCanceled) -> None: ...

    receipt = await router.receive(body, None)
    assert_type(receipt, Receipt)
    assert_type(receipt.status, int)
    assert_type(receipt.ending, DeliveryResult)
    assert_type(receipt.event, Event | ThinEvent | None)


async def missed(router: Router, stripe: AsyncClient, blocking: Client) -> None:
    since = datetime(2026, 1, 1, tzinfo=timezone.utc)
    report = await router.catch_up(stripe, since=since, on_progress=print)
    assert_type(report, CatchUpReport)
    assert_type(report.after, str | None)
    assert_type(report.is_complete, bool)
    assert_type(router.catch_up_blocking(blocking, after=report.after), CatchUpReport)
    await router.catch_up(blocking, since=since)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    router.catch_up_blocking(stripe, since=since)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def unsigned(message: dict[str, Any]) -> None:
    assert_type(parse_event(message), Event | ThinEvent)
    assert_type(parse_event(b"{}"), Event | ThinEvent)


def old(event: Event, thin: ThinEvent) -> None:
    assert_type(event.request, EventRequest | None)
    assert_type(event.livemode, bool | None)
    assert_type(thin.reason, ThinEventReason | None)
    assert_type(thin.changes, dict[str, Any] | None)


def stores(engine: Engine, async_engine: AsyncEngine) -> list[Store]:
    store, async_store = SQLAlchemyStore(engine), SQLAlchemyStore(async_engine)
    assert_type(store.connection(), Connection)
    assert_type(store.session(), Session)
    assert_type(async_store.connection(), AsyncConnection)
    assert_type(async_store.session(), AsyncSession)
    store.create_tables()
    SQLAlchemyStore("sqlite://")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    return [MemoryStore(max_ids=10), store, async_store, DjangoStore(using="other")]


async def tables(store: SQLAlchemyStore[AsyncConnection, AsyncSession]) -> None:
    await store.create_tables()
    assert_type(store.metadata, MetaData)
