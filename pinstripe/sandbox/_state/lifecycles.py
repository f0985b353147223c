"""State machines as tables, and the small engine that steps them.

A row says: from this state, by this action, to that state, and which event tells of it. A call
that has no row is refused; the published facts give no code for that, the sandbox answers 400
`status_transition_invalid`. Where they say `unknown` the tables choose: a canceled session takes
no redaction, a session is redacted once, `quote_ready` is reached without an event, a climate
order can be canceled while it is not paid, and is delayed or gets another product only once it is.
"""

from __future__ import annotations

from typing import Final

import attrs

from pinstripe.sandbox._params.errors import invalid


@attrs.frozen
class Transition:
    """One row: from a state, by an action, to a state, told by an event (or by none)."""

    source: str
    action: str
    target: str
    event: str | None = None


@attrs.frozen
class Lifecycle:
    """A state machine.

    Args:
        name: the type of object that lives it.
        initial: state of a new object.
        rows: the transitions.
    """

    name: str
    initial: str
    rows: tuple[Transition, ...]

    @property
    def states(self) -> frozenset[str]:
        """Every state of the table."""
        return frozenset({self.initial, *(row.target for row in self.rows)})

    def step(self, state: str, action: str) -> Transition:
        """Return the row for an action in a state.

        Raises:
            Refusal: 400, when there is none.
        """
        for row in self.rows:
            if row.source == state and row.action == action:
                return row
        raise invalid(
            f"A {self.name} with the status {state} cannot take the step {action}.",
            code="status_transition_invalid",
        )

    def step_to(self, state: str, target: str) -> Transition:
        """Return the row that leads from a state to another in one step.

        Raises:
            Refusal: 400, when there is none.
        """
        for row in self.rows:
            if row.source == state and row.target == target:
                return row
        raise invalid(
            f"A {self.name} cannot go from {state} to {target}.", code="status_transition_invalid"
        )


_SESSION = "identity.verification_session"
_ONRAMP_UPDATED = "crypto.onramp_session.updated"

VERIFICATION_SESSION: Final = Lifecycle(
    _SESSION,
    "requires_input",
    (
        Transition("requires_input", "submit", "processing", f"{_SESSION}.processing"),
        Transition("processing", "verify", "verified", f"{_SESSION}.verified"),
        Transition("processing", "fail", "requires_input", f"{_SESSION}.requires_input"),
        Transition("requires_input", "give_up", "requires_input", f"{_SESSION}.requires_input"),
        Transition("requires_input", "cancel", "canceled", f"{_SESSION}.canceled"),
        Transition("requires_input", "redact", "canceled", f"{_SESSION}.canceled"),
        Transition("verified", "redact", "verified"),
    ),
)

REDACTION: Final = Lifecycle(
    "redaction",
    "none",
    (
        Transition("none", "redact", "processing"),
        Transition("processing", "finish", "redacted", f"{_SESSION}.redacted"),
    ),
)

ONRAMP_SESSION: Final = Lifecycle(
    "crypto.onramp_session",
    "initialized",
    (
        Transition("initialized", "sign_in", "requires_payment", _ONRAMP_UPDATED),
        Transition("initialized", "reject", "rejected", _ONRAMP_UPDATED),
        Transition("requires_payment", "reject", "rejected", _ONRAMP_UPDATED),
        Transition("requires_payment", "pay", "fulfillment_processing", _ONRAMP_UPDATED),
        Transition("fulfillment_processing", "deliver", "fulfillment_complete", _ONRAMP_UPDATED),
        Transition("initialized", "refresh_quote", "quote_ready"),
        Transition("quote_ready", "checkout", "fulfillment_processing", _ONRAMP_UPDATED),
    ),
)

_ORDER = "climate.order"

CLIMATE_ORDER: Final = Lifecycle(
    _ORDER,
    "none",
    (
        Transition("none", "create", "confirmed", f"{_ORDER}.created"),
        Transition("none", "create_open", "open", f"{_ORDER}.created"),
        Transition("none", "create_unfunded", "awaiting_funds", f"{_ORDER}.created"),
        Transition("open", "pay", "confirmed"),
        Transition("open", "expire", "canceled", f"{_ORDER}.canceled"),
        Transition("open", "cancel", "canceled", f"{_ORDER}.canceled"),
        Transition("awaiting_funds", "pay", "confirmed"),
        Transition("awaiting_funds", "expire", "canceled", f"{_ORDER}.canceled"),
        Transition("awaiting_funds", "cancel", "canceled", f"{_ORDER}.canceled"),
        Transition("confirmed", "delay", "confirmed", f"{_ORDER}.delayed"),
        Transition("confirmed", "substitute", "confirmed", f"{_ORDER}.product_substituted"),
        Transition("confirmed", "cancel", "canceled", f"{_ORDER}.canceled"),
        Transition("confirmed", "withdraw", "canceled", f"{_ORDER}.canceled"),
        Transition("confirmed", "deliver", "delivered", f"{_ORDER}.delivered"),
    ),
)
