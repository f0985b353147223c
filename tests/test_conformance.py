"""Client and sandbox beside the facts of the API: every released endpoint, parameter, model, field.

The facts are YAML files that stand beside the repository, or where `PINSTRIPE_FACTS` says. Each
call is really made, one parameter at a time, and what goes over the wire is looked at.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import os
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin
from urllib.parse import parse_qsl

import attrs
import pytest
from typing_extensions import get_type_hints, is_typeddict

from pinstripe import AsyncClient, ConfigurationError, Created, Page, Pager, to_dict
from pinstripe._http.messages import Request, Response
from pinstripe._models.convert import decode
from pinstripe._models.kinds import hints_of
from pinstripe.crypto import Quotes
from pinstripe.events import EventRequest, ThinEvent, ThinEventReason
from pinstripe.files import FileLink
from pinstripe.forwarding import (
    ForwardingHeader,
    ForwardingRequest,
    ForwardingRequestContext,
    ForwardingRequestDetails,
    ForwardingResponseDetails,
)
from pinstripe.identity import VerificationError
from pinstripe.sandbox._pages.refusals import REFUSALS
from pinstripe.sandbox._params.schema import Array, Nullable, Object
from pinstripe.sandbox._server import ROUTES
from pinstripe.sandbox._state.event_types import ENABLED_EVENTS
from pinstripe.sandbox._state.versions import API_VERSION, VERSIONS
from pinstripe.sandbox._v2 import thin
from pinstripe.v2 import DeletedEventDestination, ThinEventType
from pinstripe.webhook_endpoints import EnabledEvent

yaml = pytest.importorskip("yaml")

FACTS = Path(os.environ.get("PINSTRIPE_FACTS") or Path(__file__).parents[2] / "shared" / "api")
if not (FACTS / "common.yaml").is_file():
    reason = f"the facts of the API are not in {FACTS}; set PINSTRIPE_FACTS"
    pytest.skip(reason, allow_module_level=True)

PRODUCTS = (
    *("climate", "crypto", "events", "files", "forwarding", "identity"),
    *("webhook_endpoints", "v2"),
)
# The file of a product whose name is another one.
FILES = {"v2": "v2_events"}

# A model of the facts, and the class that stands for it where that has another name.
RENAMED = {
    ("crypto", "OnrampQuotes"): Quotes,  # `OnrampQuotes` are the calls, as `OnrampSessions` are
    ("forwarding", "Request"): ForwardingRequest,  # `pinstripe.Request` is a request of the wire
    ("forwarding", "RequestContext"): ForwardingRequestContext,
    ("forwarding", "RequestDetails"): ForwardingRequestDetails,
    ("forwarding", "ResponseDetails"): ForwardingResponseDetails,
    ("forwarding", "Header"): ForwardingHeader,
    # One code and one reason, whichever check failed.
    ("identity", "VerificationSessionLastError"): VerificationError,
    ("identity", "ReportDocumentError"): VerificationError,
    ("identity", "ReportEmailError"): VerificationError,
    ("identity", "ReportIdNumberError"): VerificationError,
    ("identity", "ReportPhoneError"): VerificationError,
    ("identity", "ReportSelfieError"): VerificationError,
    # `Event` is the one of version 1.
    ("v2", "Event"): ThinEvent,
    ("v2", "Reason"): ThinEventReason,
    ("v2", "ReasonRequest"): EventRequest,
    ("v2", "DeletedObject"): DeletedEventDestination,
}
# Models of the facts that are a plain mapping here: new keys can come any time.
OPEN = {
    ("crypto", "OnrampNetworkQuotes"),
    ("crypto", "OnrampWalletAddresses"),
    ("crypto", "OnrampDestinationTags"),
}
# Words that are plain text here: only a private preview has them.
PLAIN = {("OnrampTransactionDetails", "last_error")}
# Fields that may be missing here, since older answers lack them.
LOOSER = {
    ("OnrampQuote", "id"),
    ("Event", "livemode"),
    ("Event", "pending_webhooks"),
    ("ThinEvent", "livemode"),
    ("EventRequest", "id"),
    ("EventRequest", "idempotency_key"),
}
# Keys of arguments that have another name on the wire.
ARGUMENTS = {"base_network": "base"}
# Arguments of our own, which are not sent as parameters.
OWN = {"request_options", "max_items", "cursor"}
RFC3339 = "RFC 3339"
OWN_OF = {
    "crypto.onramp_sessions.retrieve": {"session"},  # the facts call it id, as `{id}` in the path
    "files.create": {"filename", "content_type"},  # they go into the part that holds the file
}
# Parameters that go with another one: without them the API, or the client, would refuse it.
PAIR = ("destination_currency", "destination_network")
TOGETHER: dict[str, dict[str, tuple[str, ...]]] = {
    "climate.orders.create": {"": ("metric_tons",), "amount": ()},
    "crypto.onramp_quotes.retrieve": {
        "destination_amount": ("destination_currencies", "destination_networks")
    },
    "crypto.onramp_sessions.create": {
        "destination_amount": PAIR,
        "destination_currency": PAIR,
        "destination_network": PAIR,
        "lock_wallet_address": ("wallet_addresses",),
        "source_amount": ("source_currency",),
    },
    "identity.verification_sessions.create": {"": ("type",)},
}
WHEN = datetime(2027, 1, 1, tzinfo=timezone.utc)
SECONDS = str(int(WHEN.timestamp()))


@functools.cache
def facts(product: str) -> Any:
    path = FACTS / f"{FILES.get(product, product)}.yaml"
    # The loader that is written in C takes a tenth of the time, in each process of a run.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), loader)


ENDPOINTS = {
    endpoint["name"]: (product, endpoint)
    for product in PRODUCTS
    for endpoint in facts(product)["endpoints"]
}


# What is sent


class Sent(Exception):
    """Ends a call at the wire."""


class Recorder:
    """A transport that keeps the request and answers nothing that could be read."""

    def __init__(self) -> None:
        self.request: Request | None = None
        self.uploaded = b""

    async def send(self, request: Request) -> Response:
        self.request = request
        if request.upload is not None:
            self.uploaded = b"".join([piece async for piece in request.upload.pieces()])
        raise Sent

    async def aclose(self) -> None:
        pass

    def pairs(self) -> set[tuple[str, str]]:
        """Names and values of the parameters, as they went out."""
        assert self.request is not None
        if self.request.upload is not None:
            parts = re.findall(
                rb'name="([^"]+)"[^\n]*\r\n(?:[^\n]+\r\n)*\r\n(.*?)\r\n--', self.uploaded, re.DOTALL
            )
            return {(name.decode(), value.decode()) for name, value in parts}
        if self.request.headers.get("Content-Type") == "application/json":
            return set(pairs_of(json.loads(self.request.body or b"")))
        form = self.request.query if self.request.body is None else self.request.body.decode()
        return set(parse_qsl(form, keep_blank_values=True))


def pairs_of(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the values of a JSON body, by the names that a form would have."""
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from pairs_of(inner, f"{path}[{key}]" if path else str(key))
    else:
        yield path, value


