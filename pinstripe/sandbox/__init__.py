"""Names of the sandbox: an emulator of a slice of the Stripe API that runs inside a test."""

from pinstripe.sandbox._params.errors import Refusal
from pinstripe.sandbox._sandbox import Sandbox
from pinstripe.sandbox._server import Server, ServerThread, serve
from pinstripe.sandbox._state.clock import Clock, ManualClock
from pinstripe.sandbox._state.settings import Settings
from pinstripe.sandbox._traffic.rate_limits import RateLimits

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
