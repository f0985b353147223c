"""The converter: bytes to models and back, and errors that say where but never what."""

from __future__ import annotations

import contextlib
import copy
import json
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime, timezone
from decimal import Decimal
from functools import cache
from typing import Any, Literal

import attrs
import msgspec
import pytest
from attrs import frozen
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import pinstripe
from pinstripe import (
    ConfigurationError,
    DecodeError,
    Page,
    Response,
    from_dict,
    response_of,
    to_dict,
)
from pinstripe._models.amount_checks import check_of
from pinstripe._models.convert import decode, structure
from pinstripe._models.kinds import hints_of, types_in
from pinstripe._models.native import is_native
from pinstripe._models.record import Listed, Private, Record, attach_response, model
from pinstripe.climate import Order, OrderDeliveryDetail, Product
from pinstripe.crypto import OnrampQuote, OnrampQuoteFees, OnrampSession, Quotes
from pinstripe.events import Event
from pinstripe.identity import IdentityDate, VerificationReport, VerificationSession
from pinstripe.testing import sample
from tests.support.hooks import hooks_taken_back
from tests.support.models import ANSWERS, MODELS, is_amount

SECRET = "SECRET-birth-date"


@model
class Part(Record):
    amount: Decimal
    kind: Literal["small", "large"] | str = "small"


@model
class Toy(Listed):
    id: str
    object: Literal["toy"] = "toy"
    created: datetime
    count: int | None = None
    parts: tuple[Part, ...] = ()
    owner: str | Part | None = None
    metadata: Private[dict[str, str]]


@model
class Nothing(Record):
    """A model without a field."""


@model
class Filled(Record):
    values: dict[str, int] = {}


@frozen
class Colour:
    """Something that only a hook can build."""

    red: int
    green: int


class Shade:
    def __init__(self, value: int) -> None:
        self.value = value


@frozen(kw_only=True)
class Painted:
    id: str
    created: datetime
    shade: Shade
    parts: tuple[Part, ...] = ()


@pytest.fixture
def shades() -> Iterator[None]:
    """Register a hook for a class that msgspec does not know, and take it back."""

    def build(value: Any, _: Any) -> Shade:
        if not isinstance(value, int):
            raise TypeError(f"not a shade: {value}")
        return Shade(value)

    with hooks_taken_back() as one:
        one.register_structure_hook(Shade, build)
        one.register_unstructure_hook(Shade, lambda shade: shade.value)
        one.register_structure_hook(datetime, lambda value, _: datetime.fromtimestamp(value, UTC))
        yield


UTC = timezone.utc
TOY = {"id": "toy_1", "object": "toy", "created": 1790510912, "metadata": {}}


def as_bytes(value: object) -> bytes:
    return json.dumps(value).encode()


# --- which way a class is built -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "native"),
    [
        (Part, True),
        (Toy, True),
        (Colour, True),
        (Page[Toy], True),
        (VerificationSession, True),
        (VerificationReport, True),
        (Page[VerificationSession], True),
        (OnrampSession, True),
        (Painted, False),
        (dict, True),
        (int | None, True),
        (Colour | Part, False),
        (Shade, False),
    ],
)
def test_which_classes_go_to_the_decoder_in_c(kind, native) -> None:
    assert is_native(kind) is native


def records(kind: type) -> Iterator[type]:
    for made in kind.__subclasses__():
        yield made
        yield from records(made)


def test_every_model_of_the_package_goes_to_the_decoder_in_c() -> None:
    for name in pinstripe.__all__:
        getattr(pinstripe, name)
    ours = [kind for kind in records(Record) if kind.__module__.partition(".")[0] == "pinstripe"]
    assert len(ours) > 40
    for kind in ours:
        assert is_native(kind), kind


