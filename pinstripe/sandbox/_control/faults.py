"""Control routes of faults, rate limits and effects.

They act on the whole sandbox, need a test key like any request, and never meet a fault or a rate
limit themselves. Parameters, by path below `/_sandbox/`:

- `GET faults`: none; the faults that were added, each with its `hits`
- `DELETE faults`: none; removes all of them
- `DELETE faults/{fault}`: none; removes the one with this `id`
- `POST faults`: `latency` (seconds), `status` (400 to 599) or `cut`; `code`, `type`, `message` and
  `param` of the error with that status; `effect`, `method`, `path` (`*` matches any text), `count`,
  `probability` (above 0, at most 1)
- `GET rate_limit`: none
- `POST rate_limit`: `account`, `endpoint`, `files` (requests per second); without `account` there
  is no limit
- `GET effects`: `idempotency_key`
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from attrs import asdict

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.routes import control_route
from pinstripe.sandbox._params.errors import API, IDEMPOTENCY, INVALID_REQUEST, invalid, missing
from pinstripe.sandbox._params.schema import (
    BOOLEAN,
    STRING,
    Integer,
    Object,
    PositiveDecimal,
    String,
    Word,
)
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._traffic.faults import Fault
from pinstripe.sandbox._traffic.feed import FAULTS
from pinstripe.sandbox._traffic.rate_limits import RateLimits

# A bound of this sandbox, so that a mistyped latency does not hang a test for hours.
MAX_LATENCY: Final = 600.0

_FAULT: Final = Object(
    {
        "latency": PositiveDecimal(),
        "status": Integer(400, 599),
        "code": String(max_length=100),
        "type": Word((API, "card_error", IDEMPOTENCY, INVALID_REQUEST)),
        "message": STRING,
        "param": STRING,
        "cut": BOOLEAN,
        "effect": BOOLEAN,
        "method": Word(("GET", "POST", "DELETE")),
        "path": STRING,
        "count": Integer(1, 1_000_000_000),
        "probability": PositiveDecimal(),
    }
)
_PER_SECOND: Final = PositiveDecimal()
_RATE_LIMIT: Final = Object({"account": _PER_SECOND, "endpoint": _PER_SECOND, "files": _PER_SECOND})
_EFFECTS: Final = Object({"idempotency_key": STRING})


def _add_fault(call: Call) -> Json:
    """Make matching requests fail from now on."""
    fault = Fault(**call.params)
    # What each parameter takes is in the schema. Here are the rules between them.
    worded = [name for name in ("code", "type", "message", "param") if name in call.params]
    if worded and fault.status is None:
        raise invalid(f"Send status with {worded[0]}.", "status", "parameter_missing")
    if fault.status is not None and fault.cut:
        text = "You may only specify one of status and cut."
        raise invalid(text, "cut", "parameters_exclusive")
    if fault.effect and not (fault.cut or (fault.status or 0) >= 500):
        raise invalid("Send effect with cut, or with a status from 500 to 599.", "effect")
    if not (fault.latency or fault.cut or fault.status):
        raise invalid("Send latency, status or cut.", "latency", "parameter_missing")
    if fault.probability > 1:
        raise invalid("Invalid probability: must be at most 1", "probability")
    if fault.latency > MAX_LATENCY:
        raise invalid(f"Invalid latency: must be at most {MAX_LATENCY} seconds", "latency")
    call.account.world.faults.add(fault)
    call.account.world.feed.publish(None, FAULTS)
    return _plain(fault)


def _list_faults(call: Call) -> Json:
    """List the faults, each with its hits."""
    return {"faults": [_plain(fault) for fault in call.account.world.faults.added]}


def _clear_faults(call: Call) -> Json:
    """Remove all faults."""
    call.account.world.faults.clear()
    call.account.world.feed.publish(None, FAULTS)
    return _list_faults(call)


def _remove_fault(call: Call) -> Json:
    """Remove one fault."""
    if not call.account.world.faults.remove(call.ids[0]):
        raise missing("fault", call.ids[0], "fault")
    call.account.world.feed.publish(None, FAULTS)
    return _list_faults(call)


def _read_rate_limit(call: Call) -> Json:
    """Return the rate limits."""
    limits = call.account.world.rate_limiter.limits
    return {"account": None, "endpoint": None, "files": None} if limits is None else _plain(limits)


def _set_rate_limit(call: Call) -> Json:
    """Change the rate limits, or end them."""
    # No parameters at all mean no limit.
    if call.params and "account" not in call.params:
        raise invalid("Missing required param: account.", "account", "parameter_missing")
    call.account.world.rate_limiter.set(RateLimits(**call.params) if call.params else None)
    call.account.world.feed.publish(None, FAULTS)
    return _read_rate_limit(call)


def _list_effects(call: Call) -> Json:
    """List what requests really changed."""
    found = call.account.world.effects.find(call.params.get("idempotency_key"))
    return {"effects": [_plain(effect) for effect in found]}


def _plain(value: Any) -> Json:
    plain: Json = msgspec.to_builtins(asdict(value))
    return plain


ROUTES: Final = (
    control_route("GET", "faults", _list_faults),
    control_route("POST", "faults", _add_fault, _FAULT),
    control_route("DELETE", "faults", _clear_faults),
    control_route("DELETE", "faults/{fault}", _remove_fault),
    control_route("GET", "rate_limit", _read_rate_limit),
    control_route("POST", "rate_limit", _set_rate_limit, _RATE_LIMIT),
    control_route("GET", "effects", _list_effects, _EFFECTS),
)
