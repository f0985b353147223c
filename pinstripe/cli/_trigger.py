"""Has a sandbox produce an event.

Each type of event has a recipe: the call that makes an object, and the steps that take the object
to the event, over the API and the sandbox's own paths. So the event is in the log, its object can
be retrieved, and every endpoint that wants the event receives it.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final, TypeAlias, cast

import click
from attrs import evolve, field, frozen
from yarl import URL

from pinstripe import AsyncClient
from pinstripe._core.errors import PinstripeError
from pinstripe._core.redaction import clean_text, printable_lines
from pinstripe._http.encoding import encode_form
from pinstripe.cli._account import BadInput, api_key, base_url, base_url_source, test_client
from pinstripe.cli._calls.data import field_at
from pinstripe.cli._calls.values import set_values
from pinstripe.cli._failures import CallFailedError, failure_of
from pinstripe.cli._http import NoAnswer, send
from pinstripe.cli._interrupt import run_interruptible
from pinstripe.cli._status import NO_ANSWER, REFUSED

_Params: TypeAlias = dict[str, Any]
_Ask: TypeAlias = Callable[[AsyncClient], Awaitable[str]]

_SANDBOX_PATHS = "/_sandbox/"


@frozen
class Call:
    """A POST.

    Attributes:
        path: Its path; `{id}` is the id of the object that the first call made.
        params: Its parameters. A value that is a coroutine function is asked for when the call
            is made: ids are those of the sandbox at hand.
    """

    path: str
    params: Mapping[str, Any] = field(factory=dict[str, Any])


@frozen
class Recipe:
    """How an event comes about.

    Attributes:
        make: Makes the object.
        steps: What happens to it then.
        about_files: Whether the event is about the files of the object's report.
    """

    make: Call
    steps: tuple[Call, ...] = ()
    about_files: bool = False


def _recipe(make: Call, *steps: Call) -> Recipe:
    return Recipe(make, steps)


async def _products(client: AsyncClient) -> tuple[str, str]:
    """Return the ids of the two products with the most tons for sale."""
    products = [product async for product in client.climate.products.list()]
    products.sort(key=lambda product: product.metric_tons_available, reverse=True)
    if len(products) < 2:
        raise TriggerError("the sandbox has fewer than two products")
    return products[0].id, products[1].id


async def _product(client: AsyncClient) -> str:
    return (await _products(client))[0]


async def _other_product(client: AsyncClient) -> str:
    return (await _products(client))[1]


async def _supplier(client: AsyncClient) -> str:
    async for supplier in client.climate.suppliers.list(max_items=1):
        return supplier.id
    raise TriggerError("the sandbox has no supplier")


async def _new_name(_: AsyncClient) -> str:
    return f"Triggered {secrets.token_hex(4)}"


_SESSION = "identity.verification_session"
_MAKE_SESSION = Call("/v1/identity/verification_sessions", {"type": "document"})
_SESSION_PATH = "/v1/identity/verification_sessions/{id}"
_PERSON = "/_sandbox/identity/verification_sessions/{id}"
_VERIFY = Call(f"{_PERSON}/verify")

_MAKE_ORDER = Call("/v1/climate/orders", {"product": _product, "metric_tons": "0.01"})
_SELLER = "/_sandbox/climate/orders/{id}"

_MAKE_PRODUCT = Call(
    "/_sandbox/climate/products",
    {
        "name": _new_name,
        "prices": {"usd": 30_000},
        "suppliers": {"0": _supplier},
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
        _MAKE_ORDER, Call(f"{_SELLER}/substitute", {"product": _other_product})
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
"""The recipe of each type of event; of two spellings of one type, the one that the sandbox uses."""


_ID = re.compile(r"[A-Za-z0-9_]+")


class TriggerError(Exception):
    """The sandbox refused a step, or has no event of it."""

    status = REFUSED


class _NoSandboxError(TriggerError):
    """What answers is no sandbox, or nothing answers."""

    status = NO_ANSWER


def run_trigger(type: str, overrides: Sequence[str]) -> int:
    """Have a sandbox produce an event, print its id, and return the exit status.

    Args:
        type: The type of the event.
        overrides: Parameters of the object that are other than in the recipe.

    Raises:
        BadInput: The usage or the environment is wrong.
        ClickException: The sandbox refuses a step.
    """
    recipe = RECIPES.get(type)
    if recipe is None:
        known = "\n".join(f"  {name}" for name in RECIPES)
        raise BadInput(f"{clean_text(type)} cannot be triggered; the types are:\n{known}")
    params = deepcopy({**recipe.make.params})
    set_values(params, overrides, "--override")
    recipe = evolve(recipe, make=evolve(recipe.make, params=params))
    base = base_url()
    if not base:
        raise BadInput(
            "PINSTRIPE_BASE_URL is not set: run `pinstripe sandbox`, and set it to the address "
            "that this prints"
        )
    client = test_client()
    try:
        event = run_interruptible(_produce(client, URL(base), type, recipe))
    except PinstripeError as error:
        raise failure_of(error, error.message) from None
    except TriggerError as error:
        raise CallFailedError(str(error), error.status, {}) from None
    click.echo(printable_lines(event))
    return 0


async def _produce(client: AsyncClient, base: URL, type: str, recipe: Recipe) -> str:
    """Follow a recipe, and return the id of the event."""
    async with client:
        await _check_sandbox(base)
        made = await _post(client, base, recipe.make, "")
        id = _text_at(made, "id")
        if not _ID.fullmatch(id):
            raise _nonsense()
        for step in recipe.steps:
            await _post(client, base, step, id)

        # The event is the newest one of its type that is about this object.
        subjects = await _files(client, id) if recipe.about_files else {id}
        async for event in client.events.list(type=type, max_items=100):
            subject = cast("Any", event.data.object)
            about = field_at(subject, "id") if isinstance(subject, dict) else subject.id
            if isinstance(about, str) and about in subjects:
                return event.id
    raise TriggerError(f"{id} was made, but there is no event of this type about it")


async def _check_sandbox(base: URL) -> None:
    """Refuse an address that is not a sandbox, before an object is made there."""
    try:
        answer = await send("GET", base / "_sandbox/clock", headers=_authorization())
    except NoAnswer as error:
        raise BadInput(f"{base_url_source()} cannot be reached: {error}") from None
    if answer.status != 200 or b'"now"' not in answer.body:
        raise BadInput(f"{base_url_source()} is not the address of a sandbox")


async def _post(client: AsyncClient, base: URL, call: Call, id: str) -> Any:
    """Make a call, and return the object that it answers with."""
    path = call.path.format(id=id)
    params = await _with_answers(client, call.params)
    if not path.startswith(_SANDBOX_PATHS):
        return _read((await client.request("POST", path, params)).body)
    headers = {"Content-Type": "application/x-www-form-urlencoded", **_authorization()}
    body = encode_form(params).encode()
    try:
        answer = await send("POST", base.join(URL(path)), body, headers)
    except NoAnswer as error:
        raise _NoSandboxError(f"the sandbox does not answer: {error}") from None
    value = _read(answer.body)
    if answer.status != 200:
        raise TriggerError(clean_text(_text_at(value, "error.message")))
    return value


def _read(body: bytes) -> Any:
    """Return the value of an answer, which can be anything if no sandbox answers."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise _nonsense() from None


def _text_at(value: Any, path: str) -> str:
    text = field_at(value, path)
    if not isinstance(text, str):
        raise _nonsense()
    return text


def _nonsense() -> _NoSandboxError:
    problem = "answers what no sandbox does; is it the address of one?"
    return _NoSandboxError(f"{base_url_source()} {problem}")


async def _with_answers(client: AsyncClient, params: Mapping[str, Any]) -> _Params:
    """Return parameters in which the answers replace the coroutine functions."""
    answered: _Params = {}
    for name, value in params.items():
        if isinstance(value, Mapping):
            answered[name] = await _with_answers(client, cast("_Params", value))
        else:
            answered[name] = await cast("_Ask", value)(client) if callable(value) else value
    return answered


def _authorization() -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key()}"}


async def _files(client: AsyncClient, session: str) -> set[str]:
    """Return the ids of the images that the report of a session refers to."""
    path = f"/v1/identity/verification_sessions/{session}"
    answer = await client.request("GET", path, {"expand": ["last_verification_report"]})
    files = field_at(_read(answer.body), "last_verification_report.document.files")
    if not isinstance(files, list):
        raise _nonsense()
    return {file for file in cast("list[Any]", files) if isinstance(file, str)}
