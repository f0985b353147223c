"""The sandbox's own endpoints under `/_sandbox/`: steps that nobody calls on the real API.

They take a form or a JSON object, need a test key like any request, act on the account of
`Stripe-Account`, and answer with the object as the API shows it (`/_sandbox/clock` with
`{"now": seconds}`, a seed with `{"created": count}`). Parameters, by path:

- `POST identity/verification_sessions/{session}/submit`: none
- `POST .../verify`: `outputs` and `document`, objects whose values replace the invented ones
- `POST .../fail`: `code` (required, a `last_error` code), `reason`
- `POST .../finish_redaction`: none
- `POST identity/seed`: `count`, `interval` (seconds between two sessions), `status`
- `POST crypto/onramp_sessions/{id}/advance`: `status` (required), one step away
- `POST crypto/onramp_sessions/{id}/complete`: none
- `climate/...`: see `climate_control`
- `webhooks/...`: see `webhook_control`
- `GET clock`, `POST clock`: `advance` (seconds); refused unless the clock is moved by hand
"""

from __future__ import annotations

from typing import Final

from pinstripe.sandbox import crypto, people, seeding, verification
from pinstripe.sandbox.clock import ManualClock
from pinstripe.sandbox.errors import invalid
from pinstripe.sandbox.lifecycles import ONRAMP_SESSION, VERIFICATION_SESSION
from pinstripe.sandbox.routes import NO_PARAMS, Handler, Route
from pinstripe.sandbox.schema import (
    STRING,
    Integer,
    Nullable,
    Object,
    PositiveDecimal,
    Spec,
    Word,
)
from pinstripe.sandbox.store import Json, part
from pinstripe.sandbox.verification import SESSION
from pinstripe.sandbox.world import Call

_TEXT: Final = Nullable(STRING)
_DATE: Final = Nullable(
    Object({"day": Integer(1, 31), "month": Integer(1, 12), "year": Integer(1, 9999)})
)
_SEX: Final = Nullable(Word(("female", "male", "unknown"), open=True))
_PERSON: Final[dict[str, Spec]] = {
    "address": Nullable(Object(dict.fromkeys(people.ADDRESS_FIELDS, _TEXT))),
    "dob": _DATE,
    "sex": _SEX,
    **dict.fromkeys(("first_name", "last_name", "unparsed_place_of_birth", "unparsed_sex"), _TEXT),
}
_VERIFY: Final = Object(
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
_ADVANCE: Final = Object(
    {"status": Word(tuple(sorted(ONRAMP_SESSION.states)))}, required=("status",)
)
_CLOCK: Final = Object({"advance": PositiveDecimal()}, required=("advance",))


def _submit(call: Call) -> Json:
    return call.show(verification.submit(call.account, _session(call)))


def _verify(call: Call) -> Json:
    outputs, document = part(call.params, "outputs"), part(call.params, "document")
    return call.show(verification.verify(call.account, _session(call), outputs, document))


def _fail(call: Call) -> Json:
    code, reason = call.params["code"], call.params.get("reason")
    return call.show(verification.fail(call.account, _session(call), code, reason))


def _finish_redaction(call: Call) -> Json:
    return call.show(verification.finish_redaction(call.account, _session(call)))


def _seed(call: Call) -> Json:
    params = call.params
    interval = params.get("interval", seeding.DEFAULT_INTERVAL)
    seeding.seed_sessions(call.account, params["count"], interval, params.get("status"))
    return {"created": params["count"]}


def _advance(call: Call) -> Json:
    return call.show(crypto.advance(call.account, _onramp_session(call), call.params["status"]))


def _complete(call: Call) -> Json:
    return call.show(crypto.complete(call.account, _onramp_session(call)))


def _read_clock(call: Call) -> Json:
    return {"now": call.account.now()}


def _move_clock(call: Call) -> Json:
    clock = call.account.settings.clock
    if not isinstance(clock, ManualClock):
        raise invalid("The clock of this sandbox runs by itself; start it with a manual one.")
    clock.advance(float(call.params["advance"]))
    for account in call.account.world.accounts():
        account.settle()
    return _read_clock(call)


def _session(call: Call) -> Json:
    return call.account.get(SESSION, call.ids[0], "session")


def _onramp_session(call: Call) -> Json:
    return call.account.get(crypto.SESSION, call.ids[0], "id")


def _route(
    path: str, handler: Handler, params: Object | None = None, method: str = "POST"
) -> Route:
    return Route(method, f"/_sandbox/{path}", handler, params or NO_PARAMS, control=True)


SESSION_PATH: Final = "identity/verification_sessions/{session}"
ONRAMP_PATH: Final = "crypto/onramp_sessions/{id}"

ROUTES: Final = (
    _route(f"{SESSION_PATH}/submit", _submit),
    _route(f"{SESSION_PATH}/verify", _verify, _VERIFY),
    _route(f"{SESSION_PATH}/fail", _fail, _FAIL),
    _route(f"{SESSION_PATH}/finish_redaction", _finish_redaction),
    _route("identity/seed", _seed, _SEED),
    _route(f"{ONRAMP_PATH}/advance", _advance, _ADVANCE),
    _route(f"{ONRAMP_PATH}/complete", _complete),
    _route("clock", _read_clock, method="GET"),
    _route("clock", _move_clock, _CLOCK),
)
