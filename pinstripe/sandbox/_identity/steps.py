"""The steps of a verification session, with their effects on its reports, images and events.

A session waits for input (`requires_input`) until its person submits, and is then `processing`. The
checks pass (`verified`), or one fails and the session waits for input again; each attempt makes a
report. The lifecycle tables say which step is possible in which status, and which event it sends.

A redaction is a second lifecycle beside the status. It starts at once and finishes later, by a
scheduled job: then placeholders replace what is personal in the session, its reports, its images
and its events.

Choices where the published facts are silent: `client_secret` and `url` are null while a session is
processing; a session that is canceled or already redacted cannot be redacted. The answers that are
stored under idempotency keys are not redacted, they expire.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pinstripe.sandbox._identity import people
from pinstripe.sandbox._identity.access import new_access, no_access
from pinstripe.sandbox._identity.images import delete_images, make_images
from pinstripe.sandbox._params.errors import invalid
from pinstripe.sandbox._state.lifecycles import REDACTION, VERIFICATION_SESSION, Transition
from pinstripe.sandbox._state.origin import NO_REQUEST, EventOrigin
from pinstripe.sandbox._state.table import Json
from pinstripe.sandbox._state.world import EVENT, Account, Job

SESSION: Final = "identity.verification_session"
REPORT: Final = people.REPORT

REDACTION_JOB: Final = "finish_redaction"


def enter(
    account: Account, value: Json, row: Transition, origin: EventOrigin, **changes: Any
) -> Json:
    """Apply a transition to a session: store its new state, and send the event.

    Args:
        account: The account that stores the session.
        value: The session.
        row: The transition.
        origin: The request that causes it.
        changes: Other fields and their new values.

    Returns:
        The session as it is stored now.
    """
    # Only a session that waits for input can be opened by its person.
    waits = row.target == "requires_input"
    access = new_access(account, value["id"]) if waits else no_access()
    value = account.put({**value, **access, **changes, "status": row.target})
    if row.event:
        account.emit(row.event, value, origin)
    return value


def submit(account: Account, value: Json) -> Json:
    """Let the person submit, so that the session is processing.

    Raises:
        Refusal: 400 unless the session waits for input.
    """
    row = VERIFICATION_SESSION.step(value["status"], "submit")
    return enter(account, value, row, NO_REQUEST)


def verify(
    account: Account, value: Json, outputs: Mapping[str, Any], document: Mapping[str, Any]
) -> Json:
    """Let the checks pass; a session that waits for input is submitted first.

    Args:
        account: The account that stores the session.
        value: The session.
        outputs: Values that replace the invented ones in the verified outputs.
        document: Values that replace the invented ones in the document check.

    Returns:
        The session as it is stored now.

    Raises:
        Refusal: 400 if the session is verified or canceled.
    """
    value = _processing(account, value)
    row = VERIFICATION_SESSION.step(value["status"], "verify")
    found = people.verified_outputs(value, outputs)
    report = people.report(account, value, found, document, None)
    _store_report(account, report)
    changes = {"last_error": None, "last_verification_report": report["id"]}
    return enter(account, value, row, NO_REQUEST, verified_outputs=found, **changes)


def fail(account: Account, value: Json, code: str, reason: str | None = None) -> Json:
    """Let a check fail, or the person give up; the session waits for input again.

    Args:
        account: The account that stores the session.
        value: The session.
        code: The error code.
        reason: The text for the person; None for the usual one.

    Returns:
        The session as it is stored now.

    Raises:
        Refusal: 400 if the session is verified or canceled, or makes no check that has the code.
    """
    if code not in people.codes_of(value):
        raise invalid(_unfit(value, code), "code")
    usual = people.last_error(code)
    error = {**usual, "reason": reason or usual["reason"]}
    # A person who gives up does not submit first: only the error of the session changes.
    if code in people.GIVEN_UP and value["status"] == "requires_input":
        row = VERIFICATION_SESSION.step(value["status"], "give_up")
        return enter(account, value, row, NO_REQUEST, last_error=error)
    value = _processing(account, value)
    row = VERIFICATION_SESSION.step(value["status"], "fail")
    changes: Json = {"last_error": error}
    # Errors of the `session` group happen before any check, so there is nothing to report.
    if people.GROUP_OF[code] != "session":
        outputs = people.verified_outputs(value, {})
        report = people.report(account, value, outputs, {}, code)
        _store_report(account, report)
        changes["last_verification_report"] = report["id"]
    return enter(account, value, row, NO_REQUEST, **changes)


def start_redaction(account: Account, value: Json, origin: EventOrigin) -> Json:
    """Start a redaction, which finishes later by the clock.

    Raises:
        Refusal: 400 if the session is processing or canceled, or its redaction has started.
    """
    started = REDACTION.step(_redaction_state(value), "redact")
    row = VERIFICATION_SESSION.step(value["status"], "redact")
    value = enter(account, value, row, origin, redaction={"status": started.target})
    account.schedule(account.settings.redaction_seconds, REDACTION_JOB, value["id"])
    return value


def finish_redaction(account: Account, value: Json) -> Json:
    """Replace everything personal in the session, its reports and events, and delete its images.

    Raises:
        Refusal: 400 if no redaction is in progress.
    """
    row = REDACTION.step(_redaction_state(value), "finish")
    value = account.put(people.redacted_session(value))
    for report in account.tables[REPORT].find_by("verification_session", value["id"]):
        account.put(people.redacted_report(report))
        delete_images(account, report)
    # An event shows the session as it was: it keeps its fields and the state of its redaction.
    for event in account.tables[EVENT].find_by("subject", value["id"]):
        old = event["data"]["object"]
        redacted = people.redacted_session({**old, "verified_outputs": None})
        kept = {name: redacted[name] for name in old}
        data = {**event["data"], "object": {**kept, "redaction": old["redaction"]}}
        account.put({**event, "data": data})
    account.emit(str(row.event), value, NO_REQUEST)
    return value


def _unfit(value: Json, code: str) -> str:
    listed = ", ".join(people.codes_of(value))
    text = f"This session makes no check that fails with {code}; it can fail with {listed}."
    return f"{text} Checks follow from the type and the options of the session."


def _processing(account: Account, value: Json) -> Json:
    return submit(account, value) if value["status"] == "requires_input" else value


def _store_report(account: Account, report: Json) -> None:
    make_images(account, report)
    account.put(report)


def _redaction_state(value: Json) -> str:
    return value["redaction"]["status"] if value["redaction"] else REDACTION.initial


def _finish_when_due(account: Account, id: str) -> None:
    value = account.get(SESSION, id)
    # A test may have finished the redaction before its time.
    if _redaction_state(value) == "processing":
        finish_redaction(account, value)


JOBS: Final[Mapping[str, Job]] = {REDACTION_JOB: _finish_when_due}
