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

_CLOCK: Final = Object({"advance": PositiveDecimal()}, required=("advance",))


def _read_clock(call: Call) -> Json:
    return {"now": call.account.now()}


def _move_clock(call: Call) -> Json:
    clock = call.account.settings.clock
    if not isinstance(clock, ManualClock):
        raise invalid(
            "The clock of this sandbox runs by itself. Start the sandbox with a manual clock."
        )
    clock.advance(float(call.params["advance"]))
    # The answer must not come before what has become due, on every account: the clock is shared.
    for account in call.account.world.accounts():
        account.run_due()
    return _read_clock(call)


ROUTES: Final = (
    control_route("GET", "clock", _read_clock),
    control_route("POST", "clock", _move_clock, _CLOCK),
)
