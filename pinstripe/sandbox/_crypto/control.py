"""Control routes of the onramp: the steps that a buyer takes on the hosted page.

Parameters, by path below `/_sandbox/`:

- `POST crypto/onramp_sessions/{id}/advance`: `status` (required), which must be one step away
- `POST crypto/onramp_sessions/{id}/complete`: none

Both answer with the session as the API shows it.
"""

from __future__ import annotations

from typing import Final

from pinstripe.sandbox._crypto import steps
from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.routes import control_route
from pinstripe.sandbox._params.schema import Object, Word
from pinstripe.sandbox._state.lifecycles import ONRAMP_SESSION
from pinstripe.sandbox._state.table import Json

_PATH: Final = "crypto/onramp_sessions/{id}"

_ADVANCE: Final = Object(
    {"status": Word(tuple(sorted(ONRAMP_SESSION.states)))}, required=("status",)
)


def _advance(call: Call) -> Json:
    """Move an onramp session to a status that is one step away."""
    return call.show(steps.advance(call.account, _session(call), call.params["status"]))


def _complete(call: Call) -> Json:
    """Move an onramp session through every remaining step."""
    return call.show(steps.complete(call.account, _session(call)))


def _session(call: Call) -> Json:
    return call.account.get(steps.SESSION, call.ids[0], "id")


ROUTES: Final = (
    control_route("POST", f"{_PATH}/advance", _advance, _ADVANCE),
    control_route("POST", f"{_PATH}/complete", _complete),
)