def method_of(client: AsyncClient, name: str) -> Any:
    """Return the method for an endpoint of the facts."""
    name = "file_links.download" if name == "file_links.open" else name
    return functools.reduce(getattr, name.split("."), client)


async def request_of(name: str, /, *ids: Any, **arguments: Any) -> Recorder:
    """Make a call through a client, and return what it sent."""
    recorder = Recorder()
    async with AsyncClient("sk_test_conformance", transport=recorder) as client:
        outcome = method_of(client, name)(*ids, **arguments)
        with pytest.raises(Sent):
            await outcome
    assert recorder.request is not None
    return recorder


SAMPLES: dict[str, tuple[Any, str]] = {
    "binary": (b"content", "content"),
    "boolean": (True, "true"),
    "decimal_string": (Decimal("1.5"), "1.5"),
    "integer": (5, "5"),
    "timestamp": (WHEN, SECONDS),
}
TEXTS = {"url": "https://a.example/b", "ip": "203.0.113.9", "iso4217_lower": "usd"}


def sample(spec: Any, path: str, product: str) -> tuple[Any, list[tuple[str, str]]]:
    """Return a value for a parameter, and the pairs that it has to be sent as."""
    kind = spec["type"]
    if "ref" in spec:
        spec = facts(product)[spec["ref"]]
    if kind == "object" and spec.get("format") == RFC3339:
        return Created(gte=WHEN), [(f"{path}[gte]", "2027-01-01T00:00:00Z")]
    if kind == "object":
        inner = {
            name: sample(field, f"{path}[{name}]", product)
            for name, field in spec["fields"].items()
        }
        value = {ARGUMENTS.get(name, name): value for name, (value, _) in inner.items()}
        return value, [pair for _, pairs in inner.values() for pair in pairs]
    if kind == "array":
        item, pairs = sample(spec["items"], f"{path}[0]", product)
        return [item], pairs
    if kind == "map":
        return {"k": "v"}, [(f"{path}[k]", "v")]
    if kind == "created_filter":
        return Created(gte=WHEN), [(f"{path}[gte]", SECONDS)]
    text = spec["enum"][0] if "enum" in spec else TEXTS.get(spec.get("format"), "x_1")
    value, sent = SAMPLES.get(kind, (text, text))
    return value, [(path, sent)]


