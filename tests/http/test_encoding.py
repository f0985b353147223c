"""Requests: forms, paths, headers, and what is refused before anything is sent."""

from __future__ import annotations

import asyncio
import enum
import numbers
import re
import uuid
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from importlib import import_module
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from pinstripe import AsyncClient, ConfigurationError, Created, RequestOptions, Timeout
from pinstripe._core.checks import (
    check_decimal,
    check_id,
    check_metadata,
    check_texts,
    check_whole_number,
)
from pinstripe._http.encoding import (
    encode_form,
    fill_path,
    form_pairs,
    headers_for,
    new_idempotency_key,
    timestamp,
)
from pinstripe._http.messages import CallProgress, Request, Response
from pinstripe._resources.endpoint import Endpoint
from pinstripe._resources.resource import Resource
from pinstripe.sandbox._params import forms

UTC = timezone.utc

# How the API reads parameters: pairs after percent decoding, in order.
VECTORS: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({"limit": 5}, [("limit", "5")]),
    ({"expired": True}, [("expired", "true")]),
    ({"disabled": False}, [("disabled", "false")]),
    ({"description": None, "url": "https://a.example/x"}, [("url", "https://a.example/x")]),
    ({"description": ""}, [("description", "")]),
    ({"metadata": {"a": "1", "b": ""}}, [("metadata[a]", "1"), ("metadata[b]", "")]),
    (
        {"created": {"gte": 1700000000, "lt": 1700086400}},
        [("created[gte]", "1700000000"), ("created[lt]", "1700086400")],
    ),
    (
        {"expand": ["data.file", "data.file.links"]},
        [("expand[0]", "data.file"), ("expand[1]", "data.file.links")],
    ),
    (
        {"destination_currencies": ["eth", "usdc"]},
        [("destination_currencies[0]", "eth"), ("destination_currencies[1]", "usdc")],
    ),
    (
        {"wallet_addresses": {"base_network": "0xab", "destination_tags": {"stellar": "12"}}},
        [
            ("wallet_addresses[base_network]", "0xab"),
            ("wallet_addresses[destination_tags][stellar]", "12"),
        ],
    ),
    (
        {"options": {"document": {"allowed_types": ["passport"], "require_live_capture": True}}},
        [
            ("options[document][allowed_types][0]", "passport"),
            ("options[document][require_live_capture]", "true"),
        ],
    ),
    ({"options": {"document": ""}}, [("options[document]", "")]),
    (
        {
            "request": {
                "headers": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
                "body": '{"k":1}',
            }
        },
        [
            ("request[headers][0][name]", "A"),
            ("request[headers][0][value]", "1"),
            ("request[headers][1][name]", "A"),
            ("request[headers][1][value]", "2"),
            ("request[body]", '{"k":1}'),
        ],
    ),
    # Beyond the published vectors: how the other kinds of values are written.
    ({"a": ("x", "y")}, [("a[0]", "x"), ("a[1]", "y")]),
    ({"a": Decimal("1E+3")}, [("a", "1000")]),
    ({"a": Decimal("0.100")}, [("a", "0.100")]),
    ({"a": Decimal("1E-18")}, [("a", "0.000000000000000001")]),
    ({"a": -7}, [("a", "-7")]),
    ({"a": 10**40 - 1}, [("a", "9" * 40)]),
    ({"a": datetime(2026, 1, 2, tzinfo=UTC)}, [("a", "1767312000")]),
    (
        {"a": datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=1)))},
        [("a", "1767308400")],
    ),
    (
        {"created": Created(gte=datetime(1970, 1, 2, tzinfo=UTC), lt=None)},
        [("created[gte]", "86400")],
    ),
    ({"a": [None, "x"]}, [("a[1]", "x")]),
    ({"a b&c": "é +%&=\r\n\x00"}, [("a b&c", "é +%&=\r\n\x00")]),
]


@pytest.mark.parametrize(("params", "pairs"), VECTORS)
def test_vectors(params, pairs) -> None:
    assert list(form_pairs(params)) == pairs
    assert parse_qsl(encode_form(params), keep_blank_values=True, strict_parsing=False) == pairs


def test_text_on_the_wire_is_ascii_with_readable_brackets() -> None:
    assert encode_form({"a": {"b c": "é&=+/ "}}) == "a[b+c]=%C3%A9%26%3D%2B%2F+"


