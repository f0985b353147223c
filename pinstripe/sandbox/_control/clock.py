"""Control routes of the clock.

Control routes take a form or a JSON object, need a test key like any request, and act on the
account of `Stripe-Account`. Parameters, by path below `/_sandbox/`:

- `GET clock`: none
- `POST clock`: `advance` (seconds); refused unless the clock is a manual one

Both answer with `{"now": seconds}`. The routes of each product are in its `control` module.
"""

from __future__ import annotations

from typing import Final

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.routes import control_route
from pinstripe.sandbox._params.errors import invalid
from pinstripe.sandbox._params.schema import (
    Object,
    PositiveDecimal,
)
from pinstripe.sandbox._state.clock import ManualClock
from pinstripe.sandbox._state.table import Json

_CLOCK: Final = Object({"advance": PositiveDecimal()}, required=("advance",))


def _read_clock(call: Call) -> Json:
    return {"now": call.account.now()}


def _move_clock(call: Call) -> Json:
    clock = call.account.settings.clock
    if not isinstance(clock, ManualClock):
        raise invalid("The clock of this sandbox runs by itself; start it with a manual one.")
    clock.advance(float(call.params["advance"]))
    for account in call.account.world.accounts():
        account.run_due()
    return _read_clock(call)


ROUTES: Final = (
    control_route("GET", "clock", _read_clock),
    control_route("POST", "clock", _move_clock, _CLOCK),
)
