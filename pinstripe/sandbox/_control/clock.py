"""Control routes of the clock.

A control route takes a form or a JSON object, needs a test key like any request, and acts on the
account in `Stripe-Account`. Parameters, by path below `/_sandbox/`:

- `GET clock`: none
- `POST clock`: `advance` (in seconds), or `now` (seconds since the epoch, not before the time of
  the clock); only for a sandbox with a manual clock

Both answer with `{"now": seconds}`.
"""

from __future__ import annotations

from typing import Final

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.lists import exclusive
from pinstripe.sandbox._http.routes import control_route
from pinstripe.sandbox._params.errors import invalid
from pinstripe.sandbox._params.schema import Object, PositiveDecimal
from pinstripe.sandbox._state.clock import ManualClock
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import World

_CLOCK: Final = Object({"advance": PositiveDecimal(), "now": PositiveDecimal()})


def run_due_jobs(world: World) -> None:
    """Run the jobs that are due, on every account."""
    for account in world.accounts():
        account.run_due()


def _read_clock(call: Call) -> Json:
    """Return the time."""
    return {"now": call.account.now()}


def _move_clock(call: Call) -> Json:
    """Move a manual clock forward, and run what is due by then."""
    clock = call.account.settings.clock
    if not isinstance(clock, ManualClock):
        raise invalid(
            "The clock of this sandbox runs by itself. Start the sandbox with a manual clock."
        )
    exclusive(call, "advance", "now")
    if not call.params:
        raise invalid("Missing required param: advance.", "advance", "parameter_missing")
    ((name, number),) = call.params.items()
    move = clock.advance if name == "advance" else clock.move_to
    try:
        move(float(number))
    except ValueError as error:
        raise invalid(f"Invalid {name}: {error}", name) from None
    # All accounts share the clock. When this answer arrives, what was due has happened.
    run_due_jobs(call.account.world)
    return _read_clock(call)


ROUTES: Final = (
    control_route("GET", "clock", _read_clock),
    control_route("POST", "clock", _move_clock, _CLOCK),
)