class Colour(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


def test_enumerations_are_written_as_their_value() -> None:
    assert encode_form({"a": Colour.RED, "b": Level.HIGH}) == "a=red&b=3"


# --- an independent decoder ---------------------------------------------------------------------


def tree_of(query: str) -> dict[str, Any]:
    """Decode a form with the standard library and a reading of brackets of its own."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        head, *rest = name.replace("]", "").split("[")
        node, path = tree, [head, *rest]
        for part in path[:-1]:
            node = node.setdefault(part, {})
        node[path[-1]] = value
    return tree


def as_sent(value: Any) -> Any:
    """What a decoder should see of a value: text leaves, lists as maps of indexes."""
    if isinstance(value, dict):
        return {k: as_sent(v) for k, v in value.items() if as_sent(v) not in (None, {})}
    if isinstance(value, list):
        return as_sent({str(index): inner for index, inner in enumerate(value)})
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


keys = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="[]\x00"), min_size=1, max_size=8
)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
leaves = st.none() | st.booleans() | st.integers(-(10**18), 10**18) | texts
trees = st.dictionaries(
    keys,
    st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, min_size=1, max_size=3)
            | st.dictionaries(keys, inner, min_size=1, max_size=3)
        ),
        max_leaves=10,
    ),
    max_size=4,
)


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(depth, inner), default=0) if isinstance(value, (dict, list)) else 0


@given(trees.filter(lambda tree: depth(tree) <= 8))
@example({"a": {"b": [{"c": "d"}, None, "x"]}, "c": [[["x"]]]})
def test_a_form_is_read_back_by_decoders_that_know_nothing_of_the_encoder(params) -> None:
    query = encode_form(params)
    assert query.isascii()
    assert tree_of(query) == as_sent(params)
    assert forms.decode(query) == as_sent(params)


# --- refusals -----------------------------------------------------------------------------------


class Unhelpful(tzinfo):
    def utcoffset(self, dt: datetime | None) -> None:
        return None


def nested(levels: int) -> dict[str, Any]:
    value: Any = "x"
    for _ in range(levels):
        value = {"k": value}
    return {"k": value}


loop: dict[str, Any] = {}
loop["k"] = loop


@pytest.mark.parametrize(
    ("params", "argument"),
    [
        ({"enabled_events": []}, "enabled_events"),
        ({"a": {"b": [{"c": ()}]}}, "a[b][0][c]"),
        ({"metadata": {}}, "metadata"),
        ({"a": 1.5}, "a"),
        ({"a": {"b": [0.0]}}, "a[b][0]"),
        ({"a": b"x"}, "a"),
        ({"a": {"x"}}, "a"),
        ({"a": frozenset({"x"})}, "a"),
        ({"a": object()}, "a"),
        ({"a": Created}, "a[gt]"),
        ({"a": iter(["x"])}, "a"),
        ({"a": date(2026, 1, 1)}, "a"),
        ({"a": datetime(2026, 1, 1)}, "a"),  # noqa: DTZ001 -- naive is what is refused
        ({"a": datetime(2026, 1, 1, tzinfo=Unhelpful())}, "a"),
        ({"a": datetime(2026, 1, 1, microsecond=1, tzinfo=UTC)}, "a"),
        ({"a": datetime(2026, 1, 1, tzinfo=timezone(timedelta(microseconds=5)))}, "a"),
        ({"created": Created(gte=datetime(2026, 1, 1))}, "created[gte]"),  # noqa: DTZ001
        ({"a": Decimal("NaN")}, "a"),
        ({"a": Decimal("sNaN")}, "a"),
        ({"a": Decimal("-Infinity")}, "a"),
        ({"a": Decimal("1E+999999999999")}, "a"),
        ({"a": Decimal("1E-999999999999")}, "a"),
        ({"a": 10**40}, "a"),
        ({"a": 10**5000}, "a"),
        ({"a": {"b[c": "x"}}, "a"),
        ({"a": {"b]": "x"}}, "a"),
        ({"a": {"": "x"}}, "a"),
        ({"a": {1: "x"}}, "a"),
        ({"a": {None: "x"}}, "a"),
        ({"a[b]": "x"}, "params"),
        ({1: "x"}, "params"),
        ({"a": "\ud800"}, "a"),
        ({"a": {"b": ["x\udfff"]}}, "a[b][0]"),
        ({"a": {"\ud800": "x"}}, "a[\ud800]"),
        (nested(9), "k" + "[k]" * 8),
        (loop, "k" + "[k]" * 8),
    ],
)
def test_what_has_no_exact_form_is_refused_by_its_path(params, argument) -> None:
    with pytest.raises(ConfigurationError) as caught:
        encode_form(params)
    assert caught.value.argument == argument
    assert caught.value.outcome == "not_sent"


def test_nesting_up_to_eight_levels() -> None:
    assert list(form_pairs(nested(8))) == [("k" + "[k]" * 8, "x")]


@given(
    st.dictionaries(
        st.text(), st.floats() | st.text() | st.integers() | st.decimals() | st.datetimes()
    )
)
def test_any_values_are_encoded_or_refused_and_nothing_else(params) -> None:
    try:
        encode_form(params)
    except ConfigurationError as error:
        assert str(error).isprintable()


@given(
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.timezones())  # noqa: DTZ001
)
def test_seconds_are_exact(moment) -> None:
    moment = moment.replace(microsecond=0)
    seconds = timestamp("created", moment)
    in_utc = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    assert in_utc == moment.astimezone(UTC)  # both in UTC: clock changes make others unequal


class Moment(datetime):
    """A datetime like those of other libraries: with an arithmetic of its own, and nanoseconds."""

    nanosecond = 0

    def __sub__(self, other: object) -> Any:
        raise AttributeError("an interval, and no timedelta")

    def __str__(self) -> str:
        return "a moment"


class Whole(int):
    def __str__(self) -> str:
        return "a number"

    def __format__(self, spec: str) -> str:
        return "a number"


class Digits(Decimal):
    def __format__(self, *_: Any) -> str:
        return "a number"

    def as_tuple(self) -> Any:
        raise AttributeError


class Counted(numbers.Integral.register(type("Base", (), {}))):  # type: ignore[misc]
    """A whole number like those of numpy, which are no `int`."""

    def __index__(self) -> int:
        return 5


class NotATime(datetime):
    """A datetime like the `NaT` of pandas, which has no fields."""

    def utcoffset(self) -> None:
        raise ValueError("no such thing")


def test_numbers_and_times_of_other_libraries_are_read_by_value() -> None:
    params = {
        "at": Moment(2026, 1, 2, tzinfo=timezone(timedelta(hours=1))),
        "count": Whole(7),
        "price": Digits("1E+2"),
        "places": Counted(),
    }
    sent = [("at", "1767308400"), ("count", "7"), ("price", "100"), ("places", "5")]
    assert list(form_pairs(params)) == sent
    assert check_decimal("amount", Digits("12.50")) == "12.50"
    assert check_decimal("amount", Counted()) == "5"
    assert check_whole_number("limit", Counted(), maximum=5) == 5
    assert type(check_whole_number("limit", Whole(7))) is int


def test_a_time_that_is_none_is_refused_by_its_path() -> None:
    for wrong in (NotATime(2026, 1, 1, tzinfo=UTC), Moment(2026, 1, 1)):
        with pytest.raises(ConfigurationError) as caught:
            encode_form({"a": [wrong]})
        assert caught.value.argument == "a[0]"


HALF = Moment(1970, 1, 1, 0, 0, 9, 500_000, tzinfo=UTC)
NANO = Moment(1970, 1, 1, 0, 0, 9, tzinfo=UTC)
NANO.nanosecond = 1
EARLY = datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(("moment", "down"), [(HALF, 9), (NANO, 9), (EARLY, -1)])
def test_a_fraction_in_a_bound_is_rounded_to_the_second_with_the_same_objects(moment, down) -> None:
    up = down + 1
    bounds = {"gt": down, "gte": up, "lt": up, "lte": down}
    for created in (Created(**dict.fromkeys(bounds, moment)), dict.fromkeys(bounds, moment)):
        sent = {f"created[{name}]": str(second) for name, second in bounds.items()}
        assert dict(form_pairs({"created": created})) == sent
    between = down + 0.5
    for second in range(down - 3, down + 4):
        after, before = second > between, second < between
        assert (second > bounds["gt"], second >= bounds["gte"]) == (after, after)
        assert (second < bounds["lt"], second <= bounds["lte"]) == (before, before)
    with pytest.raises(ConfigurationError, match=r"^a\[expires_at\]: .*whole seconds"):
        encode_form({"a": {"expires_at": moment}})


# --- paths --------------------------------------------------------------------------------------

HOSTILE = [
    "..",
    ".",
    "",
    "/",
    "a/b",
    "../x",
    "x?y=1",
    "x#y",
    "a\r\nHost: evil.example",
    "a\n",
    "%2e%2e",
    "%2e",
    "a b",
    "a" * 256,
    "é",
    "\u0661",
    "vs_1\x00",
    "\ud800",
    "{session}",
    "a\\b",
    "a;b",
    "a:b",
]


@pytest.mark.parametrize("value", [*HOSTILE, None, 5, b"vs_1", ["vs_1"], object()])
def test_hostile_ids_are_refused(value) -> None:
    with pytest.raises(ConfigurationError) as caught:
        fill_path("/v1/things/{thing}/cancel", {"thing": value})
    assert caught.value.argument == "thing"
    with pytest.raises(ConfigurationError, match="starting_after"):
        check_id("starting_after", value)


IDS = st.from_regex(r"[A-Za-z0-9_-]{1,260}", fullmatch=True)


@given(st.text() | st.sampled_from(HOSTILE) | IDS)
def test_any_id_is_refused_or_exactly_its_own_segment(value) -> None:
    try:
        path = fill_path("/v1/things/{thing}/cancel", {"thing": value})
    except ConfigurationError:
        return
    parts = urlsplit("https://api.stripe.com" + path)
    assert parts.path.split("/") == ["", "v1", "things", value, "cancel"]
    assert not parts.query
    assert not parts.fragment
    assert len(value) <= 255


for product in (
    "climate",
    "crypto",
    "events",
    "files",
    "forwarding",
    "identity",
    "webhook_endpoints",
):
    import_module(f"pinstripe.{product}")

ENDPOINTS = [
    endpoint
    for resource in Resource.__subclasses__()
    for endpoint in vars(resource).values()
    if isinstance(endpoint, Endpoint) and "{" in endpoint.template
]


@given(st.sampled_from(ENDPOINTS), st.text() | st.sampled_from(HOSTILE) | IDS)
def test_no_id_leads_to_another_endpoint(endpoint, value) -> None:
    (name,) = re.findall(r"\{(\w+)\}", endpoint.template)
    try:
        path = endpoint.request({}, {name: value}, None).path
    except ConfigurationError:
        return
    assert path == endpoint.template.replace(f"{{{name}}}", value)
    sent = URL(f"https://api.stripe.com{path}", encoded=True)
    assert (sent.raw_path_qs, sent.host) == (path, "api.stripe.com")


FILLABLE = re.compile(r"/v[12](/([\w-]+|\{[a-z_]+\}))+", re.ASCII)


class Kept:
    """A transport that keeps what it is to send."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def send(self, request: Request) -> Response:
        self.paths.append(request.path)
        return Response(status=200, headers={}, body=b"{}")

    async def aclose(self) -> None:
        pass


@given(st.text() | st.from_regex(r"/v[12](/[\w.~%-]{0,9}){0,4}") | st.from_regex(r"/v1/\S*"))
@example("/v1/..")
@example("/v1/x/../y")
@example("/v1//y")
@example("/v1/x?y=1")
@example("/v1/x\n")
@example("/v1/{x}")
def test_any_path_is_refused_or_reached_as_it_is(path) -> None:
    kept = Kept()
    client = AsyncClient("sk_test_1", transport=kept)
    try:
        asyncio.run(client.request("GET", path))
    except ConfigurationError as error:
        assert error.argument == ("ids" if FILLABLE.fullmatch(path) else "path")
        assert kept.paths == []
    else:
        assert kept.paths == [path]
        sent = URL(f"https://api.stripe.com{path}", encoded=True)
        assert (sent.raw_path_qs, sent.host) == (path, "api.stripe.com")


def test_paths() -> None:
    assert fill_path("/v1/a/{a}/b/{b}", {"a": "x-1", "b": "y" * 255}) == "/v1/a/x-1/b/" + "y" * 255
    assert fill_path("/v1/a", {}) == "/v1/a"


# --- headers ------------------------------------------------------------------------------------


def test_a_post_has_a_key_of_its_own() -> None:
    first, second = (headers_for("POST", None) for _ in range(2))
    assert first.keys() == {"Idempotency-Key"}
    assert first != second
    assert uuid.UUID(new_idempotency_key()).version == 4
    options = RequestOptions(idempotency_key="mine")
    assert headers_for("POST", options) == {"Idempotency-Key": "mine"}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_other_methods_have_none_and_take_none(method) -> None:
    assert headers_for(method, None) == {}
    with pytest.raises(ConfigurationError, match=f"no effect on {method}"):
        headers_for(method, RequestOptions(idempotency_key="mine"))


def test_options_become_headers() -> None:
    options = RequestOptions(account="acct_1", api_version="2025-01-27", timeout=3)
    assert headers_for("GET", options) == {
        "Stripe-Account": "acct_1",
        "Stripe-Version": "2025-01-27",
    }


def test_a_request_shows_neither_ids_nor_contents() -> None:
    request = Request(
        method="POST",
        path="/v1/things/CANARY",
        template="/v1/things/{thing}",
        query="a=CANARY",
        body=b"a=CANARY",
        headers={"Idempotency-Key": "CANARY"},
    )
    assert "CANARY" not in repr(request)
    assert request.idempotency_key == "CANARY"


def test_a_response_tells_its_id_and_whether_it_is_a_replay() -> None:
    response = Response(
        status=200,
        headers={"Request-Id": "req_CANARY", "Idempotent-Replayed": "true"},
        body=b"CANARY",
    )
    assert "CANARY" not in repr(response)
    assert response.request_id == "req_CANARY"
    assert response.replayed
    plain = Response(status=200, headers={}, body=b"")
    assert (plain.request_id, plain.replayed, plain.attempts) == (None, False, 1)


# --- checks of arguments ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("100", "100"),
        ("0.000000000000000001", "0.000000000000000001"),
        ("012.50", "012.50"),
        (100, "100"),
        (Decimal("12.50"), "12.50"),
        (Decimal("1E+2"), "100"),
        (Decimal("1E-18"), "0.000000000000000001"),
        (10**39, "1" + "0" * 39),
    ],
)
def test_amounts(value, text) -> None:
    assert check_decimal("source_amount", value) == text


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        float("nan"),
        True,
        b"1",
        [1],
        "",
        "0",
        "0.00",
        0,
        Decimal(0),
        -1,
        "-1",
        Decimal("-0.5"),
        "+1",
        " 1",
        "1\n",
        "1e3",
        ".5",
        "5.",
        "1,5",
        "1_000",
        "٣",
        "NaN",
        "Infinity",
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        Decimal("1E+999999999999"),
        Decimal("1E-41"),
        "1" * 41,
        10**40,
        pytest.param(10**5000, id="10**5000"),
    ],
)
def test_what_is_not_an_amount(value) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_decimal("source_amount", value)
    assert caught.value.argument == "source_amount"