def arguments_with(name: str, endpoint: Any, param: str) -> tuple[dict[str, Any], Any]:
    """Return the arguments of a call with one parameter, and the pairs it has to be sent as."""
    product, params = ENDPOINTS[name][0], endpoint["params"]
    rules = TOGETHER.get(name, {})
    required = [other for other, spec in params.items() if spec.get("required") is True]
    names = {*required, *rules.get(param, rules.get("", ())), *([param] if param else [])}
    samples = {other: sample(params[other], other, product) for other in names}
    arguments = {other: value for other, (value, _) in samples.items()}
    if name == "files.create":
        arguments["filename"] = "a.txt"
    return arguments, samples[param][1] if param else []


def ids_of(endpoint: Any) -> list[str]:
    return re.findall(r"\{(\w+)\}", endpoint["path"])


def expected_path(endpoint: Any) -> tuple[str, tuple[str, ...]]:
    ids = tuple(f"{name}_1" for name in ids_of(endpoint))
    return re.sub(r"\{(\w+)\}", r"\1_1", endpoint["path"]), ids


BYTES = {"files.download", "file_links.open"}


@pytest.mark.anyio
@pytest.mark.parametrize("name", [name for name in ENDPOINTS if name not in BYTES])
async def test_every_endpoint_is_called_with_every_parameter(name: str) -> None:
    _, endpoint = ENDPOINTS[name]
    path, ids = expected_path(endpoint)
    host = "files" if "files" in endpoint.get("base_url", "") else "api"
    missing: list[str] = []
    for param in ("", *endpoint["params"]):
        arguments, expected = arguments_with(name, endpoint, param)
        try:
            recorder = await request_of(name, *ids, **arguments)
        except (TypeError, ConfigurationError) as error:
            missing.append(f"{param or 'the call'}: {error}")
            continue
        request = recorder.request
        assert request is not None
        assert (request.method, request.path, request.host) == (endpoint["method"], path, host)
        missing += [f"{pair} is not sent" for pair in expected if pair not in recorder.pairs()]
    assert not missing


@pytest.mark.anyio
async def test_content_is_read_from_where_it_is(tmp_path: Path) -> None:
    recorder = await request_of("files.download", "file_1", tmp_path / "a")
    assert recorder.request is not None
    assert (recorder.request.path, recorder.request.host) == ("/v1/files/file_1/contents", "files")
    link = FileLink(
        id="link_1",
        created=WHEN,
        expired=False,
        file="file_1",
        livemode=False,
        metadata={},
        url="https://files.stripe.com/links/token",
    )
    recorder = await request_of("file_links.open", link, tmp_path / "b")
    assert recorder.request is not None
    assert (recorder.request.path, recorder.request.host) == ("/links/token", "files")
    assert recorder.request.anonymous


@pytest.mark.parametrize("name", [name for name in ENDPOINTS if name not in BYTES])
def test_no_method_has_an_argument_that_is_not_the_apis(name: str) -> None:
    _, endpoint = ENDPOINTS[name]
    client = AsyncClient("sk_test_conformance")
    method = method_of(client, name)
    known = {*endpoint["params"], *ids_of(endpoint), *OWN, *OWN_OF.get(name, ())}
    assert set(inspect.signature(method).parameters) - known == set()
    if endpoint["name"].endswith(".list"):
        assert set(inspect.signature(method).parameters) >= OWN


@pytest.mark.anyio
@pytest.mark.parametrize("name", [n for n, (_, e) in ENDPOINTS.items() if "created" in e["params"]])
async def test_filters_by_one_second_where_the_api_has_them(name: str) -> None:
    accepted = ENDPOINTS[name][1]["params"]["created"].get("accepts_bare_integer")
    if not accepted:
        with pytest.raises(ConfigurationError):
            await request_of(name, created=WHEN)
        return
    assert ("created", SECONDS) in (await request_of(name, created=WHEN)).pairs()


