"""The control route that fills an account with objects of any kind, as if they were made earlier.

Each object is made by the very calls that a client and a driver would make, in the past of its
account: its times lie there, and what was due since then happens. Nothing is delivered. `POST seed`
takes:

- `kind` (required): the `object` of what is created
- `count` (default 1), and `interval`: seconds between two of them (default 60); the newest is
  created now
- `status`: the status of all of them; without it they have every status of the kind in turn
- `params`: parameters of the call that creates one, over those below
- `events`: whether their events are in the log (default false)

It answers with `{"created": count, "ids": [...]}`, the ids of the newest hundred, newest first; for
reports and events, they are those of their sessions. In a text of `params`, `{number}` is the
number of the object, from 1. A session is verified with its report and images; for a long history
of sessions with reports alone, `identity/seed` takes less time and memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final, TypeAlias, cast

from attrs import field, frozen

from pinstripe.sandbox._http import dispatch
from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.routes import Route, RouteTable, control_route
from pinstripe.sandbox._http.slices import Steps
from pinstripe.sandbox._params.errors import invalid
from pinstripe.sandbox._params.forms import Form, Tree, Upload
from pinstripe.sandbox._params.schema import BOOLEAN, Integer, Object, Word
from pinstripe.sandbox._state.origin import NO_REQUEST
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import Account

MAX_COUNT: Final = 1_000_000
DEFAULT_INTERVAL: Final = 60
MAX_INTERVAL: Final = 366 * 24 * 60 * 60
IDS_SHOWN: Final = 100


@frozen
class _Step:
    """A call: its path, in which {id} is the object's, and its parameters."""

    path: str
    params: Form = field(factory=dict[str, Tree])


_Steps: TypeAlias = tuple[_Step, ...]


@frozen
class _Recipe:
    """How to make an object of a kind.

    Attributes:
        make: The call that creates it.
        statuses: The calls that follow, by the status that they lead to.
        before: A call for an object that it needs first; its id is {before} in the parameters.
        events: Whether the events are what is wanted.
    """

    make: _Step
    statuses: Mapping[str, _Steps] = field(factory=dict[str, _Steps])
    before: _Step | None = None
    events: bool = False


_SESSION: Final = _Step(
    "/v1/identity/verification_sessions",
    {"type": "document", "client_reference_id": "seed-{number}"},
)
_SESSION_STEPS: Final = "/_sandbox/identity/verification_sessions/{id}"
_VERIFIED: Final = (_Step(f"{_SESSION_STEPS}/verify"),)
_FILE: Final = _Step(
    "/v1/files",
    {
        "purpose": "dispute_evidence",
        "file": Upload("seeded.pdf", "application/pdf", b"%PDF-1.7 seeded"),
    },
)
_ORDER_STEPS: Final = "/_sandbox/climate/orders/{id}"
_ONRAMP_STEPS: Final = "/_sandbox/crypto/onramp_sessions/{id}"

_RECIPES: Final[Mapping[str, _Recipe]] = {
    "climate.order": _Recipe(
        _Step("/v1/climate/orders", {"product": "climsku_mixed_portfolio", "metric_tons": "0.01"}),
        {
            "confirmed": (),
            "delivered": (_Step(f"{_ORDER_STEPS}/deliver"),),
            "canceled": (_Step(f"{_ORDER_STEPS}/cancel"),),
        },
    ),
    "climate.product": _Recipe(
        _Step(
            "/_sandbox/climate/products",
            {
                "name": "Seeded {unique}",
                "prices": {"usd": "30000"},
                "suppliers": ["climsup_emberloam"],
                "metric_tons_available": "1000",
            },
        )
    ),
    "crypto.onramp_session": _Recipe(
        _Step("/v1/crypto/onramp_sessions"),
        {
            "initialized": (),
            "requires_payment": (
                _Step(f"{_ONRAMP_STEPS}/advance", {"status": "requires_payment"}),
            ),
            "fulfillment_complete": (_Step(f"{_ONRAMP_STEPS}/complete"),),
            "rejected": (_Step(f"{_ONRAMP_STEPS}/advance", {"status": "rejected"}),),
        },
    ),
    # What happens in the log of events: here, sessions are created.
    "event": _Recipe(_SESSION, events=True),
    "file": _Recipe(_FILE),
    "file_link": _Recipe(_Step("/v1/file_links", {"file": "{before}"}), before=_FILE),
    "forwarding.request": _Recipe(
        _Step(
            "/_sandbox/forwarding/requests",
            {
                "payment_method": "pm_card_visa",
                "replacements": ["card_number"],
                "url": "http://localhost/",
                "request": {"body": '{"number": ""}'},
            },
        )
    ),
    "identity.verification_report": _Recipe(_SESSION, {"verified": _VERIFIED}),
    "identity.verification_session": _Recipe(
        _SESSION,
        {
            "requires_input": (),
            "verified": _VERIFIED,
            "processing": (_Step(f"{_SESSION_STEPS}/submit"),),
            "canceled": (_Step("/v1/identity/verification_sessions/{id}/cancel"),),
        },
    ),
    "v2.core.event_destination": _Recipe(
        _Step(
            "/v2/core/event_destinations",
            {
                "name": "Seeded {unique}",
                "type": "webhook_endpoint",
                "event_payload": "thin",
                "enabled_events": ["v1.climate.order.created"],
                "webhook_endpoint": {"url": "http://localhost/{number}"},
            },
        )
    ),
    "webhook_endpoint": _Recipe(
        _Step(
            "/v1/webhook_endpoints",
            {"url": "http://localhost/{number}", "enabled_events": ["*"]},
        )
    ),
}


