"""What the console can do with an object, by its kind and its state.

An action is one request: to the API for what its owner does, to a control route for what people,
reviewers and time do. The lifecycle tables say which steps a state allows, so an action that is
offered can be refused only for what its fields say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from attrs import asdict, field, frozen

from pinstripe.sandbox._climate.catalogue import PRODUCT
from pinstripe.sandbox._climate.orders import CANCEL_STEPS, ORDER
from pinstripe.sandbox._crypto.steps import SESSION as ONRAMP
from pinstripe.sandbox._files.endpoints import LINK
from pinstripe.sandbox._identity import people
from pinstripe.sandbox._identity.steps import SESSION as VERIFICATION
from pinstripe.sandbox._state.lifecycles import (
    CLIMATE_ORDER,
    ONRAMP_SESSION,
    REDACTION,
    VERIFICATION_SESSION,
    Lifecycle,
)
from pinstripe.sandbox._state.table import Json, get_object
from pinstripe.sandbox._state.world import EVENT
from pinstripe.sandbox._webhooks.endpoints import ENDPOINT


@frozen
class Field:
    """A parameter that a person fills in.

    Attributes:
        name: The name of the parameter.
        label: What it is.
        choices: The values that it takes; empty for any text.
        optional: Whether it may stay empty.
    """

    name: str
    label: str
    choices: tuple[str, ...] = ()
    optional: bool = False


@frozen
class Action:
    """Something to do with an object.

    Attributes:
        label: What it does.
        path: The path of the request.
        params: The parameters that are always the same.
        fields: The parameters that a person fills in.
        method: The HTTP method.
    """

    label: str
    path: str
    params: Mapping[str, str] = field(factory=dict[str, str])
    fields: tuple[Field, ...] = ()
    method: str = "POST"


Offer: TypeAlias = Callable[[Json], Iterator[Action]]


def actions_of(value: Json) -> list[Json]:
    """Return what can be done with an object as it is now, as plain data."""
    offer = _OFFERS.get(value["object"])
    return [] if offer is None else [asdict(action) for action in offer(value)]


def _verification(value: Json) -> Iterator[Action]:
    allowed = _allowed(VERIFICATION_SESSION, value["status"])
    control = f"/_sandbox/identity/verification_sessions/{value['id']}"
    api = f"/v1/identity/verification_sessions/{value['id']}"
    redaction = get_object(value, "redaction").get("status", REDACTION.initial)
    if "submit" in allowed:
        yield Action("Submit", f"{control}/submit")
    # A session that waits for input is submitted on the way.
    if allowed & {"submit", "verify"}:
        yield Action("Verify", f"{control}/verify")
        code = Field("code", "Code", people.codes_of(value))
        yield Action("Fail", f"{control}/fail", fields=(code, Field("reason", "Reason", (), True)))
    if "cancel" in allowed and redaction == REDACTION.initial:
        yield Action("Cancel", f"{api}/cancel")
    if "redact" in allowed and redaction == REDACTION.initial:
        yield Action("Redact", f"{api}/redact")
    if "finish" in _allowed(REDACTION, redaction):
        yield Action("Finish the redaction", f"{control}/finish_redaction")


def _onramp(value: Json) -> Iterator[Action]:
    control = f"/_sandbox/crypto/onramp_sessions/{value['id']}"
    for row in ONRAMP_SESSION.rows:
        if row.source == value["status"]:
            label = row.action.replace("_", " ").capitalize()
            yield Action(f"{label} ({row.target})", f"{control}/advance", {"status": row.target})
    if _allowed(ONRAMP_SESSION, value["status"]):
        yield Action("Complete the purchase", f"{control}/complete")


def _order(value: Json) -> Iterator[Action]:
    allowed = _allowed(CLIMATE_ORDER, value["status"])
    control = f"/_sandbox/climate/orders/{value['id']}"
    if "pay" in allowed:
        yield Action("Confirm", f"{control}/confirm")
    if "deliver" in allowed:
        yield Action("Deliver", f"{control}/deliver")
    if "delay" in allowed:
        year = Field("expected_delivery_year", "New year", (), True)
        yield Action("Delay", f"{control}/delay", fields=(year,))
    if "substitute" in allowed:
        product = Field("product", "Product (id)")
        yield Action("Substitute", f"{control}/substitute", fields=(product,))
    reasons = tuple(reason for reason, step in CANCEL_STEPS.items() if step in allowed)
    if reasons:
        reason = Field("reason", "Reason", reasons)
        yield Action("Cancel", f"{control}/cancel", fields=(reason,))


def _product(value: Json) -> Iterator[Action]:
    path = f"/_sandbox/climate/products/{value['id']}/change_price"
    currency = min(value["current_prices_per_metric_ton"])
    price = Field(f"prices[{currency}]", f"Minor units of {currency} per ton")
    yield Action("Change the price", path, fields=(price,))
    tons = Field("metric_tons_available", "Metric tons available")
    yield Action("Change what is left", path, fields=(tons,))


def _endpoint(value: Json) -> Iterator[Action]:
    path, enabled = f"/v1/webhook_endpoints/{value['id']}", value["status"] == "enabled"
    label = "Disable" if enabled else "Enable"
    yield Action(label, path, {"disabled": "true" if enabled else "false"})
    yield Action("Delete", path, method="DELETE")


def _event(value: Json) -> Iterator[Action]:
    yield Action("Resend", "/_sandbox/webhooks/resend", {"event": value["id"]})


def _link(value: Json) -> Iterator[Action]:
    if not value["expired"]:
        yield Action("Expire now", f"/v1/file_links/{value['id']}", {"expires_at": "now"})


def _allowed(lifecycle: Lifecycle, state: str) -> set[str]:
    return {row.action for row in lifecycle.rows if row.source == state}


_OFFERS: Final[Mapping[str, Offer]] = {
    ENDPOINT: _endpoint,
    EVENT: _event,
    LINK: _link,
    ONRAMP: _onramp,
    ORDER: _order,
    PRODUCT: _product,
    VERIFICATION: _verification,
}
