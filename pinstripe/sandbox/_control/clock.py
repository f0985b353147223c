"""Control routes of the clock.

A control route takes a form or a JSON object, needs a test key like any request, and acts on the
account in `Stripe-Account`. Parameters, by path below `/_sandbox/`:

- `GET clock`: none
- `POST clock`: `advance` (required, in seconds); only for a sandbox with a manual clock

Both answer with `{"now": seconds}`.
"""

from __future__ import annotations

from typing import Final

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.routes import control_route
from pinstripe.sandbox._params.errors import invalid
from pinstripe.sandbox._params.schema import Object, PositiveDecimal
from pinstripe.sandbox._state.clock import ManualClock
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import World

_CLOCK: Final = Object({"advance": PositiveDecimal()}, required=("advance",))


def run_due_jobs(world: World) -> None:
    """Run the jobs that are due, on every account."""
    for account in world.accounts():
        account.run_due()


def _read_clock(call: Call) -> Json:
    return {"now": call.account.now()}


def _move_clock(call: Call) -> Json:
    clock = call.account.settings.clock
    if not isinstance(clock, ManualClock):
        raise invalid(
            "The clock of this sandbox runs by itself. Start the sandbox with a manual clock."
        )
    clock.advance(float(call.params["advance"]))
    # All accounts share the clock. When this answer arrives, what was due has happened.
    run_due_jobs(call.account.world)
    return _read_clock(call)


ROUTES: Final = (
    control_route("GET", "clock", _read_clock),
    control_route("POST", "clock", _move_clock, _CLOCK),
)