@frozen
class _Params:
    """A parameter: an object with parameters of the call that creates one."""

    def read(self, raw: Tree, path: str) -> Form:
        if not isinstance(raw, dict):
            raise invalid("Invalid object: params", path)
        return raw


_STATUSES: Final = sorted({status for recipe in _RECIPES.values() for status in recipe.statuses})
_SEED: Final = Object(
    {
        "kind": Word(tuple(_RECIPES)),
        "count": Integer(1, MAX_COUNT),
        "interval": Integer(0, MAX_INTERVAL),
        "status": Word(tuple(_STATUSES)),
        "params": _Params(),
        "events": BOOLEAN,
    },
    required=("kind",),
)


def seed_route(table: RouteTable) -> Route:
    """Return the route that seeds.

    Args:
        table: The routes that make the objects.
    """

    def seed(call: Call) -> Steps:
        """Create objects of a kind, as if they were made earlier."""
        account, params = call.account, call.params
        recipe = _RECIPES[params["kind"]]
        status: str | None = params.get("status")
        statuses: list[str | None] = [*recipe.statuses] or [None]
        if status is not None and status not in recipe.statuses:
            text = f"Invalid status: must be one of {', '.join(recipe.statuses) or 'none'}"
            raise invalid(text, "status")
        count, interval = params.get("count", 1), params.get("interval", DEFAULT_INTERVAL)
        now, ids = account.now(), deque[str](maxlen=IDS_SHOWN)
        # The oldest comes first: objects of the same second are listed in the order of storing.
        for age in range(count - 1, -1, -1):
            chosen = status or statuses[age % len(statuses)]
            with account.in_the_past(
                max(0.0, now - age * interval), events=recipe.events or params.get("events", False)
            ):
                maker = _Maker(table, account, count - age)
                ids.appendleft(maker.make(recipe, chosen, params.get("params", {})))
            yield
        return {"created": count, "ids": list(ids)}

    return control_route("POST", "seed", seed, _SEED)


@frozen
class _Maker:
    """Makes one object.

    Attributes:
        table: The routes.
        account: The account that stores it.
        number: Its number.
    """

    table: RouteTable
    account: Account
    number: int

    def make(self, recipe: _Recipe, status: str | None, params: Form) -> str:
        """Follow a recipe, and return the id of the object."""
        names = {"number": f"{self.number:07}", "unique": self.account.random_text(8)}
        if recipe.before is not None:
            names["before"] = self._run(recipe.before, {}, names)
        names["id"] = id = self._run(recipe.make, params, names)
        for step in recipe.statuses[status] if status else ():
            self._run(step, {}, names)
        return id

    def _run(self, step: _Step, params: Form, names: Mapping[str, str]) -> str:
        path = _filled(step.path, names)
        match = self.table.match("POST", path)
        form = cast("Form", _filled({**step.params, **params}, names))
        call = dispatch.prepare(
            match, form, self.account, restricted=False, origin=NO_REQUEST, path=path
        )
        answer = cast("Json", match.route.handler(call))
        id: str = answer["id"]
        return id


def _filled(value: Any, names: Mapping[str, str]) -> Any:
    """Return a value in whose texts the names are replaced, such as {number}."""
    if isinstance(value, str):
        for name, text in names.items():
            value = value.replace(f"{{{name}}}", text)
        return value
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return {key: _filled(inner, names) for key, inner in items}
    if isinstance(value, list):
        return [_filled(inner, names) for inner in cast("list[Any]", value)]
    return value
