"""Runs an endpoint: checks the parameters, calls the handler, encodes the answer.

A call has two halves. `prepare` may refuse, and nothing has happened then. `run` never raises: the
handler may have changed something, so that even its error is an answer, which is kept under the
idempotency key.

The module knows no HTTP, so that the drivers run the same routes as requests do.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Generator

import msgspec

from pinstripe.sandbox._http.call import Call
from pinstripe.sandbox._http.routes import Content, Match, Stream
from pinstripe.sandbox._http.slices import run_in_slices
from pinstripe.sandbox._params.errors import API, Refusal
from pinstripe.sandbox._params.forms import Form
from pinstripe.sandbox._state.kinds import Expansion
from pinstripe.sandbox._state.origin import EventOrigin
from pinstripe.sandbox._state.world import Account
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
    html: bool = False,
) -> Call:
    """Run the due jobs of the account and check the parameters of a request.

    Args:
        match: The route and the values of its placeholders.
        form: The decoded parameters.
        account: The account of the request.
        restricted: Whether the API key is a restricted one.
        origin: The request, as events report it.
        path: The path of the request.
        html: Whether a browser asks.

    Raises:
        Refusal: For parameters that the endpoint does not accept.
    """
    account.run_due()
    params = match.schema.read_form(form)
    paths = tuple(params.pop("expand", ()))
    route = match.route
    expand: Expansion = {}
    if paths:
        if route.kind is None:
            raise Refusal("This endpoint has nothing to expand.", param="expand")
        expand = account.registry.parse_expand(
            route.kind, paths, restricted=restricted, listed=route.listed
        )
    return Call(account, params, match.ids, expand, origin, path, restricted, html)


async def run(match: Match, call: Call) -> EncodedAnswer | Stream:
    """Call the handler and return its answer, or its error as an answer."""
    route, account, origin = match.route, call.account, call.origin
    try:
        reply = route.handler(call)
        if isinstance(reply, Generator):
            reply = await run_in_slices(reply, account.world.journal)
        elif not isinstance(reply, (dict, Content, Stream)):
            reply = await reply
        if isinstance(reply, Stream):
            return reply
        if isinstance(reply, Content):
            return EncodedAnswer(reply.status, reply.data, reply.headers, reply.type)
        if route.method != "GET" and not route.control:
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
        return EncodedAnswer(200, _encoder.encode(reply))
    except Refusal as refusal:
        return error_answer(refusal)
    except Exception:  # noqa: BLE001 -- no traceback leaves the sandbox
        return internal_error(f"{route.method} {route.path}")


def error_answer(refusal: Refusal) -> EncodedAnswer:
    """Return the answer for a refusal."""
    return EncodedAnswer(refusal.status, _encoder.encode(refusal.envelope()), refusal.headers)


def internal_error(where: str) -> EncodedAnswer:
    """Log the current exception and return a 500 that reveals nothing of it.

    Args:
        where: What failed, for the log.
    """
    _log.exception("The sandbox failed at %s", where)
    text = "The sandbox itself failed; see its log."
    return error_answer(Refusal(text, status=500, type=API))


def fingerprint(form: Form) -> bytes:
    """Return a digest of the parameters that does not depend on their order."""
    return hashlib.sha256(_canonical.encode(form)).digest()
