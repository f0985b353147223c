"""The blocking client: what `AsyncClient` has, for code that does not await."""

from pinstripe.sync._export import to_file
from pinstripe.sync._fan_out import fan_out
from pinstripe.sync._generated import (
    Client,
    Climate,
    Crypto,
    Events,
    FileLinks,
    Files,
    Forwarding,
    ForwardingRequests,
    Identity,
    OnrampQuotes,
    OnrampSessions,
    Orders,
    Products,
    Suppliers,
    VerificationReports,
    VerificationSessions,
    WebhookEndpoints,
)
from pinstripe.sync._pager import Pager

__all__ = [
    "Client",
    "Climate",
    "Crypto",
    "Events",
    "FileLinks",
    "Files",
    "Forwarding",
    "ForwardingRequests",
    "Identity",
    "OnrampQuotes",
    "OnrampSessions",
    "Orders",
    "Pager",
    "Products",
    "Suppliers",
    "VerificationReports",
    "VerificationSessions",
    "WebhookEndpoints",
    "fan_out",
    "to_file",
]
