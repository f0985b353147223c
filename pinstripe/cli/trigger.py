"""`pinstripe trigger`: has a sandbox produce an event, by living the life that leads to it.

Each type has a recipe: the call that makes an object, and the steps that take it to the event,
over the API and the sandbox's own paths. So the event is in the log, its object can be retrieved,
and every endpoint that wants it gets it.
"""

from __future__ import annotations

import json
import os
import re
import secrets as random
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

import click
from attrs import evolve, field, frozen
from yarl import URL

from pinstripe import AsyncClient
from pinstripe._core.errors import PinstripeError
from pinstripe._core.redaction import clean_text
from pinstripe._http.encoding import encode_form
from pinstripe.cli._account import BadInput, test_client
from pinstripe.cli._http import NoAnswer, send
from pinstripe.cli._interrupt import run_interruptible
from pinstripe.sandbox._climate.catalogue import PORTFOLIO, SKERRYSTONE, WEATHERING

_Params: TypeAlias = dict[str, Any]

_OVERRIDE = re.compile(r"(\w+)((?:\[\w+\])*)=(.*)", re.DOTALL)
_OWN = "/_sandbox/"


@frozen
class Call:
    """A POST; `{id}` in the path is the id of the object that the first one made."""

    path: str
    params: Mapping[str, Any] = field(factory=dict[str, Any])


@frozen
class Recipe:
    """How an event comes about.

    Attributes:
        make: Makes the object.
        steps: What happens to it then.
        about_files: Whether the event is not about the object, but about the files of its report.
    """

    make: Call
    steps: tuple[Call, ...] = ()
    about_files: bool = False


def _recipe(make: Call, *steps: Call) -> Recipe:
    return Recipe(make, steps)


_SESSION = "identity.verification_session"
_MAKE_SESSION = Call("/v1/identity/verification_sessions", {"type": "document"})
_SESSION_PATH = "/v1/identity/verification_sessions/{id}"
_PERSON = "/_sandbox/identity/verification_sessions/{id}"
_VERIFY = Call(f"{_PERSON}/verify")

_MAKE_ORDER = Call("/v1/climate/orders", {"product": PORTFOLIO, "metric_tons": "0.01"})
_SELLER = "/_sandbox/climate/orders/{id}"

_MAKE_PRODUCT = Call(
    "/_sandbox/climate/products",
    {
        "prices": {"usd": 30_000},
        "suppliers": [SKERRYSTONE["id"]],
        "metric_tons_available": 100,
    },
)
_REPRICE = Call("/_sandbox/climate/products/{id}/change_price", {"prices": {"usd": 31_234}})

RECIPES: Final[Mapping[str, Recipe]] = {
    "climate.order.canceled": _recipe(_MAKE_ORDER, Call("/v1/climate/orders/{id}/cancel")),
    "climate.order.created": _recipe(_MAKE_ORDER),
    "climate.order.delayed": _recipe(_MAKE_ORDER, Call(f"{_SELLER}/delay")),
    "climate.order.delivered": _recipe(_MAKE_ORDER, Call(f"{_SELLER}/deliver")),
    "climate.order.product_substituted": _recipe(
        _MAKE_ORDER, Call(f"{_SELLER}/substitute", {"product": WEATHERING})
    ),
    "climate.product.created": _recipe(_MAKE_PRODUCT),
    "climate.product.pricing_updated": _recipe(_MAKE_PRODUCT, _REPRICE),
    "crypto.onramp_session.updated": _recipe(
        Call("/v1/crypto/onramp_sessions"),
        Call("/_sandbox/crypto/onramp_sessions/{id}/advance", {"status": "requires_payment"}),
    ),
    "file.created": Recipe(_MAKE_SESSION, (_VERIFY,), about_files=True),
    f"{_SESSION}.canceled": _recipe(_MAKE_SESSION, Call(f"{_SESSION_PATH}/cancel")),
    f"{_SESSION}.created": _recipe(_MAKE_SESSION),
    f"{_SESSION}.processing": _recipe(_MAKE_SESSION, Call(f"{_PERSON}/submit")),
    f"{_SESSION}.redacted": _recipe(
        _MAKE_SESSION,
        _VERIFY,
        Call(f"{_SESSION_PATH}/redact"),
        Call(f"{_PERSON}/finish_redaction"),
    ),
    f"{_SESSION}.requires_input": _recipe(
        _MAKE_SESSION, Call(f"{_PERSON}/fail", {"code": "document_expired"})
    ),
    f"{_SESSION}.verified": _recipe(_MAKE_SESSION, _VERIFY),
}
"""How each type of event comes about; the sandbox tells of onramp sessions by this spelling."""