@pytest.mark.parametrize("work", ["", "pinstripe._models.convert.to_dict(session)"])
def test_cattrs_is_imported_when_it_has_something_to_do(work) -> None:
    data = {"id": "vs_1", "created": 1790510912, "livemode": False, "metadata": {}, "options": {}}
    script = f"""
import sys, json, pinstripe._models.convert
from pinstripe.identity import VerificationSession
data = {json.dumps({**data, "status": "verified", "type": "document"})!r}
session = pinstripe._models.convert.decode(data.encode(), VerificationSession)
assert session == pinstripe._models.convert.structure(json.loads(data), VerificationSession)
try: pinstripe._models.convert.decode(b"{{}}", VerificationSession)
except pinstripe.DecodeError: pass
{work}
assert ("cattrs" in sys.modules) is {bool(work)}
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)


def test_a_toy() -> None:
    data: dict[str, Any] = {
        **TOY,
        "count": 3,
        "parts": [{"amount": "1.50"}, {"amount": "0.000000000000000001", "kind": "huge"}],
        "owner": {"amount": "7"},
        "metadata": {"a": "1"},
        "newer_field": [1, {"b": None}],
    }
    toy = decode(as_bytes(data), Toy)
    assert toy == Toy(
        id="toy_1",
        created=datetime(2026, 9, 27, 12, 8, 32, tzinfo=UTC),
        count=3,
        parts=(Part(amount=Decimal("1.50")), Part(amount=Decimal("1E-18"), kind="huge")),
        owner=Part(amount=Decimal(7)),
        metadata={"a": "1"},
    )
    assert structure(data, Toy) == toy
    assert str(toy.parts[0].amount) == "1.50"
    del data["newer_field"]
    data["parts"][0]["kind"] = data["owner"]["kind"] = "small"
    assert to_dict(toy) == data
    assert decode(as_bytes(to_dict(toy)), Toy) == toy
    assert "'a'" not in repr(toy)


def test_a_class_that_only_a_hook_can_build(shades) -> None:
    data = {"id": "p_1", "created": 1790510912, "shade": 5, "parts": [{"amount": "2"}]}
    painted = decode(as_bytes(data), Painted)
    assert painted.shade.value == 5
    assert painted.created == datetime(2026, 9, 27, 12, 8, 32, tzinfo=UTC)
    assert painted.parts == (Part(amount=Decimal(2)),)
    assert structure(data, Painted).shade.value == 5
    assert to_dict(painted)["shade"] == 5


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"id": "p_1", "created": 1, "shade": SECRET}, "$.shade"),
        ({"id": "p_1", "created": 1}, "$.shade"),
        ({"id": "p_1", "created": SECRET, "shade": 1}, "$.created"),
        ({"id": "p_1", "created": 1, "shade": 1, "parts": [{"amount": SECRET}]}, "$.parts[0]"),
        ({"id": "p_1", "created": 1, "shade": 1, "parts": 5}, "$.parts"),
        ({}, "$.id"),
        ([SECRET], "$"),
        (None, "$"),
        (5, "$"),
        (SECRET, "$"),
    ],
)
def test_the_errors_of_hooks_say_where_and_no_value(shades, body, path) -> None:
    for build in (lambda: decode(as_bytes(body), Painted), lambda: structure(body, Painted)):
        with pytest.raises(DecodeError) as caught:
            build()
        error = caught.value
        assert error.path.startswith(path)
        assert SECRET not in str(error)
        assert str(error).startswith("not a Painted: ")
        assert error.__context__ is None


# --- models as values ---------------------------------------------------------------------------


def test_a_model_is_a_value() -> None:
    toy = decode(as_bytes({**TOY, "metadata": {"a": SECRET}}), Toy)
    attach_response(Response(status=200, headers={}, body=SECRET.encode()), toy)
    assert toy == decode(as_bytes({**TOY, "metadata": {"a": SECRET}}), Toy)
    assert SECRET not in repr(toy)
    assert repr(toy).startswith("Toy(id='toy_1', object='toy', created=datetime")
    with pytest.raises(AttributeError):
        toy.id = "other"
    for twin in (pickle.loads(pickle.dumps(toy)), copy.deepcopy(toy), attrs.evolve(toy)):
        assert twin == toy
        assert type(twin) is Toy
    assert b"headers" not in pickle.dumps(toy)
    with pytest.raises(ConfigurationError):
        response_of(pickle.loads(pickle.dumps(toy)))
    assert attrs.evolve(toy, id="toy_2").id == "toy_2"


def test_models_are_equal_by_class_and_values() -> None:
    class Twin(Part):
        pass

    part = Part(amount=Decimal(1))
    assert part == Part(amount=Decimal("1.0"), kind="small")
    assert len({part, Part(amount=Decimal(1)), Part(amount=Decimal(2))}) == 2
    assert part != Part(amount=Decimal(1), kind="large")
    assert part != Twin(amount=Decimal(1))
    assert part != "Part(amount=Decimal('1'), kind='small')"
    assert Nothing() == Nothing()
    assert repr(Nothing()) == "Nothing()"
    assert repr(part) == "Part(amount=Decimal('1'), kind='small')"
    for change in (setattr, lambda part, name, _: delattr(part, name)):
        with pytest.raises(AttributeError):
            change(part, "kind", "large")


def test_attrs_knows_the_fields_of_a_model() -> None:
    fields = attrs.fields_dict(Toy)
    assert list(fields) == ["id", "object", "created", "count", "parts", "owner", "metadata"]
    assert fields["id"].default is attrs.NOTHING
    assert fields["object"].default == "toy"
    assert [name for name, field in fields.items() if not field.repr] == ["metadata"]
    assert all(field.kw_only and field.eq and field.init for field in fields.values())
    assert attrs.fields(Toy) is attrs.fields(Toy) is Toy.__attrs_attrs__
    toy = decode(as_bytes({**TOY, "parts": [{"amount": "1"}]}), Toy)
    assert toy.__attrs_attrs__ is attrs.fields(Toy)
    assert attrs.asdict(toy)["parts"] == ({"amount": Decimal(1), "kind": "small"},)
    assert attrs.astuple(toy.parts[0]) == (Decimal(1), "small")
    assert attrs.resolve_types(Part) is Part
    assert attrs.fields(Part).amount.type is Decimal
    assert attrs.fields_dict(Nothing) == {}
    lists = attrs.fields(Filled).values
    assert isinstance(lists.default, attrs.Factory)
    assert lists.default.factory is dict


def test_private_fields_are_known_by_type_or_by_name() -> None:
    fields = {"__annotations__": {"name": Private[str], "kind": str}}
    person: Any = model(type(Record)("Person", (Record,), fields))
    assert repr(person(name=SECRET, kind="x")) == "Person(kind='x')"


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "path", "says"),
    [
        ({"id": None}, "$.id", "Expected `str`, got `null`"),
        ({"id": 5}, "$.id", "Expected `str`, got `int`"),
        ({"object": SECRET}, "$.object", "wrong value"),
        ({"created": SECRET}, "$.created", "wrong value"),
        ({"created": 10**30}, "$.created", "wrong value"),
        ({"created": None}, "$.created", "Expected"),
        ({"created": [SECRET]}, "$.created", "Expected"),
        ({"count": SECRET}, "$.count", "Expected `int | null`, got `str`"),
        ({"count": 1.5}, "$.count", "Expected"),
        ({"parts": {"a": SECRET}}, "$.parts", "Expected `array`, got `object`"),
        ({"parts": [{"amount": "1"}, {"amount": SECRET}]}, "$.parts[1].amount", "wrong value"),
        ({"parts": [{}]}, "$.parts[0]", "Object missing required field `amount`"),
        ({"owner": [SECRET]}, "$.owner", "Expected"),
        ({"metadata": {"a": {SECRET: 1}}}, "$.metadata[...]", "Expected `str`, got `object`"),
    ],
)
def test_an_error_says_where_and_what_was_expected(change, path, says) -> None:
    for build in (
        lambda: decode(as_bytes({**TOY, **change}), Toy),
        lambda: structure({**TOY, **change}, Toy),
    ):
        with pytest.raises(DecodeError) as caught:
            build()
        error = caught.value
        assert error.path == path
        assert says in str(error)
        assert str(error) == f"not a Toy: {error.message.partition(': ')[2]}"
        assert str(error).endswith(f" at {path}")
        assert SECRET not in str(error) + repr(error.args) + repr(vars(error))
        assert error.__context__ is None
        assert error.outcome == "unknown"


def test_a_page_names_its_items() -> None:
    body = as_bytes({"object": "list", "data": [TOY, {**TOY, "id": None}], "has_more": False})
    with pytest.raises(DecodeError) as caught:
        decode(body, Page[Toy])
    assert caught.value.path == "$.data[1].id"


MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "cut": as_bytes(TOY)[:-5],
    "html": b"<html>" + SECRET.encode(),
    "more": as_bytes(TOY) + SECRET.encode(),
    "two": as_bytes(TOY) * 2,
    "UTF-16": json.dumps(TOY).encode("utf-16"),
    "BOM": b"\xef\xbb\xbf" + as_bytes(TOY),
    "not UTF-8": b'{"id": "\xff\xfe"}',
    "latin-1": '{"id": "é"}'.encode("latin-1"),
    "lone surrogate": b'{"id": "\\ud800", "object": "toy", "created": 1}',
    "NaN": b'{"id": "toy_1", "object": "toy", "created": NaN}',
    "Infinity": b'{"id": "toy_1", "object": "toy", "created": Infinity}',
    "NUL": b"\x00" * 10,
    "deep array": b"[" * 200_000,
    "deep object": b'{"a":' * 200_000,
    "deep in a field nobody reads": b'{"x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "long number": b'{"id": "toy_1", "object": "toy", "created": ' + b"9" * 10_000 + b"}",
    "huge float": b'{"id": "toy_1", "object": "toy", "created": 1e999}',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("kind", [Toy, Page[Toy], VerificationSession])
def test_what_is_not_json_is_a_decode_error(body, kind) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(body, kind)
    assert SECRET not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_bytes_on_the_way_to_hooks(shades, body) -> None:
    with pytest.raises(DecodeError):
        decode(body, Painted)


@pytest.mark.parametrize(
    "wrong", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"]
)
@pytest.mark.parametrize(
    "place",
    [
        b'"newer": "%s"',
        b'"%s": 1',
        b'"newer": {"%s": 1}',
        b'"newer": [[{"a": "%s"}]]',
        b'"metadata": {"%s": "a"}',
        b'"metadata": {"a": "%s"}',
    ],
)
def test_text_that_is_not_utf_8_is_refused_wherever_it_is(place, wrong) -> None:
    body = as_bytes(TOY)[:-1] + b", " + place % wrong + b"}"
    decode(as_bytes(TOY)[:-1] + b", " + place % "é".encode() + b"}", Toy)
    for sent, kind in ((body, Toy), (b'{"has_more": true, "data": [%s]}' % body, Page[Toy])):
        with pytest.raises(DecodeError, match="malformed JSON"):
            decode(sent, kind)


@pytest.mark.parametrize("wrong", ["false", "true", 0, 1, 0.0, None, [], {}, ""])
def test_has_more_is_a_bool(wrong) -> None:
    data = {"object": "list", "data": [], "has_more": wrong}
    for build in (lambda: decode(as_bytes(data), Page[Toy]), lambda: from_dict(Page[Toy], data)):
        with pytest.raises(DecodeError) as caught:
            build()
        assert caught.value.path == "$.has_more"
    with pytest.raises(TypeError):
        Page(data=(), has_more=wrong)


def test_an_error_names_a_model_with_its_article() -> None:
    for kind, name in ((VerificationSession, "a VerificationSession"), (Event, "an Event")):
        with pytest.raises(DecodeError, match=f"not {name}: "):
            decode(b"{}", kind)


def test_the_lax_mode_loses_no_digit() -> None:
    toy = decode(as_bytes({**TOY, "count": "12", "created": "1790510912"}), Toy)
    assert (toy.count, toy.created.year) == (12, 2026)
    part = decode(b'{"amount": 0.1234567890123456789012345}', Part)
    assert part.amount == Decimal("0.1234567890123456789012345")
    assert decode(b'{"amount": "1E+2"}', Part).amount == 100


def test_plain_data_of_extreme_decimals_stays_short() -> None:
    for text in ("1E+999999", "1E-999999", "-7E+100000"):
        part = decode(as_bytes({"amount": text}), Part)
        plain = to_dict(part)["amount"]
        assert len(plain) < 20
        assert Decimal(plain) == Decimal(text)
    assert to_dict(Part(amount=Decimal("1E+3")))["amount"] == "1000"


FEE = '{{"network_fee_monetary": "1", "transaction_fee_monetary": {}}}'


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"12.50"', "12.50"),
        ('"-0.000000000000000001"', "-1E-18"),
        ('"0E-18"', "0E-18"),
        ('"1e+39"', "1E+39"),
        (f'"{"9" * 40}.{"9" * 40}"', f"{'9' * 40}.{'9' * 40}"),
        ("12", "12"),
    ],
)
def test_an_amount_keeps_every_digit(text, value) -> None:
    fees = decode(FEE.format(text).encode(), OnrampQuoteFees)
    assert str(fees.transaction_fee_monetary) == value
    assert structure(json.loads(FEE.format(text)), OnrampQuoteFees) == fees


NO_AMOUNTS = [
    *('"NaN"', '"sNaN"', '"Infinity"', '"-Infinity"', '"inf"', '"1_000"', '"1,5"', '"0x10"'),
    *('"\u0661\u0662\u0663"', '"\uff11"', '"12\\n"', '"+12"', '"."', '""', '" 12"', '"_1"', '"1_"'),
    *('"1e300000000"', '"1E-300000000"', '"1e40"', '"0e41"', '"1e-41"', f'"{"1" * 41}"'),
    *("1.5", "1e300", "1e-300000000", "true", "[]", '{"a": 1}'),
]


@pytest.mark.parametrize("text", NO_AMOUNTS)
def test_what_no_amount_can_be_is_refused_by_its_path(text) -> None:
    body = FEE.format(text)
    for read, data in ((decode, body.encode()), (structure, json.loads(body))):
        with pytest.raises(DecodeError) as caught:
            read(data, OnrampQuoteFees)
        assert caught.value.path == "$.transaction_fee_monetary"
        assert caught.value.message.startswith("not an OnrampQuoteFees: ")


def test_every_decimal_of_a_model_is_an_amount() -> None:
    classes = {one for kind in MODELS.values() for one in types_in(kind) if hints_of(one)}
    fields = [
        (kind, name)
        for kind in classes
        for name, hint in hints_of(kind).items()
        if "decimal.Decimal" in repr(hint)
    ]
    assert len(fields) == len(AMOUNTS)
    for kind, name in fields:
        assert type(kind.__dict__[name]) is type(OnrampQuoteFees.network_fee_monetary)
    for kind in MODELS.values():
        assert (check_of(kind) is not None) == (Decimal in types_in(kind)), kind


AMOUNTS = [
    (Product, "metric_tons_available"),
    (Order, "metric_tons"),
    (Order, "delivery_details.0.metric_tons"),
    (Quotes, "source_amount"),
    *(
        (Quotes, f"destination_network_quotes.base.0.{name}")
        for name in (
            "destination_amount",
            "source_total_amount",
            "fees.network_fee_monetary",
            "fees.transaction_fee_monetary",
        )
    ),
    *(
        (OnrampSession, f"transaction_details.{name}")
        for name in (
            "destination_amount",
            "source_amount",
            "fees.network_fee_amount",
            "fees.transaction_fee_amount",
        )
    ),
]


@pytest.mark.parametrize(("kind", "path"), AMOUNTS)
def test_each_amount_of_an_answer_is_checked(kind, path) -> None:
    fees = {"network_fee_amount": "1", "transaction_fee_amount": "1"}
    plain = to_dict(sample(kind)) | {"transaction_details": {"fees": fees}}
    plain["delivery_details"] = [to_dict(sample(OrderDeliveryDetail))]
    plain["destination_network_quotes"] = {"base": [to_dict(sample(OnrampQuote))]}
    inner: Any = plain
    *parents, last = (int(key) if key.isdecimal() else key for key in path.split("."))
    for key in parents:
        inner = inner[key]
    inner[last] = "NaN"
    for data, read in ((plain, kind), ({"data": [plain], "has_more": False}, Page[kind])):
        with pytest.raises(DecodeError, match=rf"decimal number that .* at .*{last}$"):
            from_dict(read, data)
        inner[last] = "1.5"
        from_dict(read, data)
        inner[last] = "NaN"


def test_an_amount_is_a_decimal_as_soon_as_somebody_looks() -> None:
    for text in ('"2.50"', "7"):
        fees = decode(FEE.format(text).encode(), OnrampQuoteFees)
        encoded = msgspec.json.encode(fees)
        assert type(fees.transaction_fee_monetary) is Decimal
        assert fees.transaction_fee_monetary is fees.transaction_fee_monetary
        assert decode(encoded, OnrampQuoteFees) == decode(msgspec.json.encode(fees), type(fees))
    made = OnrampQuoteFees(network_fee_monetary=Decimal("NaN"), transaction_fee_monetary=1)
    assert (made.network_fee_monetary.is_nan(), made.transaction_fee_monetary) == (True, 1)
    with pytest.raises(AttributeError):
        made.network_fee_monetary = Decimal(1)


@given(st.lists(st.text("0123456789.-eE+\nN_a ", max_size=5), min_size=2, max_size=2))
def test_amounts_are_checked_one_by_one(texts) -> None:
    names = ("network_fee_monetary", "transaction_fee_monetary")
    fits = [re.fullmatch(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-3]?[0-9])?", t) for t in texts]
    body = as_bytes(dict(zip(names, texts, strict=True)))
    if all(fits):
        assert [getattr(decode(body, OnrampQuoteFees), n) for n in names] == [*map(Decimal, texts)]
        return
    with pytest.raises(DecodeError) as caught:
        decode(body, OnrampQuoteFees)
    assert caught.value.path == f"$.{names[fits.index(None)]}"


def test_an_amount_deep_in_an_answer_is_refused_by_its_path() -> None:
    quote = {
        "destination_amount": "1e300000000",
        "destination_currency": "eth",
        "destination_network": "base",
        "fees": {"network_fee_monetary": "1", "transaction_fee_monetary": "1"},
        "source_total_amount": "1",
    }
    quotes = {
        "id": "q",
        "destination_network_quotes": {"base_network": [quote], "solana": None},
        "livemode": False,
        "rate_fetched_at": 1790510912.25,
        "source_amount": "1",
        "source_currency": "usd",
    }
    with pytest.raises(DecodeError) as caught:
        decode(as_bytes(quotes), Quotes)
    assert caught.value.path == "$.destination_network_quotes[...][0].destination_amount"
    assert "not a decimal number that an amount can be" in str(caught.value)


def test_a_class_of_the_caller_may_hold_models_with_amounts_and_any_decimal() -> None:
    @frozen
    class Basket:
        fees: OnrampQuoteFees
        rest: Decimal

    body = FEE.format('"1"')
    basket = decode(f'{{"fees": {body}, "rest": "NaN"}}'.encode(), Basket)
    assert (basket.fees.network_fee_monetary, basket.rest.is_nan()) == (1, True)
    with pytest.raises(DecodeError, match=r"\$\.fees\.transaction_fee_monetary"):
        decode(f'{{"fees": {FEE.format(NO_AMOUNTS[0])}, "rest": "1"}}'.encode(), Basket)


def test_seconds_keep_their_fraction() -> None:
    toy = decode(as_bytes({**TOY, "created": 1790510912.25}), Toy)
    assert to_dict(toy)["created"] == 1790510912.25
    assert isinstance(to_dict(decode(as_bytes(TOY), Toy))["created"], int)


# --- there and back again -----------------------------------------------------------------------

surrogate_free = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
moments = st.integers(-(2**35), 2**37).map(lambda s: datetime.fromtimestamp(s, UTC))
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=6)
LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    msgspec.inspect.StrType: surrogate_free,
    msgspec.inspect.IntType: st.integers(-(2**60), 2**60),
    msgspec.inspect.BoolType: st.booleans(),
    msgspec.inspect.DateTimeType: moments,
    msgspec.inspect.DecimalType: decimals,
    msgspec.inspect.FloatType: st.floats(allow_nan=False, allow_infinity=False),
    msgspec.inspect.NoneType: st.none(),
    msgspec.inspect.AnyType: st.dictionaries(
        surrogate_free, surrogate_free | st.none(), max_size=3
    ),
}


def values_of(node: msgspec.inspect.Type) -> st.SearchStrategy[Any]:
    """What a type can hold, as values of Python."""
    match node:
        case msgspec.inspect.StructType() | msgspec.inspect.DataclassType():
            values = models_of(node.cls)
        case msgspec.inspect.UnionType() if is_amount(node):
            values = decimals | st.none() if node.includes_none else decimals
        case msgspec.inspect.UnionType(types=types):
            values = st.one_of([values_of(inner) for inner in types])
        case msgspec.inspect.LiteralType(values=words):
            values = st.sampled_from(words)
        case msgspec.inspect.VarTupleType(item_type=inner):
            values = st.lists(values_of(inner), max_size=2).map(tuple)
        case msgspec.inspect.DictType(key_type=key, value_type=value):
            values = st.dictionaries(values_of(key), values_of(value), max_size=2)
        case msgspec.inspect.Metadata(type=inner):
            values = values_of(inner)
        case _:
            values = LEAVES[type(node)]
    return values


@cache
def models_of(kind: Any) -> st.SearchStrategy[Any]:
    """Instances of a model, which can hold others of its kind."""
    return st.deferred(lambda: filled_models(kind))


def filled_models(kind: Any) -> st.SearchStrategy[Any]:
    """Instances of a model, built from the fields that the decoder sees."""
    info: Any = msgspec.inspect.type_info(kind)
    public = {a.name for a in attrs.fields(getattr(kind, "__origin__", kind))}
    fields = {f.name: values_of(f.type) for f in info.fields if f.name in public}
    if "has_more" in fields:  # to msgspec it can be anything; the model lets only a bool through
        fields["has_more"] = st.booleans()
    return st.fixed_dictionaries(fields).map(lambda given_: kind(**given_))


KINDS = st.sampled_from([Toy, *(kind for kind in ANSWERS.values() if kind is not Page)])
slow = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def readable(name: str) -> Any:
    """The class to read plain data of a model with; a page needs to know of what."""
    return Page[Toy] if name == "Page" else MODELS[name]


@pytest.mark.parametrize("name", sorted(MODELS))
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_model_is_read_back_from_its_plain_data(name, data) -> None:
    kind = readable(name)
    made = data.draw(models_of(kind))
    plain = json.loads(json.dumps(to_dict(made)))
    twin = from_dict(kind, plain)
    assert twin == made
    assert hash(twin) == hash(made)
    assert to_dict(twin) == plain
    # Times are text there; nothing but the fields of the API is in it.
    encoded = msgspec.json.encode(made)
    assert decode(encoded, kind) == made
    assert json.loads(encoded).keys() == plain.keys()


def test_an_encoded_model_does_not_hold_the_answer_it_came_from() -> None:
    toy = decode(as_bytes(TOY), Toy)
    attach_response(Response(status=200, headers={"X": SECRET}, body=SECRET.encode()), toy)
    assert SECRET.encode() not in msgspec.json.encode(toy)
    assert response_of(toy).status == 200


@pytest.mark.parametrize("wrong", [dict, str, 5, None, "Toy", list[Toy]])
def test_only_classes_with_fields_are_built_from_plain_data(wrong) -> None:
    with pytest.raises(ConfigurationError) as caught:
        from_dict(wrong, TOY)
    assert caught.value.argument == "model"


@pytest.mark.parametrize("data", [None, [TOY], "text", 5, {}, {**TOY, "metadata": SECRET}])
def test_plain_data_that_does_not_fit_is_refused(data) -> None:
    with pytest.raises(DecodeError) as caught:
        from_dict(Toy, data)
    assert SECRET not in str(caught.value)


def test_the_hash_of_a_model_covers_plain_data_in_it() -> None:
    def toy(order: dict[str, str]) -> Toy:
        return decode(as_bytes({**TOY, "metadata": order}), Toy)

    twins = {toy({"a": "1", "b": "2"}), toy({"b": "2", "a": "1"})}
    assert len(twins) == 1
    assert hash(toy({"a": "1"})) != hash(toy({"a": "2"}))


@slow
@given(kind=KINDS, data=st.data())
def test_there_and_back_again(kind, data) -> None:
    made = data.draw(models_of(kind))
    plain = to_dict(made)
    body = as_bytes(plain)
    assert decode(body, kind) == made
    assert to_dict(decode(body, kind)) == plain
    assert to_dict(structure(plain, kind)) == plain
    page = decode(as_bytes({"object": "list", "data": [plain], "has_more": True}), Page[kind])
    assert page.data == (made,)
    assert to_dict(page) == {"object": "list", "data": [plain], "has_more": True, "url": None}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def mutate(data: Any, value: Any) -> Any:
    """Put something else somewhere into plain data, or leave something out."""
    if not isinstance(value, (dict, list)) or not value or data.draw(st.integers(0, 3)) == 0:
        return data.draw(json_values)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = data.draw(st.sampled_from(keys))
    copied = value.copy()
    if data.draw(st.booleans()):
        copied[key] = mutate(data, value[key])
    else:
        del copied[key]
    return copied


@slow
@given(kind=KINDS, data=st.data())
def test_damaged_data_is_a_model_or_a_decode_error(kind, data) -> None:
    plain = to_dict(data.draw(models_of(kind)))
    damaged = mutate(data, plain)
    body = as_bytes(damaged)
    try:
        made = decode(body, kind)
    except DecodeError as error:
        assert error.path.startswith("$")
        assert str(error).isprintable()
    else:
        to_dict(made)
    cut = data.draw(st.integers(0, len(body)))
    swapped = body[:cut] + data.draw(st.binary(max_size=3)) + body[cut + 1 :]
    with contextlib.suppress(DecodeError):
        decode(swapped, kind)


@given(KINDS, st.binary())
@example(Toy, b"\xf4\x90\x80\x80")
@example(Toy, b'{"id":"a","created":1e308}')
@example(Toy, b'{"id":"a","created":-62135596801}')
@example(Toy, b'{"id":"a","created":"9999-12-31T23:59:59-01:00"}')
def test_any_bytes_are_a_model_or_a_decode_error(kind, body) -> None:
    with contextlib.suppress(DecodeError):
        decode(body, kind)


@pytest.mark.parametrize(
    ("day", "month", "year", "found"),
    [
        (29, 2, 2000, date(2000, 2, 29)),
        (29, 2, 2001, None),
        (None, 2, 2000, None),
        (1, 1, 1, None),  # after redaction
    ],
)
def test_a_date_of_birth_is_a_date_if_it_is_whole(day, month, year, found) -> None:
    assert IdentityDate(day=day, month=month, year=year).date == found
