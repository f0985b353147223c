"""Identity as the API offers it: the kinds and endpoints of verification sessions and reports.

Choices where the published facts are silent:

- `type` and `verification_flow` together are accepted, and the flow counts;
- metadata can be changed in every status until the session is redacted;
- an `options[document]` that is cleared becomes an empty object.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any, Final

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.lists import list_objects
from pinstripe.sandbox._http.routes import LIST_PARAMS, Route
from pinstripe.sandbox._identity import access, steps
from pinstripe.sandbox._identity.steps import REPORT, SESSION
from pinstripe.sandbox._params.errors import Refusal, invalid
from pinstripe.sandbox._params.schema import BOOLEAN, METADATA, STRING, Array, Object, String, Word
from pinstripe.sandbox._state.kinds import Field, Kind
from pinstripe.sandbox._state.lifecycles import VERIFICATION_SESSION
from pinstripe.sandbox._state.table import Json, get_object
from pinstripe.sandbox._state.world import Account

# Fields that an answer has only if `expand` names them, and those that need a restricted key too.
_PLAIN = Field(hidden=True)
_RESTRICTED = Field(hidden=True, restricted=True)
_SHOWN_WITH_PARENT = {"sex": _PLAIN, "unparsed_place_of_birth": _PLAIN, "unparsed_sex": _PLAIN}

KINDS: Final = (
    Kind(
        SESSION,
        "vs_",
        {
            **access.FIELDS,
            "last_verification_report": Field(link=REPORT),
            "verified_outputs": Field(
                hidden=True,
                inner={"dob": _RESTRICTED, "id_number": _RESTRICTED, **_SHOWN_WITH_PARENT},
            ),
        },
        {
            name: itemgetter(name)
            for name in (
                "status",
                "client_reference_id",
                "related_customer",
                "related_customer_account",
            )
        },
    ),
    Kind(
        REPORT,
        "vr_",
        {
            "document": Field(
                inner={
                    "dob": _RESTRICTED,
                    "expiration_date": _RESTRICTED,
                    "number": _RESTRICTED,
                    **_SHOWN_WITH_PARENT,
                }
            ),
            "id_number": Field(inner={"dob": _RESTRICTED, "id_number": _RESTRICTED}),
        },
        {
            name: itemgetter(name)
            for name in ("client_reference_id", "type", "verification_session")
        },
    ),
)


def _email_problem(text: str) -> str | None:
    name, at, host = text.rpartition("@")
    return None if name and at and "." in host and " " not in text else "not an email address"


def url_problem(text: str) -> str | None:
    """Return what is wrong with an absolute web address; None if nothing is."""
    fine = text.startswith(("https://", "http://")) and len(text.split("//", 1)[1]) > 0
    return None if fine and not any(mark.isspace() for mark in text) else "not a valid URL"


def _details(*, clearable: bool) -> Object:
    email = String(check=_email_problem, code="email_invalid", clearable=clearable)
    return Object({"email": email, "phone": String(clearable=clearable)})


_TYPE: Final = Word(("document", "id_number"))
_OPTIONS: Final = Object(
    {
        "document": Object(
            {
                "allowed_types": Array(Word(("driving_license", "id_card", "passport"))),
                "require_id_number": BOOLEAN,
                "require_live_capture": BOOLEAN,
                "require_matching_selfie": BOOLEAN,
            },
            clearable=True,
        )
    }
)
_CREATE: Final = Object(
    {
        "type": _TYPE,
        "verification_flow": STRING,
        "client_reference_id": STRING,
        "metadata": METADATA,
        "options": _OPTIONS,
        "provided_details": _details(clearable=False),
        "related_customer": STRING,
        "related_customer_account": STRING,
        "related_person": Object(
            {"account": STRING, "person": STRING}, required=("account", "person")
        ),
        "return_url": String(check=url_problem, code="url_invalid"),
    }
)
_UPDATE: Final = Object(
    {
        "type": _TYPE,
        "metadata": METADATA,
        "options": _OPTIONS,
        "provided_details": _details(clearable=True),
    }
)
_LIST_SESSIONS: Final = Object(
    {
        **LIST_PARAMS,
        "client_reference_id": STRING,
        "related_customer": STRING,
        "related_customer_account": STRING,
        "status": Word(("canceled", "processing", "requires_input", "verified")),
    }
)
_LIST_REPORTS: Final = Object(
    {**LIST_PARAMS, "client_reference_id": STRING, "type": _TYPE, "verification_session": STRING}
)


def create_session(call: Call) -> Json:
    """Create a session that waits for its person."""
    params = call.params
    if "type" not in params and "verification_flow" not in params:
        raise invalid("Missing required param: type.", "type", "parameter_missing")
    value = new_session(call.account, params)
    call.account.emit(f"{SESSION}.created", call.account.put(value), call.origin)
    return call.show(value)


def new_session(account: Account, params: dict[str, Any]) -> Json:
    """Return a new session, made from checked parameters and not stored yet."""
    flow = params.get("verification_flow")
    kind: str = "verification_flow" if flow else params["type"]
    id = account.new_id(SESSION)
    value: Json = {
        "id": id,
        "object": SESSION,
        "client_reference_id": params.get("client_reference_id"),
        **access.new_access(account, id),
        "created": account.timestamp(),
        "last_error": None,
        "last_verification_report": None,
        "livemode": False,
        "metadata": METADATA.merge({}, params.get("metadata", {})),
        "options": _session_options(kind, get_object(params, "options")),
        "provided_details": params.get("provided_details") or None,
        "redaction": None,
        "related_customer": params.get("related_customer"),
        "related_customer_account": params.get("related_customer_account"),
        "return_url": params.get("return_url"),
        "status": VERIFICATION_SESSION.initial,
        "type": kind,
        "verified_outputs": None,
    }
    if "related_person" in params:
        value["related_person"] = params["related_person"]
    if flow:
        value["verification_flow"] = flow
    return value


def retrieve_session(call: Call) -> Json:
    """Return a session; while it waits for input, with a new client secret and address."""
    value = _session(call)
    if value["status"] == "requires_input":
        value = call.account.put({**value, **access.renew_access(call.account, value)})
    return call.show(value)


def update_session(call: Call) -> Json:
    """Change a session: everything while it waits for input, afterwards only its metadata."""
    value, params = _session(call), call.params
    if value["redaction"] is not None:
        raise _wrong_status("A session cannot be updated after its redaction has started.")
    if value["status"] != "requires_input" and params.keys() - {"metadata"}:
        raise _wrong_status(f"Only metadata can be changed when a session is {value['status']}.")
    changed = dict(value)
    if "metadata" in params:
        changed["metadata"] = METADATA.merge(value["metadata"], params["metadata"])
    if "type" in params or "options" in params:
        # A new type keeps only those of the options that belong to it.
        kind = str(params.get("type", value["type"]))
        options = {**value["options"], **params.get("options", {})}
        changed.update(type=kind, options=_session_options(kind, options))
    if "provided_details" in params:
        merged = {**get_object(value, "provided_details"), **params["provided_details"]}
        # An empty text removes a detail.
        changed["provided_details"] = {name: text for name, text in merged.items() if text} or None
    return call.show(call.account.put(changed))


def cancel_session(call: Call) -> Json:
    """Cancel a session that waits for input."""
    value = _session(call)
    if value["redaction"] is not None:
        raise _wrong_status("A session cannot be canceled after its redaction has started.")
    row = VERIFICATION_SESSION.step(value["status"], "cancel")
    return call.show(steps.enter(call.account, value, row, call.origin))


def redact_session(call: Call) -> Json:
    """Start the redaction of a session, which cancels a session that waits for input."""
    return call.show(steps.start_redaction(call.account, _session(call), call.origin))


def _session(call: Call) -> Json:
    return call.account.get(SESSION, call.ids[0], "session")


def _retrieve_report(call: Call) -> Json:
    return call.show(call.account.get(REPORT, call.ids[0], "report"))


def _list_sessions(call: Call) -> Json:
    names = ("status", "client_reference_id", "related_customer", "related_customer_account")
    return list_objects(call, SESSION, equals=names)


def _list_reports(call: Call) -> Json:
    names = ("client_reference_id", "type", "verification_session")
    return list_objects(call, REPORT, equals=names)


def _wrong_status(message: str) -> Refusal:
    return invalid(message, code="status_transition_invalid")


def _session_options(kind: str, options: Json) -> Json:
    document = get_object(options, "document")
    if kind == "document":
        return {"document": document}
    if kind == "id_number":
        return {"id_number": {}}
    return {
        "document": document,
        "email": {"require_verification": True},
        "id_number": {},
        "matching": {"dob": "similar", "name": "similar"},
        "phone": {"require_verification": False},
    }


_SESSIONS = "/v1/identity/verification_sessions"
_REPORTS = "/v1/identity/verification_reports"

ROUTES: Final = (
    Route("POST", _SESSIONS, create_session, _CREATE, SESSION),
    Route("GET", _SESSIONS, _list_sessions, _LIST_SESSIONS, SESSION, listed=True),
    Route("GET", _SESSIONS + "/{session}", retrieve_session, kind=SESSION),
    Route("POST", _SESSIONS + "/{session}", update_session, _UPDATE, SESSION),
    Route("POST", _SESSIONS + "/{session}/cancel", cancel_session, kind=SESSION),
    Route("POST", _SESSIONS + "/{session}/redact", redact_session, kind=SESSION),
    Route("GET", _REPORTS, _list_reports, _LIST_REPORTS, REPORT, listed=True),
    Route("GET", _REPORTS + "/{report}", _retrieve_report, kind=REPORT),
)
