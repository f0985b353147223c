"""Every documented error of these resources, and how to get it: the table that the console shows.

The codes of `last_error` are no refusals: the last answer of their row is a session that has the
code. Choices where the published facts are silent: an error without a published status is a 400,
and a 403 where it says that somebody may not do something.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import asdict

from pinstripe.sandbox._identity.people import ERROR_REASONS
from pinstripe.sandbox._pages.onramp_refusals import ONRAMP_REFUSALS
from pinstripe.sandbox._pages.refusable import Refusable, Step, fault, row
from pinstripe.sandbox._params.errors import API, IDEMPOTENCY

_SESSIONS: Final = "/v1/identity/verification_sessions"
_ORDERS: Final = "/v1/climate/orders"
_PRODUCTS: Final = "/v1/climate/products"
_FORWARD: Final = "/v1/forwarding/requests"


def refusals() -> list[dict[str, Any]]:
    """Return the table as plain data."""
    return [{**asdict(row), "by_fault": row.by_fault} for row in REFUSALS]


def _create(**params: str) -> Step:
    return Step("POST", _SESSIONS, {"type": "document", **params})


def _last_error(check: str, code: str, reason: str) -> Refusable:
    create = {
        "selfie": _create(**{"options[document][require_matching_selfie]": "true"}),
        "id_number": Step("POST", _SESSIONS, {"type": "id_number"}),
        "email": Step("POST", _SESSIONS, {"verification_flow": "vf_any"}),
        "phone": Step("POST", _SESSIONS, {"verification_flow": "vf_any"}),
    }.get(check, _create())
    if code == "id_number_insufficient_document_data":
        create = _create(**{"options[document][require_id_number]": "true"})
    fail = Step("POST", "/_sandbox/identity/verification_sessions/{id}/fail", {"code": code})
    return Refusable("Identity: last_error", code, 200, "", reason, (create, fail))


_ANY: Final = "All resources"
_COMMON: Final = (
    row(
        _ANY,
        None,
        "The request has no API key.",
        Step("GET", _SESSIONS, headers={"Authorization": ""}),
        status=401,
    ),
    row(
        _ANY,
        "secret_key_required",
        "The key is a publishable one.",
        Step("GET", _SESSIONS, headers={"Authorization": "Bearer pk_test_any"}),
        status=401,
    ),
    fault(_ANY, "api_key_expired", "The key has expired.", status=401, path=_SESSIONS),
    fault(
        _ANY,
        "platform_api_key_expired",
        "The key of the platform has expired.",
        status=401,
        path=_SESSIONS,
    ),
    fault(
        _ANY,
        None,
        "The parameters are fine, but the request fails.",
        status=402,
        type="card_error",
        path=_SESSIONS,
    ),
    row(
        _ANY,
        None,
        "A plain secret key expands a field that needs a restricted key.",
        Step(
            "GET",
            _SESSIONS,
            {"expand[0]": "data.verified_outputs.dob"},
            {"Authorization": "Bearer sk_test_any"},
        ),
        status=403,
    ),
    fault(
        _ANY, "account_invalid", "The key has no access to the account.", status=403, path=_SESSIONS
    ),
    row(_ANY, None, "The URL is unknown.", Step("GET", "/v1/nothing"), status=404),
    row(
        _ANY,
        "resource_missing",
        "No object has the id.",
        Step("GET", f"{_SESSIONS}/vs_none"),
        status=404,
    ),
    row(
        _ANY,
        None,
        "An idempotency key is used again with other parameters.",
        Step("POST", _SESSIONS, {"type": "document"}, {"Idempotency-Key": "refusals-1"}),
        Step("POST", _SESSIONS, {"type": "id_number"}, {"Idempotency-Key": "refusals-1"}),
        type=IDEMPOTENCY,
    ),
    fault(
        _ANY,
        "idempotency_key_in_use",
        "A request with the same idempotency key is still running.",
        status=409,
        type=IDEMPOTENCY,
        path=_SESSIONS,
    ),
    fault(_ANY, None, "A system outside of the service fails.", status=424, path=_SESSIONS),
    row(
        _ANY,
        "rate_limit",
        "Too many requests in a short time; rate limits can be switched on too.",
        Step("POST", "/_sandbox/faults", {"status": "429", "path": _SESSIONS, "count": "1"}),
        Step("GET", _SESSIONS),
        status=429,
    ),
    fault(
        _ANY, "lock_timeout", "The object is locked by another request.", status=429, path=_SESSIONS
    ),
    *(
        fault(_ANY, None, "The service has trouble.", status=status, type=API, path=_SESSIONS)
        for status in (500, 502, 503, 504)
    ),
)
_PARAMETERS: Final = (
    row(
        "Parameters",
        "parameter_missing",
        "A required parameter is missing.",
        Step("POST", _SESSIONS),
    ),
    row("Parameters", "parameter_unknown", "A parameter is unknown.", _create(colour="red")),
    row("Parameters", "parameter_invalid_empty", "A value is empty.", _create(type="")),
    row(
        "Parameters",
        "parameter_invalid_integer",
        "A whole number is something else.",
        Step("GET", _SESSIONS, {"limit": "many"}),
    ),
    row(
        "Parameters",
        "parameters_exclusive",
        "Two parameters exclude each other.",
        Step("POST", _ORDERS, {"product": "any", "metric_tons": "1", "amount": "100"}),
    ),
    row(
        "Parameters",
        "url_invalid",
        "An address is not one.",
        _create(return_url="nowhere"),
    ),
    row(
        "Parameters",
        "email_invalid",
        "An email address is not one.",
        _create(**{"provided_details[email]": "nobody"}),
    ),
    row(
        "Parameters",
        "invalid_characters",
        "A text has characters that are not accepted.",
        _create(client_reference_id="\0"),
    ),
    row(
        "Parameters",
        "status_transition_invalid",
        "The status of the object does not allow the step.",
        _create(),
        Step("POST", f"{_SESSIONS}/{{id}}/cancel"),
        Step("POST", f"{_SESSIONS}/{{id}}/cancel"),
    ),
    fault(
        "Parameters",
        "parameter_invalid_string_blank",
        "A text has nothing but spaces.",
        path=_SESSIONS,
    ),
    fault("Parameters", "parameter_invalid_string_empty", "A text is empty.", path=_SESSIONS),
    fault(
        "Parameters",
        "livemode_mismatch",
        "A test key names an object of live mode.",
        path=_SESSIONS,
    ),
    fault(
        "Parameters",
        "request_blocked",
        "The service blocks the request.",
        status=403,
        path=_SESSIONS,
    ),
    fault("Parameters", "resource_already_exists", "An object has the id already.", path=_SESSIONS),
)
_CLIMATE: Final = (
    row(
        "Climate",
        "amount_too_small",
        "The order is smaller than the minimum of the product.",
        Step("GET", _PRODUCTS),
        Step("POST", _ORDERS, {"product": "{id}", "amount": "1"}),
    ),
    row(
        "Climate",
        "out_of_inventory",
        "The order is larger than what is left of the product.",
        Step("GET", _PRODUCTS),
        Step("POST", _ORDERS, {"product": "{id}", "metric_tons": "999999999"}),
    ),
)
_FORWARDED: Final = {
    "payment_method": "pm_card_visa",
    "replacements[0]": "card_number",
    "request[body]": '{"number": ""}',
}
_FORWARDING: Final = (
    row(
        "Forwarding",
        "forwarding_api_invalid_parameter",
        "A parameter does not fit.",
        Step("POST", _FORWARD, {**_FORWARDED, "url": "nowhere"}),
    ),
    row(
        "Forwarding",
        "forwarding_api_upstream_connection_error",
        "Nobody answers at the destination.",
        Step("POST", _FORWARD, {**_FORWARDED, "url": "http://127.0.0.1:1/"}),
        status=424,
    ),
    fault(
        "Forwarding",
        "forwarding_api_upstream_connection_timeout",
        "The destination is too slow.",
        status=424,
        path=_FORWARD,
    ),
    fault(
        "Forwarding",
        "forwarding_api_upstream_error",
        "The destination gives an answer that cannot be read.",
        status=424,
        path=_FORWARD,
    ),
    fault(
        "Forwarding",
        "forwarding_api_retryable_upstream_error",
        "The destination has trouble that passes.",
        status=424,
        path=_FORWARD,
    ),
    fault(
        "Forwarding",
        "forwarding_api_inactive",
        "The account has no access to forwarding.",
        status=403,
        path=_FORWARD,
    ),
)
REFUSALS: Final = (
    *_COMMON,
    *_PARAMETERS,
    *(
        _last_error(check, code, reason)
        for check, codes in ERROR_REASONS.items()
        for code, reason in codes.items()
    ),
    *ONRAMP_REFUSALS,
    *_CLIMATE,
    *_FORWARDING,
)
