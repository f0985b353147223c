"""Pinstripe: the parts of Stripe that other SDKs serve badly, fast, typed and exact.

The models, parameter types and calls of each product are in a module of their own: `identity`,
`crypto`, `climate`, `forwarding`, `webhook_endpoints`, `files`, `events` and `v2`.

Around the client are `bulk`, which makes many calls at once; `export`, which writes lists to files;
`sync`, the blocking client; `webhooks`, which receives events, with `adapters` for web frameworks;
`sandbox`, a server to develop against; `testing`, a fake for unit tests; `otel`, spans and metrics
for OpenTelemetry; `dask`, exports on a cluster; and `pytest_plugin`, the fixtures for your tests.
"""

from typing import TYPE_CHECKING

from pinstripe._version import __version__

if TYPE_CHECKING:
    from pinstripe import (
        adapters,
        bulk,
        climate,
        crypto,
        events,
        export,
        files,
        forwarding,
        identity,
        sandbox,
        sync,
        testing,
        v2,
        webhook_endpoints,
        webhooks,
    )
    from pinstripe._client import AsyncClient
    from pinstripe._config.hooks import Hooks
    from pinstripe._config.infos import (
        CallInfo,
        DeliveryInfo,
        HandledInfo,
        HandlerInfo,
        ReceiptInfo,
        RequestInfo,
        ResponseInfo,
        ResultInfo,
        RetryInfo,
        WaitInfo,
    )
    from pinstripe._config.options import Limits, RateLimit, RequestOptions, RetryPolicy, Timeout
    from pinstripe._config.tls import TLS
    from pinstripe._core.errors import (
        APIError,
        AuthenticationError,
        BudgetUnavailable,
        CertificateError,
        ConfigurationError,
        ConflictError,
        ConnectError,
        ConnectionLost,
        DeadlineExceeded,
        DecodeError,
        GoalUnreachable,
        IdempotencyError,
        IncompleteError,
        InvalidRequestError,
        NotFoundError,
        PaginationError,
        PermissionDeniedError,
        PinstripeError,
        RateLimitError,
        ResponseError,
        ResponseTooLarge,
        ServerError,
        SignatureError,
        TransportError,
        UnfitError,
        WaitError,
        WaitTimedOut,
    )
    from pinstripe._http.messages import Request, Response
    from pinstripe._http.transport import Transport
    from pinstripe._limits.budget import SharedBudget
    from pinstripe._models.convert import converter, from_dict, to_dict
    from pinstripe._models.page import Page
    from pinstripe._models.sketch import sketch
    from pinstripe._resources.endpoint import response_of
    from pinstripe._resources.pager import Pager
    from pinstripe._resources.walk import Created
    from pinstripe.sync import Client

__all__ = [
    "TLS",
    "APIError",
    "AsyncClient",
    "AuthenticationError",
    "BudgetUnavailable",
    "CallInfo",
    "CertificateError",
    "Client",
    "ConfigurationError",
    "ConflictError",
    "ConnectError",
    "ConnectionLost",
    "Created",
    "DeadlineExceeded",
    "DecodeError",
    "DeliveryInfo",
    "GoalUnreachable",
    "HandledInfo",
    "HandlerInfo",
    "Hooks",
    "IdempotencyError",
    "IncompleteError",
    "InvalidRequestError",
    "Limits",
    "NotFoundError",
    "Page",
    "Pager",
    "PaginationError",
    "PermissionDeniedError",
    "PinstripeError",
    "RateLimit",
    "RateLimitError",
    "ReceiptInfo",
    "Request",
    "RequestInfo",
    "RequestOptions",
    "Response",
    "ResponseError",
    "ResponseInfo",
    "ResponseTooLarge",
    "ResultInfo",
    "RetryInfo",
    "RetryPolicy",
    "ServerError",
    "SharedBudget",
    "SignatureError",
    "Timeout",
    "Transport",
    "TransportError",
    "UnfitError",
    "WaitError",
    "WaitInfo",
    "WaitTimedOut",
    "__version__",
    "adapters",
    "bulk",
    "climate",
    "converter",
    "crypto",
    "events",
    "export",
    "files",
    "forwarding",
    "from_dict",
    "identity",
    "response_of",
    "sandbox",
    "sketch",
    "sync",
    "testing",
    "to_dict",
    "v2",
    "webhook_endpoints",
    "webhooks",
]

if not TYPE_CHECKING:
    from pinstripe import _lazy

    # A name is looked for in these modules one after the other, the cheapest to import first: an
    # error or an option costs little, and only `Client` costs the import of all of them.
    __getattr__, __dir__ = _lazy.lazy_names(
        __name__,
        __all__,
        [
            "_core.errors",
            "_config.options",
            "_limits.budget",
            "_config.tls",
            "_config.infos",
            "_config.hooks",
            "_http.messages",
            "_models.convert",
            "_resources.endpoint",
            "_resources.walk",
            "_resources.pager",
            "_http.transport",
            "_client",
            "_models.sketch",
            "sync",
        ],
    )
