"""Invented people and the findings of invented checks: outputs, reports, and their redaction.

A verification makes checks (document, selfie, id number, email, phone). Each attempt in which a
check ran has a report with one finding per check; if the attempt failed, one of them has the error.
Every person here is invented. A session always gets the same person, so that the hosted page can
show the data before they come out.

Choices where the published facts are silent:

- errors of the `session` group have no report;
- the finding of a failed check agrees with its error: a document that has expired has a date in the
  past; one of a type that is not supported has a type that the session does not allow, or null if
  it allows all; one that lacks data for the check of the number has no date of birth;
- a redaction replaces every personal text with `[redacted]`, even if it was null, except email and
  phone, which stay null.
"""

from __future__ import annotations

import random
import string
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Final

from pinstripe.sandbox._state.table import Json, get_object
from pinstripe.sandbox._state.world import Account

REPORT: Final = "identity.verification_report"
REDACTED: Final = "[redacted]"
REDACTED_DATE: Final = {"day": 1, "month": 1, "year": 1}

# The published error codes by the check that they belong to. The reasons are invented.
ERROR_REASONS: Final[Mapping[str, Mapping[str, str]]] = {
    "session": {
        "abandoned": "The verification was not finished.",
        "consent_declined": "The processing of the data was declined.",
        "country_not_supported": "Documents of this country are not supported.",
        "device_not_supported": "The device has no camera.",
        "under_supported_age": "The person is under the age that is supported.",
    },
    "document": {
        "document_expired": "The document has expired.",
        "document_type_not_supported": "This type of document is not accepted.",
        "document_unverified_other": "The document could not be checked.",
    },
    "email": {
        "email_unverified_other": "The email address could not be checked.",
        "email_verification_declined": "The check of the email address was declined.",
    },
    "id_number": {
        "id_number_insufficient_document_data": "The document lacks data for the check.",
        "id_number_mismatch": "The number does not belong to the person.",
        "id_number_unverified_other": "The number could not be checked.",
    },
    "phone": {
        "phone_unverified_other": "The phone number could not be checked.",
        "phone_verification_declined": "The check of the phone number was declined.",
    },
    "selfie": {
        "selfie_document_missing_photo": "The document has no photo.",
        "selfie_face_mismatch": "The face in the selfie is not the face on the document.",
        "selfie_manipulated": "The selfie was altered.",
        "selfie_unverified_other": "The selfie could not be checked.",
    },
}
GROUP_OF: Final = {code: group for group, codes in ERROR_REASONS.items() for code in codes}
# Errors of a person who gives up: they need no submission before.
GIVEN_UP: Final = ("abandoned", "consent_declined")

DOCUMENT_TYPES: Final = ("driving_license", "id_card", "passport")
ID_NUMBER_TYPES: Final = ("br_cpf", "sg_nric", "us_ssn")
ADDRESS_FIELDS: Final = ("city", "country", "line1", "line2", "postal_code", "state")

_PEOPLE: Final[tuple[Json, ...]] = (
    {
        "first_name": "Mirel",
        "last_name": "Vantongeren",
        "dob": {"day": 9, "month": 2, "year": 1987},
        "sex": "female",
        "unparsed_sex": "V/F",
        "unparsed_place_of_birth": "Amersfoort",
        "address": ("Tweede Spinselkade 88", "Utrecht", "3599 ZZ", None, "NL"),
    },
    {
        "first_name": "Tobin",
        "last_name": "Ashgrove",
        "dob": {"day": 23, "month": 11, "year": 1992},
        "sex": "male",
        "unparsed_sex": "M",
        "unparsed_place_of_birth": "Springfield",
        "address": ("1200 Example Terrace", "Springfield", "00000", "OR", "US"),
    },
    {
        "first_name": "Ionela",
        "last_name": "Quessington",
        "dob": {"day": 30, "month": 6, "year": 1979},
        "sex": "female",
        "unparsed_sex": "F",
        "unparsed_place_of_birth": "Little Madeup",
        "address": ("7 Nowhere Mews", "Little Madeup", "ZZ1 1ZZ", None, "GB"),
    },
)


