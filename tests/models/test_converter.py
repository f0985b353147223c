"""The public converter: what it structures by itself, and that hooks are obeyed everywhere."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Generic, Literal, NewType, Optional, TypeVar

import msgspec
import pytest
from attrs import define, field, frozen
from cattrs import ClassValidationError, override
from cattrs.gen import make_dict_structure_fn
from typing_extensions import NotRequired, TypedDict

import pinstripe
from pinstripe import ConfigurationError, DecodeError, Page
from pinstripe._models.convert import check_target, decode, structure
from pinstripe._models.native import is_native
from pinstripe.climate import Order
from pinstripe.events import Event
from pinstripe.identity import VerificationSession
from pinstripe.pytest_plugin import StripeEvent
from tests.support.clean import PRIVATE, check_clean
from tests.support.hooks import hooks_taken_back

_T = TypeVar("_T")

UTC = timezone.utc
TIME = datetime(2026, 9, 27, 12, 8, 32, tzinfo=UTC)
SECONDS = 1_790_510_912

RefundId = NewType("RefundId", str)


class Status(Enum):
    PAID = "paid"


@frozen(kw_only=True)
class Card:
    object: Literal["card"] = "card"
    id: str
    created: datetime | None = None


@dataclass
class Bank:
    id: str
    object: Literal["bank"] = "bank"


class Address(TypedDict):
    city: str
    line2: NotRequired[str]


@define
class Box(Generic[_T]):
    item: _T
    others: list[_T]


@frozen(kw_only=True)
class Charge:
    id: RefundId
    amount: int
    fee: Decimal = Decimal(0)
    created: datetime
    status: Status = Status.PAID
    source: str | Card | Bank | None = None
    address: Optional[Address] = None  # noqa: UP045 -- both ways to write it are read
    parts: tuple[Card, ...] = ()
    metadata: dict[str, str] = field(factory=dict, repr=False)


class Point:
    def __init__(self, x: int) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and other.x == self.x

    __hash__ = None  # type: ignore[assignment]


class RefundName(str):
    __slots__ = ()


@frozen
class Named:
    name: RefundName
    point: Point


@frozen
class Renamed:
    id_: Annotated[str, override(rename="id")]


@define
class Doubled:
    count: int = field(converter=lambda count: 2 * count)


@define
class Counted:
    id: str
    reads: int = field(init=False, default=0)


@dataclass
class CountedToo:
    id: str
    reads: int = dataclass_field(init=False, default=0)


@define(init=False)
class Handmade:
    id: str

    def __init__(self, id: str) -> None:
        self.id = id.upper()


@define
class Strict:
    id: str = field()

    @id.validator  # noqa: A003 -- the field
    def _check(self, _: Any, value: str) -> None:
        if value == PRIVATE:
            raise KeyError(value)


class Loose(msgspec.Struct):
    id: str


@frozen
class Tree:
    id: str
    below: list[Tree] = field(factory=list)


CHARGE: dict[str, Any] = {"id": "ch_1", "amount": 5, "created": SECONDS}


def as_bytes(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.fixture
def hooks() -> Iterator[Any]:
    with hooks_taken_back() as converter:
        yield converter


def both(kind: Any, data: Any) -> Any:
    """What a type becomes from bytes, which is what it becomes from plain data."""
    decoded = decode(as_bytes(data), kind)
    assert structure(data, kind) == decoded
    return decoded


# --- what it structures by itself ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        (Charge, CHARGE, Charge(id=RefundId("ch_1"), amount=5, created=TIME)),
        (
            Charge,
            {**CHARGE, "fee": "0.50", "source": "card_1", "address": {"city": "Oslo", "x": 1}},
            Charge(
                id=RefundId("ch_1"),
                amount=5,
                created=TIME,
                fee=Decimal("0.50"),
                source="card_1",
                address={"city": "Oslo"},
            ),
        ),
        (
            Charge,
            {**CHARGE, "source": {"object": "bank", "id": "b"}, "parts": [{"id": "c"}]},
            Charge(
                id=RefundId("ch_1"),
                amount=5,
                created=TIME,
                source=Bank("b"),
                parts=(Card(id="c"),),
            ),
        ),
        (Card, {"id": "c", "created": SECONDS}, Card(id="c", created=TIME)),
        (Bank, {"id": "b"}, Bank("b")),
        (Address, {"city": "Oslo", "more": 1}, {"city": "Oslo"}),
        (Card | Bank, {"object": "bank", "id": "b"}, Bank("b")),
        (Card | None, None, None),
        (Box[Card], {"item": {"id": "c"}, "others": []}, Box(Card(id="c"), [])),
        (Box[datetime], {"item": SECONDS, "others": [SECONDS]}, Box(TIME, [TIME])),
        (list[Card | Bank], [{"object": "card", "id": "c"}], [Card(id="c")]),
        (dict[str, Charge], {"a": CHARGE}, {"a": structure(CHARGE, Charge)}),
        (Page[Charge], {"data": [CHARGE], "has_more": True}, None),
        (dict, {"a": [1]}, {"a": [1]}),
        (Any, {"a": [1]}, {"a": [1]}),
        (Renamed, {"id": "r"}, Renamed("r")),
        (Doubled, {"count": 2}, Doubled(2)),
        (Counted, {"id": "c", "reads": 5}, Counted("c")),
        (CountedToo, {"id": "c", "reads": 5}, CountedToo("c")),
        (Handmade, {"id": "h"}, Handmade("h")),
        (Strict, {"id": "s"}, Strict("s")),
        (Loose, {"id": "l"}, Loose("l")),
        (Tree, {"id": "t", "below": [{"id": "u"}]}, Tree("t", [Tree("u")])),
    ],
)
def test_what_an_answer_becomes(kind, data, value) -> None:
    check_target("into", kind)
    made = both(kind, data)
    if value is None and kind == Page[Charge]:
        assert (made.data, made.has_more) == ((structure(CHARGE, Charge),), True)
    else:
        assert made == value
        assert type(made) is type(value)


@pytest.mark.parametrize(
    ("kind", "native"),
    [
        *((kind, True) for kind in (Card, Bank, Address, Box[Card], Strict, Loose, Tree)),
        *((kind, False) for kind in (Charge, Card | Bank, Page[Charge], Renamed, Doubled)),
        *((kind, False) for kind in (Counted, CountedToo, Handmade, Point, 5)),
    ],
)
def test_what_the_decoder_in_c_builds(kind, native) -> None:
    assert is_native(kind) is native


def test_null_is_no_text_and_text_no_flag(hooks) -> None:
    hooks.register_structure_hook(Point, lambda value, _: Point(value))
    named = both(Named, {"name": "n", "point": 5})
    assert named == Named(RefundName("n"), Point(5))
    assert type(named.name) is RefundName
    with pytest.raises(DecodeError, match=r"Expected `str`, got `null` at \$\.name"):
        decode(as_bytes({"name": None, "point": 5}), Named)


# --- what does not fit --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "data", "path", "says"),
    [
        (Charge, {**CHARGE, "amount": PRIVATE}, "$.amount", "Expected `int`, got `str`"),
        (Charge, {**CHARGE, "id": None}, "$.id", "Expected `str`, got `null`"),
        (Charge, {"id": "ch_1", "amount": 5}, "$.created", "missing or unknown value"),
        (Charge, {**CHARGE, "created": PRIVATE}, "$.created", "wrong value"),
        (Charge, {**CHARGE, "fee": PRIVATE}, "$.fee", "wrong value"),
        (Charge, {**CHARGE, "status": PRIVATE}, "$.status", "wrong value"),
        (Charge, {**CHARGE, "source": 5}, "$.source", "Expected `str | null`, got `int`"),
        (Charge, {**CHARGE, "source": {"object": PRIVATE}}, "$.source", "missing or unknown"),
        (
            Charge,
            {**CHARGE, "parts": [{"id": "c"}, {"id": "c", "created": PRIVATE}]},
            "$.parts[1].created",
            "wrong value",
        ),
        (Charge, {**CHARGE, "metadata": {PRIVATE: 5}}, "$.metadata[...]", "Expected `str`"),
        (Charge, [PRIVATE], "$.id", "wrong value"),
        (Charge, PRIVATE, "$.id", "wrong value"),
        (Page[Charge], {"data": [CHARGE, {}], "has_more": True}, "$.data[1].id", "missing"),
        (dict[str, Charge], {PRIVATE: {}}, "$[...].id", "missing or unknown value"),
        (Card | Bank, {"object": PRIVATE}, "$", "missing or unknown value"),
        (Card, {"id": 5}, "$.id", "Expected `str`, got `int`"),
        (Bank, {}, "$", "Object missing required field `id`"),
        (Address, {"city": [PRIVATE]}, "$.city", "Expected `str`, got `array`"),
        (Strict, {"id": PRIVATE}, "$", "missing or unknown value"),
        (Tree, {"id": "t", "below": [{}]}, "$.below[0]", "Object missing required field `id`"),
    ],
)
def test_a_misfit_says_where_and_no_value(kind, data, path, says) -> None:
    for build in (lambda: decode(as_bytes(data), kind), lambda: structure(data, kind)):
        with pytest.raises(DecodeError) as caught:
            build()
        assert caught.value.path == path
        assert says in str(caught.value)
        assert str(caught.value).endswith(f" at {path}")
        check_clean(caught.value)


def test_a_misfit_of_a_union_names_its_classes() -> None:
    with pytest.raises(DecodeError, match=r"not a Card \| Bank \| None: "):
        structure({"object": "x"}, Card | Bank | None)


@pytest.mark.parametrize("error", [ValueError(PRIVATE), KeyError(PRIVATE), OSError(PRIVATE)])
def test_whatever_a_hook_raises_is_a_misfit(hooks, error) -> None:
    def fail(value: Any, _: Any) -> Any:
        raise error

    hooks.register_structure_hook(Point, fail)
    for kind, data, path in ((Point, 5, "$"), (Named, {"name": "n", "point": 5}, "$.point")):
        with pytest.raises(DecodeError) as caught:
            decode(as_bytes(data), kind)
        assert caught.value.path == path
        check_clean(caught.value)


def test_extra_fields_are_forbidden_by_a_hook(hooks) -> None:
    strict = make_dict_structure_fn(Card, hooks, _cattrs_forbid_extra_keys=True)
    hooks.register_structure_hook(Card, strict)
    assert both(Card, {"id": "c"}) == Card(id="c")
    with pytest.raises(DecodeError) as caught:
        decode(as_bytes({"id": "c", "brand_new": 1, PRIVATE: 1}), Card)
    assert str(caught.value) == "not a Card: forbidden extra fields brand_new at $"


# --- hooks --------------------------------------------------------------------------------------

SESSION: dict[str, Any] = {
    "id": "vs_1",
    "created": SECONDS,
    "livemode": False,
    "metadata": {},
    "options": {},
    "status": "verified",
    "type": "document",
}
OSLO = timezone(timedelta(hours=2))


def in_oslo(value: Any, _: Any) -> datetime:
    return datetime.fromtimestamp(value, OSLO)


def test_a_hook_for_times_is_obeyed_in_models_also_after_the_first_decode(hooks) -> None:
    page = {"data": [SESSION], "has_more": False}
    before = both(VerificationSession, SESSION)
    assert before.created.tzinfo is UTC
    assert decode(as_bytes(page), Page[VerificationSession]).data == (before,)
    hooks.register_structure_hook(datetime, in_oslo)
    after = both(VerificationSession, SESSION)
    assert after == before
    assert after.created.tzinfo is OSLO
    assert decode(as_bytes(page), Page[VerificationSession]).data[0].created.tzinfo is OSLO
    assert both(Card, {"id": "c", "created": SECONDS}).created.tzinfo is OSLO
    with pytest.raises(DecodeError) as caught:
        decode(as_bytes({**SESSION, "created": PRIVATE}), VerificationSession)
    assert caught.value.path == "$.created"
    check_clean(caught.value)


def test_hooks_are_gone_with_their_test() -> None:
    assert decode(as_bytes(SESSION), VerificationSession).created.tzinfo is UTC


@pytest.mark.parametrize(
    "type", ["climate.order.created", "identity.verification_session.verified"]
)
def test_with_a_hook_models_are_what_they_are_without(hooks, type) -> None:
    body = StripeEvent()(type).body
    without = decode(body, Event)
    hooks.register_structure_hook(datetime, in_oslo)
    event = decode(body, Event)
    assert event == without
    assert event.data.object.created.tzinfo is OSLO


def test_amounts_are_checked_with_a_hook_too(hooks) -> None:
    order = json.loads(StripeEvent()("climate.order.created").body)["data"]["object"]
    hooks.register_structure_hook(datetime, in_oslo)
    assert both(Order, order).metric_tons == Decimal(order["metric_tons"])
    with pytest.raises(DecodeError) as caught:
        decode(as_bytes({**order, "metric_tons": "NaN"}), Order)
    assert caught.value.path == "$.metric_tons"


def test_a_hook_for_decimals_is_obeyed_in_amounts(hooks) -> None:
    order = json.loads(StripeEvent()("climate.order.created").body)["data"]["object"]
    hooks.register_structure_hook(Decimal, lambda value, _: Decimal(value) * 1000)
    assert both(Order, order).metric_tons == Decimal(order["metric_tons"]) * 1000


def test_a_hook_for_a_model_is_obeyed(hooks) -> None:
    hooks.register_structure_hook(VerificationSession, lambda value, _: value["id"])
    assert decode(as_bytes(SESSION), VerificationSession) == "vs_1"
    page = decode(as_bytes({"data": [SESSION], "has_more": False}), Page[VerificationSession])
    assert page.data == ("vs_1",)


def test_every_way_to_register_a_hook(hooks) -> None:
    def build(value: Any) -> Point:
        return Point(value + 1)

    def is_point(kind: Any) -> bool:
        return issubclass(kind, Point)

    ways: list[Any] = [
        lambda one: one.register_structure_hook(Point, lambda value, _: build(value)),
        lambda one: one.register_structure_hook_func(is_point, lambda value, _: build(value)),
        lambda one: one.register_structure_hook_factory(is_point, lambda _: lambda v, _: build(v)),
        lambda one: one.register_structure_hook_factory(is_point)(lambda _: lambda v, _: build(v)),
    ]
    for register in ways:
        with hooks_taken_back() as converter:
            with pytest.raises(ConfigurationError):
                check_target("into", Point)
            register(converter)
            check_target("into", list[Point])
            assert decode(b"[4]", list[Point]) == [Point(5)]

    @hooks.register_structure_hook
    def point(value: Any, _: Any) -> Point:
        return build(value)

    hooks.register_structure_hook(Point | str, lambda value, _: build(value))
    assert structure(4, Point) == structure(4, Point | str) == Point(5)


def test_a_copy_has_the_same_hooks_and_its_own_settings(hooks) -> None:
    hooks.register_structure_hook(datetime, in_oslo)
    card = {"id": "c", "created": SECONDS, "more": 1}
    twin = copy.deepcopy(hooks)
    assert twin.structure(card, Card).created.tzinfo is OSLO
    strict = hooks.copy(forbid_extra_keys=True)
    with pytest.raises(ClassValidationError):
        strict.structure({"id": "b", "more": 1}, Bank)
    with pytest.raises(ClassValidationError):
        strict.structure({**SESSION, "more": 1}, VerificationSession)
    assert strict.structure(SESSION, VerificationSession).created.tzinfo is OSLO
    twin.register_structure_hook(datetime, lambda _, __: TIME)
    assert twin.structure(card, Card).created is TIME
    assert hooks.structure(card, Card).created.tzinfo is OSLO


def test_it_is_one_converter() -> None:
    assert pinstripe.converter is pinstripe.converter
    assert pinstripe.converter.structure(SESSION, VerificationSession).id == "vs_1"
    assert pinstripe.converter.unstructure(Card(id="c", created=TIME))["created"] == SECONDS


# --- types that nothing can structure -----------------------------------------------------------


@frozen
class Unresolved:
    other: Nowhere  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable]


@frozen
class Shape:
    point: Point | None


@frozen
class Alike:
    id: str


@frozen
class AlikeToo:
    id: str


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Point, "cannot be structured without a hook for Point; register a hook"),
        (Shape, "without a hook for Point"),
        (list[Shape], "without a hook for Point"),
        (dict[str, tuple[Point, ...]], "without a hook for Point"),
        (Page[Shape], "without a hook for Point"),
        (str | Shape, "without a hook for Point"),
        (Alike | AlikeToo, "cannot be structured: "),
        (Unresolved, "cannot be structured: name 'Nowhere' is not defined"),
        (5, "must be a class"),
        ({}, "must be a class"),
        ("Card", "must be a class"),
    ],
)
def test_a_type_that_nothing_can_structure_is_refused(kind, says) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check_target("into", kind)
    assert refused.value.argument == "into"
    assert says in str(refused.value)
