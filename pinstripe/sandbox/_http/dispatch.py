"""Runs an endpoint: checks the parameters, calls the handler, turns the outcome into an answer.

Knows nothing of HTTP, so that the drivers run the very routes that requests run.
"""

from __future__ import annotations

import hashlib
import logging

import msgspec

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.routes import Content, Match, Reply
from pinstripe.sandbox._params.errors import API, Refusal
from pinstripe.sandbox._params.forms import Form
from pinstripe.sandbox._state.kinds import Expansion
from pinstripe.sandbox._state.world import Account, EventOrigin
from pinstripe.sandbox._traffic.answer import EncodedAnswer
from pinstripe.sandbox._traffic.effects import Effect

_log = logging.getLogger("pinstripe.sandbox")
_encoder = msgspec.json.Encoder()
_canonical = msgspec.json.Encoder(order="deterministic")


def prepare(
    match: Match,
    form: Form,
    account: Account,
    *,
    restricted: bool,
    origin: EventOrigin,
    path: str,
) -> Call:
    """Check the parameters of a request and settle what is due on its account.

    Args:
        match: the route and what stood in its placeholders.
        form: the decoded parameters.
        account: whose objects are meant.
        restricted: whether the key is a restricted one.
        origin: the request, as events tell of it.
        path: path of the request.

    Raises:
        Refusal: for parameters that the endpoint does not accept.
    """
    account.run_due()
    params = match.schema.read_form(form)
    paths = tuple(params.pop("expand", ()))
    asked = _asked(match, account, paths, restricted=restricted)
    return Call(account, params, match.ids, asked, origin, path, restricted)


async def run(match: Match, call: Call) -> EncodedAnswer:
    """Call the handler, wait where it has to wait; whatever happens, there is an answer."""
    try:
        outcome = match.route.handler(call)
        if not isinstance(outcome, (dict, Content)):
            outcome = await outcome
        _note(match, call, outcome)
        return _answer(outcome)
    except Refusal as refusal:
        return error_answer(refusal)
    except Exception:  # noqa: BLE001 - no traceback leaves the sandbox
        return internal_error(f"{match.route.method} {match.route.path}")


def _note(match: Match, call: Call, reply: Reply) -> None:
    route, account, origin = match.route, call.account, call.origin
    if route.method == "GET" or route.control or not isinstance(reply, dict):
        return
    account.world.effects.add(
        Effect(
            origin.request_id,
            origin.idempotency_key,
            account.id,
            route.method,
            call.path,
            reply.get("object"),
            reply.get("id"),
            account.now(),
        )
    )


def _answer(reply: Reply) -> EncodedAnswer:
    if isinstance(reply, Content):
        return EncodedAnswer(reply.status, reply.data, reply.headers, reply.type)
    return EncodedAnswer(200, _encoder.encode(reply))


def error_answer(refusal: Refusal) -> EncodedAnswer:
    """Return the answer that carries a refusal."""
    return EncodedAnswer(refusal.status, _encoder.encode(refusal.envelope()), refusal.headers)


def internal_error(where: str) -> EncodedAnswer:
    """Log the exception being handled and return a 500 that tells nothing of it."""
    _log.exception("The sandbox failed at %s", where)
    text = "The sandbox itself failed; its log says where."
    return error_answer(Refusal(text, status=500, type=API))


def fingerprint(form: Form) -> bytes:
    """Return a digest of the parameters that does not hang on their order."""
    return hashlib.sha256(_canonical.encode(form)).digest()


def _asked(
    match: Match, account: Account, paths: tuple[str, ...], *, restricted: bool
) -> Expansion:
    route = match.route
    if route.kind is None:
        if paths:
            raise Refusal("Nothing can be expanded here.", param="expand")
        return {}
    return account.registry.parse_expand(
        route.kind, paths, restricted=restricted, listed=route.listed
    )