@given(st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=0, max_value=10**18))
def test_an_amount_keeps_its_value(value) -> None:
    if value == 0:
        return
    text = check_decimal("source_amount", value)
    assert text is not None
    assert Decimal(text) == value
    assert check_decimal("source_amount", text) == text


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        {},
        {"k": ""},
        {"k" * 40: "v" * 500},
        {f"k{i}": "v" for i in range(50)},
        {f"k{i}": "v" if i < 50 else "" for i in range(99)},
        {"é" * 40: "é" * 500},
    ],
)
def test_metadata(value) -> None:
    check_metadata(value)


@pytest.mark.parametrize(
    ("value", "argument"),
    [
        ("text", "metadata"),
        (["k"], "metadata"),
        ({f"k{i}": "v" for i in range(51)}, "metadata"),
        ({f"k{i}": "v" if i < 51 else "" for i in range(99)}, "metadata"),
        (0, "metadata"),
        (False, "metadata"),
        ((), "metadata"),
        ({"k" * 41: "v"}, "metadata"),
        ({"": "v"}, "metadata"),
        ({1: "v"}, "metadata"),
        ({"a[b]": "v"}, "metadata"),
        ({"k": "v" * 501}, "metadata[k]"),
        ({"k": 5}, "metadata[k]"),
        ({"k": None}, "metadata[k]"),
    ],
)
def test_metadata_beyond_its_limits(value, argument) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_metadata(value)
    assert caught.value.argument == argument


@pytest.mark.parametrize("value", [None, ["a"], ("a", "b")])
def test_lists_of_text(value) -> None:
    check_texts("expand", value)


@pytest.mark.parametrize("value", ["data", [], (), [""], ["a", None], [1], {"a"}, {"a": 1}, 5])
def test_what_is_not_a_list_of_text(value) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_texts("expand", value)
    assert caught.value.argument == "expand"


def test_a_completed_request_differs_in_nothing_but_what_was_given() -> None:
    given = {field.name: object() for field in attrs.fields(Request)}
    request = Request(**given)  # type: ignore[arg-type]
    headers, timeout = {"Stripe-Version": "2026-10-28.endive"}, Timeout()
    progress = CallProgress()
    completed = request.with_defaults(headers, timeout, progress)
    assert completed == attrs.evolve(request, headers=headers, timeout=timeout)
    assert completed.progress is progress