class TriggerError(Exception):
    """The sandbox refused a step, or told of no event."""


@click.command(short_help="Have a sandbox produce an event.")
@click.argument("type", metavar="TYPE")
@click.option(
    "--override",
    "overrides",
    multiple=True,
    metavar="FIELD=VALUE",
    help="A parameter of the object that is made, such as metadata[user]=42; can be given again.",
)
def trigger(*, type: str, overrides: Sequence[str]) -> int:
    """Have a sandbox produce an event of TYPE, and print the id of the event.

    An object is made and taken through its life until that happens, so that the event is in the
    log, and on its way to every endpoint that wants it.

    The sandbox is that of PINSTRIPE_BASE_URL, the account that of STRIPE_API_KEY.

    The exit status is 0 when there is an event; 1 where the sandbox refuses a step, such as an
    override; 2 where the usage or the environment is wrong.
    """
    recipe = RECIPES.get(type)
    if recipe is None:
        known = "\n".join(f"  {name}" for name in RECIPES)
        raise BadInput(f"{clean_text(type)} is none of the types that can be triggered:\n{known}")
    params = dict(recipe.make.params)
    if recipe.make is _MAKE_PRODUCT:
        params["name"] = f"Triggered {random.token_hex(4)}"
    for text in overrides:
        _override(params, text)
    recipe = evolve(recipe, make=evolve(recipe.make, params=params))
    base = os.environ.get("PINSTRIPE_BASE_URL")
    if not base:
        problem = (
            "PINSTRIPE_BASE_URL is not set: run `pinstripe sandbox`, and set it to its address"
        )
        raise BadInput(problem)
    client = test_client()
    try:
        click.echo(run_interruptible(_produce(client, URL(base), type, recipe)))
    except (PinstripeError, TriggerError) as error:
        raise click.ClickException(getattr(error, "message", str(error))) from None
    return 0


def _override(params: _Params, text: str) -> None:
    found = _OVERRIDE.fullmatch(text)
    if found is None:
        raise BadInput(f"--override takes FIELD=VALUE or FIELD[NAME]=VALUE, not {text!r}")
    first, rest, value = found.groups()
    *path, last = [first, *re.findall(r"\w+", rest)]
    for name in path:
        inner = params.get(name)
        params[name] = params = dict(cast("_Params", inner)) if isinstance(inner, dict) else {}
    params[last] = value


async def _produce(client: AsyncClient, base: URL, type: str, recipe: Recipe) -> str:
    """Follow a recipe, and return the id of the event."""
    async with client:
        await _check_sandbox(base)
        made = await _post(client, base, recipe.make, "")
        id: str = made["id"]
        for step in recipe.steps:
            await _post(client, base, step, id)
        about = await _files(client, id) if recipe.about_files else {id}
        async for event in client.events.list(type=type, max_items=100):
            subject = cast("Any", event.data.object)
            if (subject["id"] if isinstance(subject, dict) else subject.id) in about:
                return event.id
    raise TriggerError(f"{id} was made, but no event of this type tells of it")


async def _check_sandbox(base: URL) -> None:
    try:
        answer = await send("GET", base / "_sandbox/clock", headers=_headers())
    except NoAnswer as error:
        raise BadInput(f"PINSTRIPE_BASE_URL cannot be reached: {error}") from None
    if answer.status != 200 or b'"now"' not in answer.body:
        raise BadInput("PINSTRIPE_BASE_URL is not the address of a sandbox")


async def _post(client: AsyncClient, base: URL, call: Call, id: str) -> Any:
    path = call.path.format(id=id)
    if not path.startswith(_OWN):
        return json.loads((await client.request("POST", path, call.params)).body)
    headers = {"Content-Type": "application/x-www-form-urlencoded", **_headers()}
    try:
        answer = await send(
            "POST", base.join(URL(path)), encode_form(call.params).encode(), headers
        )
    except NoAnswer as error:
        raise TriggerError(f"the sandbox does not answer: {error}") from None
    told = json.loads(answer.body)
    if answer.status != 200:
        raise TriggerError(clean_text(told["error"]["message"]))
    return told


def _headers() -> dict[str, str]:
    return {"Authorization": f"Bearer {os.environ['STRIPE_API_KEY']}"}


async def _files(client: AsyncClient, session: str) -> set[str]:
    """Return the ids of the images that the report of a session refers to."""
    path = f"/v1/identity/verification_sessions/{session}"
    answer = await client.request("GET", path, {"expand": ["last_verification_report"]})
    report = json.loads(answer.body)["last_verification_report"]
    return set(report["document"]["files"])