def verified_outputs(session: Json, overrides: Mapping[str, Any]) -> Json:
    """Return the outputs of a successful verification.

    Args:
        session: The session as it is stored.
        overrides: Values that replace the invented ones, by field. An `address` or `dob` replaces
            only the parts that it has.
    """
    person = dict(_source(session).choice(_PEOPLE))
    line1, city, postal_code, state, country = person.pop("address")
    checks = checks_of(session)
    provided = get_object(session, "provided_details")
    invented: Json = {
        "address": {
            "city": city,
            "country": country,
            "line1": line1,
            "line2": None,
            "postal_code": postal_code,
            "state": state,
        },
        "dob": person.pop("dob"),
        "email": provided.get("email") if "email" in checks else None,
        "id_number": "000000000" if "id_number" in checks else None,
        "id_number_type": "us_ssn" if "id_number" in checks else None,
        "phone": provided.get("phone") if "phone" in checks else None,
        **person,
    }
    return dict(sorted(_merged(invented, overrides).items()))


def document_of(account: Account, session: Json, outputs: Json) -> Json:
    """Return what a document says besides the data of its person.

    Args:
        account: The account, which gives the time.
        session: The session as it is stored.
        outputs: The result of `verified_outputs`.
    """
    year = datetime.fromtimestamp(account.now(), timezone.utc).year
    number = "".join(_source(session).choices(string.ascii_uppercase + string.digits, k=7))
    return {
        "expiration_date": {"day": 30, "month": 6, "year": min(year + 7, 9999)},
        "issued_date": {"day": 30, "month": 6, "year": year - 3},
        "issuing_country": get_object(outputs, "address").get("country"),
        "number": f"XX{number}",
        "type": (_allowed_types(session) or ["passport"])[0],
    }


def checks_of(session: Json) -> tuple[str, ...]:
    """Return the checks that a session makes: document, selfie, id_number, email, phone."""
    # A flow is configured outside of the API. Here every flow makes the same checks.
    if session["type"] == "verification_flow":
        return ("document", "id_number", "email", "phone")
    document = get_object(session["options"], "document")
    checks = ["document"] if session["type"] == "document" else ["id_number"]
    if document.get("require_matching_selfie"):
        checks.append("selfie")
    if document.get("require_id_number"):
        checks.append("id_number")
    return tuple(checks)


def codes_of(session: Json) -> tuple[str, ...]:
    """Return the error codes that a session can fail with: those of its checks, and of any."""
    checks = checks_of(session)
    codes = [code for code, group in GROUP_OF.items() if group in ("session", *checks)]
    # Only a document that was checked can lack data for the check of the number.
    if "document" not in checks:
        codes.remove("id_number_insufficient_document_data")
    return tuple(codes)


def report(
    account: Account, session: Json, outputs: Json, document: Mapping[str, Any], code: str | None
) -> Json:
    """Return the report of an attempt, not stored yet.

    Args:
        account: The account, which gives ids and the time.
        session: The session as it is stored.
        outputs: The result of `verified_outputs`.
        document: Values that replace the invented ones in the document check.
        code: The error of the attempt, None if it was successful.
    """
    options = get_object(session, "options")
    value: Json = {
        "id": account.new_id(REPORT),
        "object": REPORT,
        "client_reference_id": session["client_reference_id"],
        "created": account.timestamp(),
        "livemode": False,
        "options": {name: options[name] for name in ("document", "id_number") if name in options},
        "type": session["type"],
        "verification_session": session["id"],
    }
    if "verification_flow" in session:
        value["verification_flow"] = session["verification_flow"]

    findings = {check: _finding(account, session, outputs, check) for check in checks_of(session)}
    if "document" in findings:
        findings["document"] = _merged(findings["document"], document)
    if code:
        _let_fail(account, session, findings, code)
    for check, finding in findings.items():
        error = last_error(code) if code and check == GROUP_OF[code] else None
        value[check] = {**finding, "error": error, "status": "unverified" if error else "verified"}
    return value


