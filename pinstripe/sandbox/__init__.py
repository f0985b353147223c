"""Names of the sandbox: an emulator of a slice of the Stripe API that runs inside a test."""

from pinstripe.sandbox.clock import Clock, ManualClock
from pinstripe.sandbox.embedded import Sandbox
from pinstripe.sandbox.errors import Refusal
from pinstripe.sandbox.limits import RateLimits
from pinstripe.sandbox.server import Server, ServerThread, serve
from pinstripe.sandbox.world import Settings

__all__ = [
    "Clock",
    "ManualClock",
    "RateLimits",
    "Refusal",
    "Sandbox",
    "Server",
    "ServerThread",
    "Settings",
    "serve",
]
