"""Forwarding: send requests to other services, with card details filled in by Stripe.

You write a request with empty fields for the card. Stripe fills them in from a payment method,
sends the request to a destination that is enabled for the account, and returns its answer.

```python
import asyncio
import json
import pinstripe


async def main() -> None:
    async with pinstripe.AsyncClient() as stripe:
        async for past in stripe.forwarding.requests.list(max_items=3):
            print(past.id, past.destination_ok)
        try:
            sent = await stripe.forwarding.requests.create(
                payment_method="pm_card_visa",
                replacements=["card_number"],
                request={"body": json.dumps({"card": {"number": ""}})},
                url="https://api.example.com/vault",
                request_options=pinstripe.RequestOptions(idempotency_key="order-7-1", timeout=65),
            )
            print(sent.response_details)
        except pinstripe.InvalidRequestError as error:  # not enabled, or without an answer
            print(error.code)


asyncio.run(main())
```

A call succeeds if the destination answers, with any status: a 500 of the destination is a
`ForwardingRequest` whose `response_details.status` is 500. An error is raised only if there is no
answer from the destination.

An idempotency key stands for one request to the destination. The same key returns the stored
result, errors too, and nothing is forwarded. To try the destination again, use a new key.

Bodies, headers and addresses have card details and credentials; they are left out of every repr.

https://docs.stripe.com/api/forwarding/forwarding_requests
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypeAlias, cast

from typing_extensions import NotRequired, TypedDict

from pinstripe._config.options import RequestOptions
from pinstripe._core.checks import check_mapping
from pinstripe._core.errors import ConfigurationError
from pinstripe._http.messages import Sender
from pinstripe._models.page import Page
from pinstripe._models.record import Listed, Private, Record, model
from pinstripe._resources.endpoint import Endpoint
from pinstripe._resources.pager import Pager
from pinstripe._resources.resource import Resource
from pinstripe._resources.walk import Created, Paging

__all__ = [
    "Forwarding",
    "ForwardingHeader",
    "ForwardingHeaderParam",
    "ForwardingRequest",
    "ForwardingRequestContext",
    "ForwardingRequestDetails",
    "ForwardingRequestParam",
    "ForwardingRequests",
    "ForwardingResponseDetails",
    "Replacement",
]

Replacement: TypeAlias = (
    Literal["card_cvc", "card_expiry", "card_number", "cardholder_name", "request_signature"] | str
)
"""A detail that Stripe fills into a request."""

# Characters of the name and the value of a header: https://www.rfc-editor.org/rfc/rfc9110#section-5
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")


@model
class ForwardingHeader(Record):
    """One header; if it carries credentials, its value is masked."""

    name: str
    value: Private[str]


@model
class ForwardingRequestContext(Record):
    """How the destination was reached; `destination_duration` is in milliseconds."""

    destination_duration: int
    destination_ip_address: Private[str]


@model
class ForwardingRequestDetails(Record):
    """The request to the destination, with card details masked.

    The headers are in the order in which they were sent, including those that Stripe added; a
    name can occur more than once.
    """

    body: Private[str]
    headers: Private[tuple[ForwardingHeader, ...]]
    http_method: Literal["POST"] | str


@model
class ForwardingResponseDetails(Record):
    """The answer of the destination, with card details masked; `status` is its HTTP status."""

    body: Private[str]
    headers: Private[tuple[ForwardingHeader, ...]]
    status: int

    @property
    def ok(self) -> bool:
        """Whether the status of the destination means success: 200 to 299."""
        return 200 <= self.status < 300


@model
class ForwardingRequest(Listed):
    """A request that was forwarded and the answer of the destination; kept for 30 days.

    https://docs.stripe.com/api/forwarding/forwarding_requests/object
    """

    id: str
    object: Literal["forwarding.request"] = "forwarding.request"
    created: datetime
    livemode: bool
    metadata: Private[dict[str, str] | None] = None
    payment_method: str
    replacements: tuple[Replacement, ...]
    request_context: ForwardingRequestContext | None = None
    request_details: ForwardingRequestDetails | None = None
    response_details: ForwardingResponseDetails | None = None
    url: Private[str | None] = None

    @property
    def destination_ok(self) -> bool:
        """Whether the destination answered, with a status of success."""
        return self.response_details is not None and self.response_details.ok


class ForwardingHeaderParam(TypedDict):
    """One header to send."""

    name: str
    value: Private[str]


class ForwardingRequestParam(TypedDict):
    """What to send to the destination.

    `body` is JSON or XML text, with an empty text for each card detail that is filled in.
    `headers` are sent in this order, and a name can occur more than once; Stripe adds
    `Content-Type` and headers of its own.
    """

    body: NotRequired[Private[str]]
    headers: NotRequired[Sequence[ForwardingHeaderParam]]


class ForwardingRequests(Resource):
    """Calls on forwarded requests.

    https://docs.stripe.com/api/forwarding/forwarding_requests
    """

    _CREATE = Endpoint("POST", "/v1/forwarding/requests", ForwardingRequest)
    _RETRIEVE = Endpoint("GET", "/v1/forwarding/requests/{id}", ForwardingRequest)
    _LIST = Endpoint("GET", "/v1/forwarding/requests", Page[ForwardingRequest])

    async def create(
        self,
        *,
        payment_method: str,
        replacements: Sequence[Replacement],
        request: ForwardingRequestParam,
        url: Private[str],
        metadata: Private[Mapping[str, str] | None] = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> ForwardingRequest:
        """Send a request to another service, with card details filled in, and wait for its answer.

        Look at `destination_ok`, or at `response_details.status`: what the destination answers
        is no error of this call. To send it again, give a new idempotency key.

        https://docs.stripe.com/api/forwarding/forwarding_requests/create

        Args:
            payment_method: The card whose details are filled in (`pm_...`); it may be used
                already, and need not be attached. A `card_cvc` can be used for one request only.
            replacements: The details to fill in, at least one.
            request: The body as text, and the headers as a list of name and value.
            url: A destination that is enabled for the account.
            metadata: Your own data: up to 50 keys.
            expand: Fields to expand.
            request_options: Options of this call. A destination may take a minute, longer than
                the usual timeout of the client; with `timeout=65` the call waits for that. An
                idempotency key must differ from any that `request` carries.

        Returns:
            The request as it is stored, with card details and credentials masked.

        Raises:
            InvalidRequestError: The destination is not enabled, or gave no answer; `code` is
                `forwarding_api_upstream_connection_error`,
                `forwarding_api_upstream_connection_timeout` or another one. A destination that
                gave no answer may have acted, so `outcome` is `"unknown"`: the same idempotency
                key gets the same error, and a new one sends the request again.
            DeadlineExceeded: The client stopped waiting; the destination may have acted.
        """
        if replacements is None:
            raise ConfigurationError("replacements", "must name at least one")
        params = {
            "payment_method": _text("payment_method", payment_method),
            "replacements": replacements,
            "request": _check_request(request),
            "url": _text("url", url),
            "metadata": metadata,
            "expand": expand,
        }
        return await self._call(self._CREATE, params, request_options)

    async def retrieve(
        self,
        id: str,
        *,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> ForwardingRequest:
        """Return a request that was forwarded.

        https://docs.stripe.com/api/forwarding/forwarding_requests/retrieve

        Args:
            id: Its id (`fwdreq_...`).
            expand: Fields to expand.
            request_options: Options of this call.

        Raises:
            NotFoundError: The request does not exist, or is older than 30 days.
        """
        return await self._call(self._RETRIEVE, {"expand": expand}, request_options, id=id)

    def list(
        self,
        *,
        created: Created | None = None,
        limit: int | None = None,
        max_items: int | None = None,
        starting_after: str | None = None,
        ending_before: str | None = None,
        cursor: str | None = None,
        expand: Sequence[str] | None = None,
        request_options: RequestOptions | None = None,
    ) -> Pager[ForwardingRequest]:
        """List requests that were forwarded, newest first.

        https://docs.stripe.com/api/forwarding/forwarding_requests/list

        Args:
            created: Only those created in this range; this list takes no single second.
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
        if created is not None and not isinstance(created, Created):
            raise ConfigurationError("created", "must be a Created; use gte and lte for one second")
        params = {"created": created, "expand": expand}
        paging = Paging(limit, max_items, starting_after, ending_before, cursor)
        return self._list(self._LIST, params, paging, request_options)


