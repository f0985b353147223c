"""Which parameters are private, and that the errors of calls show the others as they came."""

from __future__ import annotations

import json
from typing import Any

import pytest

import pinstripe
from pinstripe import InvalidRequestError
from pinstripe._http.messages import Request, Response
from pinstripe._resources.private_params import private_paths
from pinstripe._resources.resource import Resource
from pinstripe.climate import Orders, Products, Suppliers
from pinstripe.crypto import OnrampQuotes, OnrampSessions
from pinstripe.events import Events
from pinstripe.files import FileLinks, Files
from pinstripe.forwarding import ForwardingRequests
from pinstripe.identity import VerificationReports, VerificationSessions
from pinstripe.sandbox import Sandbox
from pinstripe.v2 import CoreEvents, EventDestinations
from pinstripe.webhook_endpoints import WebhookEndpoints

pytestmark = pytest.mark.anyio

PRIVATE: dict[type[Resource], set[str]] = {
    CoreEvents: set(),
    EventDestinations: {"metadata", "webhook_endpoint[url]"},
    Events: set(),
    Files: {"filename", "file_link_data[metadata]"},
    FileLinks: {"metadata"},
    ForwardingRequests: {"metadata", "request[body]", "request[headers][][value]", "url"},
    OnrampQuotes: set(),
    OnrampSessions: {"customer_ip_address", "kyc_details", "metadata", "wallet_addresses"},
    Orders: {"beneficiary", "metadata"},
    Products: set(),
    Suppliers: set(),
    VerificationReports: {"client_reference_id"},
    VerificationSessions: {"client_reference_id", "metadata", "provided_details", "return_url"},
    WebhookEndpoints: {"metadata", "url"},
}


def test_somebody_has_decided_which_parameters_are_private() -> None:
    ours = {one for one in Resource.__subclasses__() if one.__module__.startswith("pinstripe.")}
    assert {resource: set(private_paths(resource)) for resource in ours} == PRIVATE


async def test_the_error_of_a_call_names_what_is_wrong_as_the_api_does() -> None:
    async with Sandbox() as sandbox, sandbox.client() as stripe:
        create = stripe.identity.verification_sessions.create
        with pytest.raises(InvalidRequestError) as caught:
            await create(
                type="document",
                options={"document": {"allowed_types": ["passportt"]}},
                metadata={"kind": "document", "to": "passport"},
            )
    assert "options[document][allowed_types][0]" in str(caught.value)
    assert caught.value.param == "options[document][allowed_types][0]"


class Echo:
    """A transport whose answers quote everything that was sent."""

    async def send(self, request: Request) -> Response:
        said = f"{request.values} {request.query} {(request.body or b'').decode()}"
        body = json.dumps({"error": {"message": said.lower()}}).encode()
        return Response(status=400, headers={}, body=body)

    async def aclose(self) -> None: ...


CALLS: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    (
        "identity.verification_sessions.create",
        {
            "type": "document",
            "provided_details": {"email": "jenny@mail.example", "phone": "+14155550123"},
            "client_reference_id": "ref-7720",
            "metadata": {"cart": "B77private"},
        },
        ["jenny", "4155550123", "7720", "b77private"],
        ["'document'"],
    ),
    (
        "crypto.onramp_sessions.create",
        {
            "source_currency": "usd",
            "wallet_addresses": {"base": "0xAbCdEf", "destination_tags": {"stellar": "tag-9"}},
            "kyc_details": {
                "first_name": "Jenny",
                "dob": {"year": 1985, "month": 12, "day": 31},
                "address": {"line1": "Main Street", "country": "US"},
            },
            "customer_ip_address": "203.0.113.7",
        },
        ["0xabcdef", "tag-9", "jenny", "1985", "main street", "main+street", "203.0.113.7"],
        ["usd"],
    ),
    (
        "forwarding.requests.create",
        {
            "payment_method": "pm_card_visa",
            "url": "https://pay.example/jenny",
            "request": {
                "body": '{"card": {"number": ""}, "holder": "jenny"}',
                "headers": [{"name": "X-Tenant", "value": "jenny-9"}],
            },
            "replacements": ["card_number"],
        },
        ["jenny", "pay.example"],
        ["pm_card_visa", "card_number", "x-tenant"],
    ),
    (
        "climate.orders.create",
        {
            "product": "climsku_1",
            "metric_tons": "1.5",
            "beneficiary": {"public_name": "Jenny Rosen"},
        },
        ["jenny"],
        ["climsku_1", "1.5"],
    ),
    (
        "request",
        {"method": "POST", "path": "/v1/customers", "params": {"name": "jenny", "plan": "gold_1"}},
        ["jenny"],
        ["gold_1"],
    ),
]


@pytest.mark.parametrize(("call", "arguments", "hidden", "shown"), CALLS, ids=[c[0] for c in CALLS])
async def test_the_error_of_a_call_repeats_no_private_value(call, arguments, hidden, shown) -> None:
    async with pinstripe.AsyncClient("sk_test_1", transport=Echo()) as stripe:
        function: Any = stripe
        for name in call.split("."):
            function = getattr(function, name)
        with pytest.raises(InvalidRequestError) as caught:
            await function(**arguments)
    text = str(caught.value)
    assert not [value for value in hidden if value in text]
    assert not [value for value in shown if value not in text]