# What arguments can be


def takes(spec: Any, annotation: Any, product: str) -> bool:
    """Say whether an argument's type is that of a parameter of the facts."""
    _, options = options_of(annotation)
    kind = spec["type"]
    cleared = any(get_origin(option) is Literal and "" in get_args(option) for option in options)
    if spec.get("clearable") and not (cleared or str in options):
        return False
    if kind == "object" and spec.get("format") == RFC3339:
        return Created in options and datetime not in options
    if kind in ("object", "map"):
        return any(takes_keys(spec, option, product) for option in options)
    if kind == "array":
        items = [get_args(option)[0] for option in options if get_origin(option) is Sequence]
        return any(takes(spec["items"], item, product) for item in items)
    if kind == "binary":
        return {bytes, str} <= {*options}
    if kind == "created_filter":
        return Created in options and spec["accepts_bare_integer"] == (datetime in options)
    if kind == "enum":
        return str in options if "enum_ref" in spec else fits_words(spec, options)
    return SIMPLE[kind] in options


def takes_keys(spec: Any, option: Any, product: str) -> bool:
    if spec["type"] == "map":
        values = str | None if "null_value" in spec else str
        return get_origin(option) is Mapping and get_args(option) == (str, values)
    if not is_typeddict(option):
        return False
    fields = facts(product)[spec["ref"]]["fields"] if "ref" in spec else spec["fields"]
    fields = {ARGUMENTS.get(name, name): field for name, field in fields.items()}
    hints = get_type_hints(option)
    required = {name for name, field in fields.items() if field.get("required")}
    return (
        fields.keys() == hints.keys()
        and required <= option.__required_keys__
        and all(takes(field, hints[name], product) for name, field in fields.items())
    )


@pytest.mark.parametrize("name", [name for name in ENDPOINTS if name not in BYTES])
def test_arguments_have_the_types_of_the_parameters(name: str) -> None:
    product, endpoint = ENDPOINTS[name]
    hints = get_type_hints(method_of(AsyncClient("sk_test_conformance"), name))
    problems = [
        f"{param} cannot be {spec}: it is {hints.get(param)}"
        for param, spec in endpoint["params"].items()
        if not takes(spec, hints.get(param), product)
    ]
    assert not problems


# The models


def class_of(product: str, name: str) -> Any:
    if (product, name) in OPEN:
        return dict
    module = importlib.import_module(f"pinstripe.{product}")
    return RENAMED.get((product, name)) or getattr(module, name, None)


def named_in(spec: Any) -> Iterator[str]:
    """Yield the models that a spec names, itself or inside."""
    if isinstance(spec, Mapping):
        yield from (spec[key] for key in ("model", "into", "of") if isinstance(spec.get(key), str))
        for inner in spec.values():
            yield from named_in(inner)


def released() -> Iterator[tuple[str, str]]:
    """Yield the models that released endpoints answer with, and those inside of them."""
    waiting = [
        (product, endpoint["returns"].removeprefix("v2 ").removeprefix("list of "))
        for product, endpoint in ENDPOINTS.values()
    ]
    seen: set[tuple[str, str]] = set()
    while waiting:
        product, name = found = waiting.pop()
        if found in seen or name == "raw bytes":
            continue
        seen.add(found)
        yield found
        waiting += [
            (product, inner) for inner in named_in(facts(product)["models"][name]["fields"])
        ]


MODELS = sorted(set(released()))


def options_of(annotation: Any) -> tuple[bool, list[Any]]:
    """Return whether a field is private, and the types that it can have."""
    private = get_origin(annotation) is Annotated and "private" in annotation.__metadata__
    if private:
        annotation = annotation.__origin__
    if get_origin(annotation) in (Union, types.UnionType):
        return private, list(get_args(annotation))
    return private, [annotation]


SIMPLE = {
    "boolean": bool,
    "decimal_string": Decimal,
    "float": float,
    "integer": int,
    "string": str,
    "timestamp": datetime,
    "timestamp_float": datetime,
}