def last_error(code: str) -> Json:
    """Return the `last_error` of a session."""
    return {"code": code, "reason": ERROR_REASONS[GROUP_OF[code]][code]}


def _finding(account: Account, session: Json, outputs: Json, check: str) -> Json:
    if check == "document":
        names = ("address", "dob", "first_name", "last_name", "sex")
        return {
            **{name: outputs[name] for name in names},
            **document_of(account, session, outputs),
            "files": [account.new_file_id(), account.new_file_id()],
            "unparsed_place_of_birth": outputs["unparsed_place_of_birth"],
            "unparsed_sex": outputs["unparsed_sex"],
        }
    if check == "selfie":
        return {"document": account.new_file_id(), "selfie": account.new_file_id()}
    if check == "id_number":
        names = ("dob", "first_name", "id_number", "id_number_type", "last_name")
        return {name: outputs[name] for name in names}
    return {check: outputs[check] or get_object(session, "provided_details").get(check)}


def _let_fail(account: Account, session: Json, findings: dict[str, Json], code: str) -> None:
    """Change the findings of an attempt so that they agree with its error."""
    if code == "document_expired":
        year = datetime.fromtimestamp(account.now(), timezone.utc).year
        for name, age in (("expiration_date", 1), ("issued_date", 11)):
            findings["document"][name] = {"day": 30, "month": 6, "year": year - age}
    elif code == "document_type_not_supported":
        allowed = _allowed_types(session) or DOCUMENT_TYPES
        others = [name for name in DOCUMENT_TYPES if name not in allowed]
        findings["document"]["type"] = others[0] if others else None
    elif code == "id_number_insufficient_document_data":
        findings["document"]["dob"] = findings["id_number"]["dob"] = None


def _allowed_types(session: Json) -> list[str]:
    return get_object(session["options"], "document").get("allowed_types") or []


def _source(session: Json) -> random.Random:
    """Return the random source of what is invented for a session."""
    return random.Random(session["id"])  # noqa: S311 -- has to be repeatable


def _merged(base: Json, overrides: Mapping[str, Any]) -> Json:
    out = dict(base)
    for name, value in overrides.items():
        old: Json | None = out.get(name)
        out[name] = {**old, **value} if old and isinstance(value, dict) else value
    return out


# What a redaction puts in place of a personal value, in outputs and in reports. Addresses, emails
# and phone numbers have rules of their own below.
_PLACEHOLDERS: Final[Mapping[str, object]] = {
    "dob": REDACTED_DATE,
    "expiration_date": REDACTED_DATE,
    "first_name": REDACTED,
    "id_number": REDACTED,
    "id_number_type": None,
    "issued_date": REDACTED_DATE,
    "last_name": REDACTED,
    "number": REDACTED,
    "sex": REDACTED,
    "unparsed_place_of_birth": REDACTED,
    "unparsed_sex": REDACTED,
}


def redacted_session(session: Json) -> Json:
    """Return a session with placeholders instead of personal values."""
    details, outputs = session["provided_details"], session["verified_outputs"]
    return {
        **session,
        "access_key": None,
        "client_secret": None,
        "metadata": {},
        "provided_details": details and dict.fromkeys(details, REDACTED),
        "redaction": {"status": "redacted"},
        "return_url": None,
        "url": None,
        "verified_outputs": outputs and _redacted(outputs),
    }


def redacted_report(value: Json) -> Json:
    """Return a report with placeholders instead of personal values."""
    out = dict(value)
    for check in ("document", "id_number", "email", "phone"):
        if check in out:
            out[check] = _redacted(out[check])
    return out


def _redacted(person: Json) -> Json:
    out: Json = {name: _PLACEHOLDERS.get(name, value) for name, value in person.items()}
    # The country of an address is not personal.
    if out.get("address"):
        country = out["address"]["country"]
        out["address"] = {**dict.fromkeys(out["address"], REDACTED), "country": country}
    for name in ("email", "phone"):
        if out.get(name):
            out[name] = REDACTED
    return out
