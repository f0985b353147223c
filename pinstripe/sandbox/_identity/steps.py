"""The steps of a verification session: what each does to the session, its reports and events.

Choices where the published facts are silent: `client_secret` and `url` are null while a session
is processing; a session that is canceled, or redacted, cannot be redacted (again); placeholders
appear when the redaction finishes, in session, reports and events alike. Stored idempotent
answers are left to expire.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pinstripe.sandbox._identity import people
from pinstripe.sandbox._identity.images import drop_images, make_images
from pinstripe.sandbox._state.lifecycles import REDACTION, VERIFICATION_SESSION, Transition
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import EVENT, Account, EventOrigin, Job

SESSION: Final = "identity.verification_session"
REPORT: Final = people.REPORT

NOBODY: Final = EventOrigin()
REDACTION_DUE: Final = "finish_redaction"


def fresh_access(account: Account, id: str) -> Json:
    """Return a new client secret and address for the end user."""
    return {
        "client_secret": f"{id}_secret_test_{account.random_text(32)}",
        "url": f"https://verify.stripe.com/start/test_{account.random_text(40)}",
    }


def enter(
    account: Account, value: Json, row: Transition, origin: EventOrigin, **changes: Any
) -> Json:
    """Take a session to the state of a row, and tell it by the event of the row.

    Args:
        account: where the session is stored.
        value: the session.
        row: the transition.
        origin: the request that causes it.
        changes: further fields and their new values.

    Returns:
        The session as it is stored now.
    """
    access: Json = {"client_secret": None, "url": None}
    if row.target == "requires_input":
        access = fresh_access(account, value["id"])
    value = account.put({**value, **access, **changes, "status": row.target})
    if row.event:
        account.emit(row.event, value, origin)
    return value


def submit(account: Account, value: Json) -> Json:
    """Let the end user submit: the session is processing.

    Raises:
        Refusal: 400, unless the session waits for input.
    """
    row = VERIFICATION_SESSION.step(value["status"], "submit")
    return enter(account, value, row, NOBODY)


def verify(
    account: Account, value: Json, outputs: Mapping[str, Any], document: Mapping[str, Any]
) -> Json:
    """Let the checks pass; a session that waits for input is submitted first.

    Args:
        account: where the session is stored.
        value: the session.
        outputs: values in place of the invented ones in the verified outputs.
        document: values in place of the invented ones in the document check.

    Raises:
        Refusal: 400, when the session is verified or canceled.
    """
    value = _processing(account, value)
    row = VERIFICATION_SESSION.step(value["status"], "verify")
    found = people.verified_outputs(account, value, outputs)
    report = _stored(account, people.report(account, value, found, document, None))
    changes = {"last_error": None, "last_verification_report": report["id"]}
    return enter(account, value, row, NOBODY, verified_outputs=found, **changes)


def fail(account: Account, value: Json, code: str, reason: str | None = None) -> Json:
    """Let a check fail, or the end user give up; the session waits for input again.

    Args:
        account: where the session is stored.
        value: the session.
        code: the error code.
        reason: text for the end user in place of the usual one.

    Raises:
        Refusal: 400, when the session is verified or canceled.
    """
    usual = people.last_error(code)
    error = {**usual, "reason": reason or usual["reason"]}
    if code in people.GIVEN_UP and value["status"] == "requires_input":
        row = VERIFICATION_SESSION.step(value["status"], "give_up")
        return enter(account, value, row, NOBODY, last_error=error)
    value = _processing(account, value)
    row = VERIFICATION_SESSION.step(value["status"], "fail")
    report = _failed_report(account, value, code)
    return enter(account, value, row, NOBODY, last_error=error, **report)


def start_redaction(account: Account, value: Json, origin: EventOrigin) -> Json:
    """Start a redaction, which finishes by the clock.

    Raises:
        Refusal: 400, when the session is processing, canceled, or its redaction has begun.
    """
    started = REDACTION.step(_redaction_state(value), "redact")
    row = VERIFICATION_SESSION.step(value["status"], "redact")
    value = enter(account, value, row, origin, redaction={"status": started.target})
    account.schedule(account.settings.redaction_seconds, REDACTION_DUE, value["id"])
    return value


def finish_redaction(account: Account, value: Json) -> Json:
    """Put placeholders for all that is personal, in the session, its reports and its events.

    Raises:
        Refusal: 400, when no redaction is going on.
    """
    row = REDACTION.step(_redaction_state(value), "finish")
    value = account.put(people.redacted_session(value))
    for report in account.tables[REPORT].find_by("verification_session", value["id"]):
        account.put(people.redacted_report(report))
        drop_images(account, report)
    for event in account.tables[EVENT].find_by("subject", value["id"]):
        account.put({**event, "data": _redacted_data(event["data"])})
    account.emit(str(row.event), value, NOBODY)
    return value


def _processing(account: Account, value: Json) -> Json:
    return submit(account, value) if value["status"] == "requires_input" else value


def _failed_report(account: Account, value: Json, code: str) -> Json:
    if people.GROUP_OF[code] == "session":
        return {}
    outputs = people.verified_outputs(account, value, {})
    report = _stored(account, people.report(account, value, outputs, {}, code))
    return {"last_verification_report": report["id"]}


def _stored(account: Account, report: Json) -> Json:
    make_images(account, report)
    return account.put(report)


def _redaction_state(value: Json) -> str:
    return value["redaction"]["status"] if value["redaction"] else REDACTION.initial


def _redacted_data(data: Json) -> Json:
    shown = data["object"]
    veiled = people.redacted_session({**shown, "verified_outputs": None})
    kept = {name: veiled[name] for name in shown}
    return {**data, "object": {**kept, "redaction": shown["redaction"]}}


def _finish_in_time(account: Account, id: str) -> None:
    value = account.get(SESSION, id)
    if _redaction_state(value) == "processing":
        finish_redaction(account, value)


JOBS: Final[Mapping[str, Job]] = {REDACTION_DUE: _finish_in_time}
