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
    "EnabledEvent",
    "WebhookEndpoint",
    "WebhookEndpointStatus",
    "WebhookEndpoints",
]

WebhookEndpointStatus: TypeAlias = Literal["disabled", "enabled"] | str
"""Whether events are sent to an endpoint."""

EnabledEvent: TypeAlias = (
    Literal[
        "*",
        "account.application.authorized",
        "account.application.deauthorized",
        "account.external_account.created",
        "account.external_account.deleted",
        "account.external_account.updated",
        "account.updated",
        "application_fee.created",
        "application_fee.refund.updated",
        "application_fee.refunded",
        "apps.install.created",
        "apps.install.deleted",
        "apps.install.updated",
        "balance.available",
        "balance_settings.updated",
        "billing.alert.triggered",
        "billing.credit_balance_transaction.created",
        "billing.credit_grant.created",
        "billing.credit_grant.updated",
        "billing.meter.created",
        "billing.meter.deactivated",
        "billing.meter.reactivated",
        "billing.meter.updated",
        "billing_portal.configuration.created",
        "billing_portal.configuration.updated",
        "billing_portal.session.created",
        "capability.updated",
        "cash_balance.funds_available",
        "charge.captured",
        "charge.dispute.closed",
        "charge.dispute.created",
        "charge.dispute.funds_reinstated",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
        "charge.expired",
        "charge.failed",
        "charge.pending",
        "charge.refund.updated",
        "charge.refunded",
        "charge.succeeded",
        "charge.updated",
        "checkout.session.async_payment_failed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.completed",
        "checkout.session.expired",
        "climate.order.canceled",
        "climate.order.created",
        "climate.order.delayed",
        "climate.order.delivered",
        "climate.order.product_substituted",
        "climate.product.created",
        "climate.product.pricing_updated",
        "coupon.created",
        "coupon.deleted",
        "coupon.updated",
        "credit_note.created",
        "credit_note.updated",
        "credit_note.voided",
        "crypto.onramp_session.updated",
        "crypto.onramp_session_updated",
        "customer.created",
        "customer.deleted",
        "customer.discount.created",
        "customer.discount.deleted",
        "customer.discount.updated",
        "customer.source.created",
        "customer.source.deleted",
        "customer.source.expiring",
        "customer.source.updated",
        "customer.subscription.created",
        "customer.subscription.deleted",
        "customer.subscription.paused",
        "customer.subscription.pending_update_applied",
        "customer.subscription.pending_update_expired",
        "customer.subscription.resumed",
        "customer.subscription.trial_will_end",
        "customer.subscription.updated",
        "customer.tax_id.created",
        "customer.tax_id.deleted",
        "customer.tax_id.updated",
        "customer.updated",
        "customer_cash_balance_transaction.created",
        "entitlements.active_entitlement_summary.updated",
        "file.created",
        "financial_connections.account.account_numbers_updated",
        "financial_connections.account.created",
        "financial_connections.account.deactivated",
        "financial_connections.account.disconnected",
        "financial_connections.account.expected_deactivation_date_updated",
        "financial_connections.account.reactivated",
        "financial_connections.account.refreshed_balance",
        "financial_connections.account.refreshed_ownership",
        "financial_connections.account.refreshed_transactions",
        "financial_connections.account.supported_payment_method_types_updated",
        "financial_connections.account.upcoming_account_number_expiry",
        "financial_connections.account.upcoming_deactivation",
        "financial_connections.authorization.expected_deactivation_date_updated",
        "financial_connections.authorization.upcoming_deactivation",
        "identity.verification_session.canceled",
        "identity.verification_session.created",
        "identity.verification_session.processing",
        "identity.verification_session.redacted",
        "identity.verification_session.requires_input",
        "identity.verification_session.verified",
        "invoice.created",
        "invoice.deleted",
        "invoice.finalization_failed",
        "invoice.finalized",
        "invoice.marked_uncollectible",
        "invoice.overdue",
        "invoice.overpaid",
        "invoice.paid",
        "invoice.payment_action_required",
        "invoice.payment_attempt_required",
        "invoice.payment_failed",
        "invoice.payment_succeeded",
        "invoice.sent",
        "invoice.upcoming",
        "invoice.updated",
        "invoice.voided",
        "invoice.will_be_due",
        "invoice_payment.paid",
        "invoiceitem.created",
        "invoiceitem.deleted",
        "issuing_authorization.created",
        "issuing_authorization.request",
        "issuing_authorization.updated",
        "issuing_card.created",
        "issuing_card.updated",
        "issuing_cardholder.created",
        "issuing_cardholder.updated",
        "issuing_dispute.closed",
        "issuing_dispute.created",
        "issuing_dispute.funds_reinstated",
        "issuing_dispute.funds_rescinded",
        "issuing_dispute.submitted",
        "issuing_dispute.updated",
        "issuing_personalization_design.activated",
        "issuing_personalization_design.deactivated",
        "issuing_personalization_design.rejected",
        "issuing_personalization_design.updated",
        "issuing_token.created",
        "issuing_token.updated",
        "issuing_transaction.created",
        "issuing_transaction.purchase_details_receipt_updated",
        "issuing_transaction.updated",
        "mandate.updated",
        "payment_intent.amount_capturable_updated",
        "payment_intent.canceled",
        "payment_intent.created",
        "payment_intent.partially_funded",
        "payment_intent.payment_failed",
        "payment_intent.processing",
        "payment_intent.requires_action",
        "payment_intent.succeeded",
        "payment_link.created",
        "payment_link.updated",
        "payment_method.attached",
        "payment_method.automatically_updated",
        "payment_method.detached",
        "payment_method.updated",
        "payout.canceled",
        "payout.created",
        "payout.failed",
        "payout.paid",
        "payout.reconciliation_completed",
        "payout.updated",
        "person.created",
        "person.deleted",
        "person.updated",
        "plan.created",
        "plan.deleted",
        "plan.updated",
        "price.created",
        "price.deleted",
        "price.updated",
        "product.created",
        "product.deleted",
        "product.updated",
        "promotion_code.created",
        "promotion_code.updated",
        "quote.accepted",
        "quote.canceled",
        "quote.created",
        "quote.finalized",
        "radar.early_fraud_warning.created",
        "radar.early_fraud_warning.updated",
        "refund.created",
        "refund.failed",
        "refund.updated",
        "reporting.report_run.failed",
        "reporting.report_run.succeeded",
        "reporting.report_type.updated",
        "reserve.hold.created",
        "reserve.hold.updated",
        "reserve.plan.created",
        "reserve.plan.disabled",
        "reserve.plan.expired",
        "reserve.plan.updated",
        "reserve.release.created",
        "review.closed",
        "review.opened",
        "setup_intent.canceled",
        "setup_intent.created",
        "setup_intent.requires_action",
        "setup_intent.setup_failed",
        "setup_intent.succeeded",
        "sigma.scheduled_query_run.created",
        "source.canceled",
        "source.chargeable",
        "source.failed",
        "source.mandate_notification",
        "source.refund_attributes_required",
        "source.transaction.created",
        "source.transaction.updated",
        "subscription_schedule.aborted",
        "subscription_schedule.canceled",
        "subscription_schedule.completed",
        "subscription_schedule.created",
        "subscription_schedule.expiring",
        "subscription_schedule.released",
        "subscription_schedule.updated",
        "tax.settings.updated",
        "tax_rate.created",
        "tax_rate.updated",
        "terminal.reader.action_failed",
        "terminal.reader.action_succeeded",
        "terminal.reader.action_updated",
        "test_helpers.test_clock.advancing",
        "test_helpers.test_clock.created",
        "test_helpers.test_clock.deleted",
        "test_helpers.test_clock.internal_failure",
        "test_helpers.test_clock.ready",
        "three_d_secure.authentication.canceled",
        "three_d_secure.authentication.challenge_started",
        "three_d_secure.authentication.errored",
        "three_d_secure.authentication.failed",
        "three_d_secure.authentication.requires_challenge",
        "three_d_secure.authentication.requires_submission",
        "three_d_secure.authentication.succeeded",
        "topup.canceled",
        "topup.created",
        "topup.failed",
        "topup.reversed",
        "topup.succeeded",
        "transfer.created",
        "transfer.reversed",
        "transfer.updated",
        "treasury.credit_reversal.created",
        "treasury.credit_reversal.posted",
        "treasury.debit_reversal.completed",
        "treasury.debit_reversal.created",
        "treasury.debit_reversal.initial_credit_granted",
        "treasury.financial_account.closed",
        "treasury.financial_account.created",
        "treasury.financial_account.features_status_updated",
        "treasury.inbound_transfer.canceled",
        "treasury.inbound_transfer.created",
        "treasury.inbound_transfer.failed",
        "treasury.inbound_transfer.succeeded",
        "treasury.outbound_payment.canceled",
        "treasury.outbound_payment.created",
        "treasury.outbound_payment.expected_arrival_date_updated",
        "treasury.outbound_payment.failed",
        "treasury.outbound_payment.posted",
        "treasury.outbound_payment.returned",
        "treasury.outbound_payment.tracking_details_updated",
        "treasury.outbound_transfer.canceled",
        "treasury.outbound_transfer.created",
        "treasury.outbound_transfer.expected_arrival_date_updated",
        "treasury.outbound_transfer.failed",
        "treasury.outbound_transfer.posted",
        "treasury.outbound_transfer.returned",
        "treasury.outbound_transfer.tracking_details_updated",
        "treasury.received_credit.created",
        "treasury.received_credit.failed",
        "treasury.received_credit.succeeded",
        "treasury.received_debit.created",
    ]
    | str
)
"""A type of events that an endpoint can ask for; both spellings of the onramp's type occur."""


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
        enabled_events: Sequence[EnabledEvent],
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
        enabled_events: Sequence[EnabledEvent] | None = None,
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
