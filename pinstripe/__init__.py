"""Pinstripe: the parts of Stripe that other SDKs serve badly, fast, typed and exact.

The models, parameter types and calls of each product are in a module of their own: `identity`,
`crypto`, `climate`, `forwarding`, `webhook_endpoints`, `files` and `events`.
`pinstripe.sandbox` is a server to develop against, `pinstripe.bulk` a bounded fan-out for many
calls at once, `pinstripe.export` what writes lists to files, `pinstripe.pytest_plugin` the
fixtures of your tests.
"""

from typing import TYPE_CHECKING

from pinstripe._version import __version__

if TYPE_CHECKING:
    from pinstripe import (
        bulk,
        climate,
        crypto,
        events,
        export,
        files,
        forwarding,
        identity,
        sync,
        webhook_endpoints,
    )
    from pinstripe._client import AsyncClient
    from pinstripe._config import Pool, RateLimit, RequestOptions, RetryPolicy, Timeout
    from pinstripe._convert import to_dict
    from pinstripe._endpoint import Page, response_of
    from pinstripe._errors import (
        APIError,
        AuthenticationError,
        CertificateError,
        ConfigurationError,
        ConflictError,
        ConnectError,
        ConnectionLost,
        DeadlineExceeded,
        DecodeError,
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
    )
    from pinstripe._hooks import Hooks, RequestInfo, ResponseInfo, RetryInfo, WaitInfo
    from pinstripe._network import TLS
    from pinstripe._pager import Pager
    from pinstripe._transport import Transport
    from pinstripe._walk import Created
    from pinstripe._wire import Request, Response
    from pinstripe.sync import Client

__all__ = [
    "TLS",
    "APIError",
    "AsyncClient",
    "AuthenticationError",
    "CertificateError",
    "Client",
    "ConfigurationError",
    "ConflictError",
    "ConnectError",
    "ConnectionLost",
    "Created",
    "DeadlineExceeded",
    "DecodeError",
    "Hooks",
    "IdempotencyError",
    "IncompleteError",
    "InvalidRequestError",
    "NotFoundError",
    "Page",
    "Pager",
    "PaginationError",
    "PermissionDeniedError",
    "PinstripeError",
    "Pool",
    "RateLimit",
    "RateLimitError",
    "Request",
    "RequestInfo",
    "RequestOptions",
    "Response",
    "ResponseError",
    "ResponseInfo",
    "ResponseTooLarge",
    "RetryInfo",
    "RetryPolicy",
    "ServerError",
    "SignatureError",
    "Timeout",
    "Transport",
    "TransportError",
    "WaitInfo",
    "__version__",
    "bulk",
    "climate",
    "crypto",
    "events",
    "export",
    "files",
    "forwarding",
    "identity",
    "response_of",
    "sync",
    "to_dict",
    "webhook_endpoints",
]

if not TYPE_CHECKING:
    from pinstripe import _lazy

    __getattr__, __dir__ = _lazy.lazy_names(
        __name__,
        __all__,
        (
            "_errors",
            "_hooks",
            "_network",
            "_config",
            "_wire",
            "_convert",
            "_endpoint",
            "_walk",
            "_pager",
            "_transport",
            "_client",
            "sync",
        ),
    )
