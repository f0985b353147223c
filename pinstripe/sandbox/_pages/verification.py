"""The hosted page of a verification session: its person chooses how the verification ends.

The page offers what the checks of its session can lead to, and the data that come out of a
success, to be changed at will. It takes the steps that the control routes take, so events and
deliveries follow.

Choices where the published facts are silent:

- whoever submits goes on to `return_url` at once, even if a check failed, and nothing is added to
  that address; who leaves or declines stays, with a link to it;
- the redirect is done by the page itself, since `form-action` would also have to allow every
  address to which the shop redirects in turn;
- an address or a client secret that was used or is too old shows that, with a 410; a session that
  waits for no input shows its state;
- `verifyIdentity` resolves with the code that Stripe documents for its modal where there is one,
  and with `session_cancelled` for a person who leaves or closes the modal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import frozen

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.routes import Content, page_route
from pinstripe.sandbox._identity import access, people, steps
from pinstripe.sandbox._identity.control import VERIFY
from pinstripe.sandbox._identity.steps import SESSION
from pinstripe.sandbox._pages.hosted import (
    Notice,
    Unread,
    ending,
    find,
    hosted,
    modal_error,
    no_such_page,
    show,
)
from pinstripe.sandbox._pages.tokens import check_form_token, form_token
from pinstripe.sandbox._params.errors import Refusal
from pinstripe.sandbox._params.forms import Form, Tree
from pinstripe.sandbox._params.schema import Object, String, Word
from pinstripe.sandbox._state.table import Json, get_object
from pinstripe.sandbox._state.world import Account

_SUBMIT: Final = Object(
    {
        "form_token": String(clearable=True),
        "outcome": Word(("pass", "fail", "process", "leave")),
        "code": String(clearable=True),
        "outputs": Unread(),
        "document": Unread(),
    },
    required=("form_token", "outcome"),
)

# https://docs.stripe.com/identity/verify-identity-documents, "Event error codes"; the first is a
# choice of the sandbox.
_MODAL_CODES: Final[Mapping[str, str]] = {
    "abandoned": "session_cancelled",
    "consent_declined": "consent_declined",
    "device_not_supported": "device_unsupported",
    "email_verification_declined": "email_verification_declined",
    "phone_verification_declined": "phone_otp_declined",
    "under_supported_age": "under_supported_age",
}

# How a browser writes a date, and how many digits each part has.
_DATE_PARTS: Final[Mapping[str, int]] = {"year": 4, "month": 2, "day": 2}
_DATES: Final = ("dob", "expiration_date", "issued_date")
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "id_number_type": people.ID_NUMBER_TYPES,
    "sex": ("female", "male", "unknown"),
    "type": people.DOCUMENT_TYPES,
}
_LABELS: Final[Mapping[str, str]] = {
    "dob": "Date of birth",
    "id_number": "ID number",
    "id_number_type": "Type of ID number",
    "line1": "Address line 1",
    "line2": "Address line 2",
    "number": "Document number",
    "type": "Type of document",
    "unparsed_place_of_birth": "Place of birth, as printed",
    "unparsed_sex": "Sex, as printed",
}


@frozen
class Input:
    """One value that the person can change.

    Attributes:
        name: The name in the form, such as `outputs[address][city]`.
        label: What the page calls it.
        value: What it holds first; a date is written `1987-02-09`.
        type: `text` or `date`.
        choices: The words to choose from; empty for free text.
    """

    name: str
    label: str
    value: str
    type: str = "text"
    choices: tuple[str, ...] = ()


def _get(call: Call) -> Content:
    account, value = _open(call)
    return _form(call, account, value)


def _post(call: Call) -> Content:
    params = call.params
    check_form_token(call.account.world, call.path, params["form_token"])
    account, value = _open(call)
    try:
        changed = _apply(account, value, params)
    except Refusal as refusal:
        return _form(call, account, value, problem=refusal.message)
    return _end(call, changed, params["outcome"])


def _open(call: Call) -> tuple[Account, Json]:
    """Return the session of a token, or raise the notice that it shows instead of the form."""
    token = call.ids[0]
    found = find(call.account.world, SESSION, access.session_id(token))
    if found is None:
        raise no_such_page()
    account, value = found
    back = value["return_url"]
    if value["redaction"] or value["status"] != "requires_input":
        raise _closed(value, back)
    if not access.opens(account, value, token):
        text = "Each link works once, and not for long. Ask the site for a new one."
        raise Notice("This link has expired", text, "session_expired", 410, back)
    return account, value


def _closed(value: Json, back: str | None) -> Notice:
    """Return the notice of a session that waits for no input."""
    if value["redaction"]:
        title, text = "This verification was deleted", "Its data are deleted, or soon will be."
    else:
        title, text = {
            "processing": ("Your data are being checked", "There is nothing left to do for you."),
            "verified": ("You are verified", "There is nothing left to do for you."),
            "canceled": ("This verification was canceled", "Ask the site for a new one."),
        }[value["status"]]
    return Notice(title, text, "session_expired", back=back)


def _form(call: Call, account: Account, value: Json, problem: str | None = None) -> Content:
    checks, fit = people.checks_of(value), people.codes_of(value)
    data = _data(account, value, checks)
    # After a mistake the form holds what the person typed.
    if problem:
        typed = {name: call.params.get(name) for name in data}
        data = {name: typed[name] if isinstance(typed[name], dict) else data[name] for name in data}
    return show(
        call,
        "verify.html",
        status=400 if problem else 200,
        says={},
        session=value,
        account=account.id,
        checks=checks,
        problem=problem,
        codes={
            group: [code for code in people.ERROR_REASONS[group] if code in fit]
            for group in (*checks, "session")
        },
        groups={name: list(_inputs(name, tree)) for name, tree in data.items()},
        form_token=form_token(account.world, call.path),
    )


def _data(account: Account, value: Json, checks: tuple[str, ...]) -> Json:
    """Return the data that come out of a success if nothing is changed."""
    outputs = people.verified_outputs(value, {})
    unmade = {check for check in ("email", "phone", "id_number") if check not in checks}
    if "id_number" in unmade:
        unmade.add("id_number_type")
    # The names come first, as in every form.
    names = sorted(outputs, key=lambda name: not name.endswith("t_name"))
    data: Json = {"outputs": {name: outputs[name] for name in names if name not in unmade}}
    if "document" in checks:
        data["document"] = people.document_of(account, value, outputs)
    return data


def _inputs(name: str, tree: Any) -> Iterator[Input]:
    """Yield the inputs for every value of an object, and of the objects in it."""
    for key, value in tree.items():
        inner, label = f"{name}[{key}]", _LABELS.get(key) or str(key).replace("_", " ").capitalize()
        if key in _DATES:
            yield Input(inner, label, _date_text(value), "date")
        elif isinstance(value, dict):
            yield from _inputs(inner, value)
        else:
            yield Input(inner, label, value or "", choices=_CHOICES.get(key, ()))


def _date_text(value: Any) -> str:
    """Return a date as a browser writes it; what a person typed is that already."""
    if isinstance(value, str):
        return value
    return "-".join(str(value.get(part, "")).zfill(width) for part, width in _DATE_PARTS.items())


def _date_tree(raw: Tree) -> Tree:
    """Return a date as the control route takes it; anything else is left for it to refuse."""
    if not isinstance(raw, str) or raw.count("-") != 2:
        return raw
    parts = zip(_DATE_PARTS, raw.split("-"), strict=True)
    return {key: part.lstrip("0") for key, part in parts}


def _with_dates(tree: Tree) -> Tree:
    if not isinstance(tree, dict):
        return tree
    return {key: _date_tree(raw) if key in _DATES else raw for key, raw in tree.items()}


def _apply(account: Account, value: Json, params: Json) -> Json:
    """Take the step that the person chose."""
    outcome = params["outcome"]
    if outcome == "process":
        return steps.submit(account, value)
    if outcome == "leave":
        return steps.fail(account, value, "abandoned")
    if outcome == "fail":
        return steps.fail(account, value, params.get("code", ""))
    form: Form = {name: _with_dates(params[name]) for name in VERIFY.fields if name in params}
    read = VERIFY.read_form(form)
    return steps.verify(account, value, get_object(read, "outputs"), get_object(read, "document"))


def _end(call: Call, value: Json, outcome: str) -> Content:
    """Return the page after the form: it goes on to the shop, or says that the person left."""
    back, error = value["return_url"], get_object(value, "last_error")
    code = str(error["code"]) if outcome in ("fail", "leave") else ""
    result: Json = {"verificationSession": {"id": value["id"]}}
    if code in _MODAL_CODES:
        result = {"error": modal_error(_MODAL_CODES[code], error["reason"])}
    if code in people.GIVEN_UP:
        notice = Notice("You left the verification", error["reason"], code, back=back)
        return ending(call, notice, says={"result": result})
    text = "You are on your way back to the site." if back else "You can close this page."
    notice = Notice("Thank you, your data were sent", text, code, back=back)
    return ending(call, notice, says={"result": result}, go=back)


ROUTES: Final = (
    page_route("GET", access.PAGE + "{token}", hosted(_get)),
    page_route("POST", access.PAGE + "{token}", hosted(_post), _SUBMIT),
)
