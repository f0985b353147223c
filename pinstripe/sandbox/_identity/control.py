"""Control routes of Identity: the steps that a person, a reviewer or time takes.

Parameters, by path below `/_sandbox/`:

- `POST identity/verification_sessions/{session}/submit`: none
- `POST .../verify`: `outputs` and `document`, objects whose values replace the invented ones
- `POST .../fail`: `code` (required, a code of `last_error` that fits the session), `reason`
- `POST .../finish_redaction`: none
- `POST identity/seed`: `count` (required), `interval` (seconds between two sessions), `status`

`seed` answers with `{"created": count}`, the others with the session as the API shows it.
"""

from __future__ import annotations

from typing import Final

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.routes import control_route
from pinstripe.sandbox._http.slices import Steps
from pinstripe.sandbox._identity import people, seeding, steps
from pinstripe.sandbox._identity.steps import SESSION
from pinstripe.sandbox._params.schema import STRING, Integer, Nullable, Object, Spec, Word
from pinstripe.sandbox._state.lifecycles import VERIFICATION_SESSION
from pinstripe.sandbox._state.table import Json, get_object

_PATH: Final = "identity/verification_sessions/{session}"

_TEXT: Final = Nullable(STRING)
_DATE: Final = Nullable(
    Object({"day": Integer(1, 31), "month": Integer(1, 12), "year": Integer(1, 9999)})
)
_SEX: Final = Nullable(Word(("female", "male", "unknown"), open=True))
# Every value can be replaced, also with null: a document may lack it.
_PERSON: Final[dict[str, Spec]] = {
    "address": Nullable(Object(dict.fromkeys(people.ADDRESS_FIELDS, _TEXT))),
    "dob": _DATE,
    "sex": _SEX,
    **dict.fromkeys(("first_name", "last_name", "unparsed_place_of_birth", "unparsed_sex"), _TEXT),
}
VERIFY: Final = Object(
    {
        "outputs": Object(
            {**_PERSON, **dict.fromkeys(("email", "id_number", "id_number_type", "phone"), _TEXT)}
        ),
        "document": Object(
            {
                **_PERSON,
                "expiration_date": _DATE,
                "issued_date": _DATE,
                **dict.fromkeys(("issuing_country", "number", "type"), _TEXT),
            }
        ),
    }
)
_FAIL: Final = Object({"code": Word(tuple(people.GROUP_OF)), "reason": STRING}, required=("code",))
_SEED: Final = Object(
    {
        "count": Integer(1, seeding.MAX_COUNT),
        "interval": Integer(0, 86_400),
        "status": Word(tuple(sorted(VERIFICATION_SESSION.states))),
    },
    required=("count",),
)


def _submit(call: Call) -> Json:
    """Let the person submit."""
    return call.show(steps.submit(call.account, _session(call)))


def _verify(call: Call) -> Json:
    """Let all checks pass."""
    outputs, document = get_object(call.params, "outputs"), get_object(call.params, "document")
    return call.show(steps.verify(call.account, _session(call), outputs, document))


def _fail(call: Call) -> Json:
    """Let a check fail, or the person give up."""
    code, reason = call.params["code"], call.params.get("reason")
    return call.show(steps.fail(call.account, _session(call), code, reason))


def _finish_redaction(call: Call) -> Json:
    """Finish a redaction now."""
    return call.show(steps.finish_redaction(call.account, _session(call)))


def _seed(call: Call) -> Steps:
    """Store sessions that reach back in time with their reports, and nothing else."""
    count, interval = call.params["count"], call.params.get("interval", seeding.DEFAULT_INTERVAL)
    yield from seeding.seed_sessions(call.account, count, interval, call.params.get("status"))
    return {"created": count}


def _session(call: Call) -> Json:
    return call.account.get(SESSION, call.ids[0], "session")


ROUTES: Final = (
    control_route("POST", f"{_PATH}/submit", _submit),
    control_route("POST", f"{_PATH}/verify", _verify, VERIFY),
    control_route("POST", f"{_PATH}/fail", _fail, _FAIL),
    control_route("POST", f"{_PATH}/finish_redaction", _finish_redaction),
    control_route("POST", "identity/seed", _seed, _SEED),
)