class Forwarding:
    """The resources of forwarding.

    Attributes:
        requests: Requests that Stripe sends to other services.
    """

    def __init__(self, send: Sender) -> None:
        self.requests = ForwardingRequests(send)


def _text(argument: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(argument, "must be text, and not empty")
    return value


def _check_request(value: Any) -> Mapping[str, Any]:
    request = check_mapping("request", value)
    for name in request:
        if name not in ("body", "headers"):
            raise ConfigurationError("request", f"has no {name!r}; its keys are body and headers")
    body, headers = request.get("body"), request.get("headers")
    # A form cannot carry an empty mapping.
    if body is None and not headers:
        raise ConfigurationError("request", "needs a body or headers")
    if body is not None and not isinstance(body, str):
        raise ConfigurationError("request[body]", "must be text; write JSON with json.dumps")
    _check_headers(() if headers is None else headers)
    return request


def _check_headers(value: Any) -> None:
    if not isinstance(value, (list, tuple)):
        raise ConfigurationError("request[headers]", "must be a list of name and value")
    for index, header in enumerate(cast("Sequence[Any]", value)):
        argument = f"request[headers][{index}]"
        pair = check_mapping(argument, header)
        if pair.keys() != {"name", "value"}:
            raise ConfigurationError(argument, "must be a mapping of name and value")
        # A line break would let a value add headers. The message does not show the value: it can
        # be a credential.
        for part, shape in (("name", _NAME), ("value", _VALUE)):
            text = pair[part]
            if not isinstance(text, str) or not shape.fullmatch(text):
                problem = "has characters that a header cannot have"
                raise ConfigurationError(f"{argument}[{part}]", problem)