def fits(spec: Any, annotation: Any, product: str) -> bool:
    """Say whether a type can hold what the facts say of a value."""
    _, options = options_of(annotation)
    kind = spec["type"]
    if spec.get("format") == RFC3339:
        return any(_is_time(option) for option in options)
    if kind in SIMPLE:
        return SIMPLE[kind] in options
    if kind == "object":
        return fits_object(spec, options, product)
    if kind == "expandable":
        return str in options and class_of(product, spec["into"]) in options
    if kind == "list":
        return Page[class_of(product, spec["of"])] in options
    if kind == "array":
        items = [get_args(option)[0] for option in options if get_origin(option) is tuple]
        return any(fits(spec["items"], item, product) for item in items)
    if kind == "map":
        values = [get_args(option)[1] for option in options if get_origin(option) is dict]
        inner = {"type": spec["values"]} if isinstance(spec["values"], str) else spec["values"]
        return any(fits(inner, value, product) for value in values)
    if kind == "any":
        return any(option is Any or isinstance(option, TypeVar) for option in options)
    return fits_words(spec, options)


def fits_object(spec: Any, options: list[Any], product: str) -> bool:
    if "model" in spec:
        return class_of(product, spec["model"]) in (*options, *map(get_origin, options))
    if "fields" not in spec:
        return dict[str, Any] in options
    (found,) = (option for option in options if hasattr(option, "__attrs_attrs__"))
    named = spec["fields"].items()
    return not [p for field, inner in named for p in problems_of(found, field, inner, product)]


def _is_time(option: Any) -> bool:
    return option is datetime or (get_origin(option) is Annotated and option.__origin__ is datetime)


def fits_words(spec: Any, options: list[Any]) -> bool:
    words = {
        word for option in options if get_origin(option) is Literal for word in get_args(option)
    }
    if spec["type"] == "const":
        return spec["value"] in words or (spec["value"] is True and bool in options)
    wanted = {*spec.get("enum", ()), *spec.get("seen_also", ())}
    if str(spec.get("enum_ref", "")).startswith("webhook_endpoints.yaml"):
        wanted = {*facts("events")["event_types"]}
    return wanted <= words and (str in options or bool(spec.get("closed")))


def problems_of(model: Any, name: str, spec: Any, product: str) -> Iterator[str]:
    """Yield what is wrong with a field of a model."""
    hints, fields = hints_of(model), attrs.fields_dict(model)
    if name not in fields:
        yield f"{name} is missing"
        return
    private, options = options_of(hints[name])
    where = (model.__name__, name)
    if not fits({**spec, "type": "string"} if where in PLAIN else spec, hints[name], product):
        yield f"{name} cannot hold {spec}: it is {hints[name]}"
    if (spec.get("sensitive") or spec.get("redacted")) and not (private and not fields[name].repr):
        yield f"{name} is not private"
    old = spec.get("missing_in_older_examples") or where in LOOSER
    may_lack = bool(spec.get("nullable") or spec.get("presence", "always") != "always" or old)
    if may_lack != (type(None) in options) or may_lack != (fields[name].default is None):
        yield f"{name} may {'' if may_lack else 'not '}be missing"
    if (
        spec["type"] == "const"
        and spec["value"] is not True
        and fields[name].default != spec["value"]
    ):
        yield f"{name} is not {spec['value']!r} by default"


@pytest.mark.parametrize(("product", "name"), [found for found in MODELS if found not in OPEN])
def test_every_model_has_every_field(product: str, name: str) -> None:
    model = class_of(product, name)
    assert model is not None, f"{product} has no {name}"
    specs = {
        field: spec
        for field, spec in facts(product)["models"][name]["fields"].items()
        if spec.get("only_on") not in facts(product)["models"]  # a class of its own has it
    }
    problems = [
        p for field, spec in specs.items() for p in problems_of(model, field, spec, product)
    ]
    problems += [f"{name} is not the API's" for name in set(attrs.fields_dict(model)) - set(specs)]
    assert not problems


# What the sandbox refuses because it does not exist


def test_the_sandbox_knows_every_version_and_every_type_of_event() -> None:
    words = facts("webhook_endpoints")["enums"]
    assert {str(version) for version in words["api_versions"]} == VERSIONS
    assert facts("common")["versioning"]["current"] == API_VERSION
    types = facts("events")["event_types"]
    spellings = {spec["other_spelling"] for spec in types.values() if "other_spelling" in spec}
    assert {*ENABLED_EVENTS} == {*words["enabled_events"], *types, *spellings}
    assert len(ENABLED_EVENTS) == len({*ENABLED_EVENTS})


def words_of(alias: Any) -> set[str]:
    """Return the words of an open vocabulary."""
    return {word for option in get_args(alias) for word in get_args(option)}


