"""State machines as tables, and the small engine that steps through them.

A row says: from this state, by this action, to that state, and which event reports it. An action
without a row is refused.

Choices of the sandbox, because the published facts are silent: a refused action is a 400
`status_transition_invalid`; a canceled session cannot be redacted; a session is redacted once;
`quote_ready` has no event; a climate order can be canceled before it is paid, and can be delayed or
get another product only afterwards.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from pinstripe.sandbox._params.errors import invalid


@frozen
class Transition:
    """One row: from a state, by an action, to a state.

    Attributes:
        source: The state before.
        action: The name of the action.
        target: The state after.
        event: The type of the event that reports the change; None for no event.
    """

    source: str
    action: str
    target: str
    event: str | None = None


@frozen
class Lifecycle:
    """A state machine.

    Attributes:
        name: The type of the objects.
        initial: The state of a new object.
        rows: The transitions.
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
            Refusal: 400, if there is none.
        """
        for row in self.rows:
            if row.source == state and row.action == action:
                return row
        raise invalid(
            f"This {self.name} has the status {state}, which does not allow the step {action}.",
            code="status_transition_invalid",
        )

    def step_to(self, state: str, target: str) -> Transition:
        """Return the row that leads from a state to another in one step.

        Raises:
            Refusal: 400, if there is none.
        """
        for row in self.rows:
            if row.source == state and row.target == target:
                return row
        raise invalid(
            f"This {self.name} has the status {state}, which {target} cannot follow.",
            code="status_transition_invalid",
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