def test_an_editor_completes_every_type_of_event() -> None:
    assert words_of(EnabledEvent) == {*ENABLED_EVENTS}
    names = {*facts("v2")["thin_event_types_of_this_project"]["types"]}
    assert words_of(ThinEventType) == names == {*thin.TYPES.values()}


# The examples


def model_of(example: Any) -> Any:
    if example["object"] == "list":
        return Page[model_of(example["data"][0])]
    for product, name in MODELS:
        facts_of = facts(product)["models"][name]
        deleted = "deleted" in example
        if facts_of.get("object") == example["object"] and deleted == name.startswith("Deleted"):
            return class_of(product, name)
    return None


def lost(given: Any, read: Any, path: str = "$") -> Iterator[str]:
    """Yield where what was read is not what was given; None and what is missing are one."""
    if isinstance(given, dict) and isinstance(read, dict):
        for key, value in given.items():
            yield from lost(value, read.get(key), f"{path}.{key}")
    elif isinstance(given, list) and isinstance(read, (list, tuple)) and len(given) == len(read):
        for index, value in enumerate(given):
            yield from lost(value, read[index], f"{path}[{index}]")
    elif given != read and not (isinstance(given, float) and abs(given - read) < 1e-6):
        yield f"{path}: {given!r} became {read!r}"


EXAMPLES = sorted(
    path.name
    for path in (FACTS / "examples").glob("*.json")
    if not path.name.startswith(("error_", "vector_"))
)


@pytest.mark.parametrize("name", EXAMPLES)
def test_nothing_of_an_example_is_lost(name: str) -> None:
    body = (FACTS / "examples" / name).read_bytes()
    example = json.loads(body)
    model = model_of(example)
    if model is None:
        assert example["object"] == "crypto.onramp_transaction_limits"  # of a private preview
        return
    assert not list(lost(example, to_dict(decode(body, model))))


# The sandbox


def names_in(spec: Any, path: str, product: str) -> set[str]:
    """Return the bracket paths of a parameter of the facts."""
    if "ref" in spec:
        spec = {**facts(product)[spec["ref"]], "type": "object"}
    if spec["type"] == "array":
        return names_in(spec["items"], f"{path}[]", product)
    if spec["type"] != "object":
        return {path}
    fields = spec["fields"].items()
    return set().union(*(names_in(inner, f"{path}[{name}]", product) for name, inner in fields))


def names_of(schema: Any, path: str = "") -> set[str]:
    """Return the bracket paths that a schema of the sandbox knows."""
    if isinstance(schema, Nullable):
        return names_of(schema.spec, path)
    if isinstance(schema, Array):
        return names_of(schema.item, f"{path}[]")
    if not isinstance(schema, Object):
        return {path}
    inner = schema.fields.items()
    return set().union(*(names_of(s, f"{path}[{n}]" if path else n) for n, s in inner))


@pytest.mark.parametrize("name", ENDPOINTS)
def test_the_sandbox_has_every_endpoint_with_every_parameter(name: str) -> None:
    product, endpoint = ENDPOINTS[name]
    shape = re.sub(r"\{\w+\}", "{}", endpoint["path"])
    routes = [
        route
        for route in ROUTES
        if route.method == endpoint["method"] and re.sub(r"\{\w+\}", "{}", route.path) == shape
    ]
    assert len(routes) == 1
    params = endpoint["params"].items()
    wanted = set().union(*(names_in(spec, param, product) for param, spec in params))
    assert wanted - {"expand[]"} - names_of(routes[0].params) == set()


def test_lists_are_lists() -> None:
    client = AsyncClient("sk_test_conformance")
    for name in ENDPOINTS:
        if name.endswith(".list"):
            assert isinstance(method_of(client, name)(), Pager)


def test_every_error_code_has_a_way_to_it() -> None:
    """The console lists a request for each; tests/sandbox/pages/test_refusals.py sends them."""
    errors = facts("crypto")["errors"]
    wanted = {each["code"] for each in facts("common")["error_codes_of_interest"]}
    wanted |= {each["code"] for each in errors["session_create"]}
    wanted |= {each["code"] for each in facts("forwarding")["errors"]["codes"]}
    wanted |= {*errors["seen_also"], *errors["quotes"]["likely"]}
    wanted |= {*errors["headless_catalog"]["codes"]}
    wanted |= {*facts("identity")["failure_codes"]["by_code"]}
    assert wanted - {row.code for row in REFUSALS} == set()
