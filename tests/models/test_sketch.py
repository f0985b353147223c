"""The first class that is written from an answer: it runs, and structures that answer."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import pinstripe
from pinstripe import ConfigurationError, sketch
from pinstripe._models.convert import check_target, decode

SECRET = "PRIVATE-person-7720"

CHARGE: dict[str, Any] = {
    "id": "ch_1",
    "object": "charge",
    "amount": 500,
    "created": 1_790_510_912,
    "customer": None,
    "receipt_email": SECRET,
    "unit_amount_decimal": "12.5",
    "metadata": {SECRET: SECRET},
    "livemode": False,
    "rate": 0.5,
    "flags": ["a"],
    "nothing": [],
    "from": 5,
    "str": 5,
    "source": {"object": "card", "id": "card_1", "exp_month": 5},
    "sources": [
        {"object": "card", "id": "card_1"},
        {"object": "bank_account", "id": "ba_1"},
        "src_1",
    ],
    "refunds": {"object": "list", "data": [{"id": "re_1"}], "has_more": False, "url": "/v1/x"},
    "outcome": {"type": "authorized", "risk": {"score": 5}},
}

SKETCH = """\
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from attrs import field, frozen
from pinstripe import Page


@frozen(kw_only=True)
class Card:
    object: Literal["card"] = "card"
    id: str
    exp_month: int


@frozen(kw_only=True)
class ChargeCard:
    object: Literal["card"] = "card"
    id: str


@frozen(kw_only=True)
class BankAccount:
    object: Literal["bank_account"] = "bank_account"
    id: str


@frozen(kw_only=True)
class Refund:
    id: str


@frozen(kw_only=True)
class Risk:
    score: int


@frozen(kw_only=True)
class Outcome:
    type: str
    risk: Risk


@frozen(kw_only=True)
class Charge:
    id: str
    object: Literal["charge"] = "charge"
    amount: int
    created: datetime
    customer: Any | None = None
    receipt_email: str = field(repr=False)
    unit_amount_decimal: Decimal
    metadata: dict[str, str] = field(repr=False)
    livemode: bool
    rate: float
    flags: tuple[str, ...]
    nothing: tuple[Any, ...]
    source: Card
    sources: tuple[ChargeCard | BankAccount | str, ...]
    refunds: Page[Refund]
    outcome: Outcome
    # Keys that cannot be names of fields: 2.
"""


def made_by(source: str, name: str) -> Any:
    names: dict[str, Any] = {"__name__": "sketched"}
    exec(compile(source, "sketched.py", "exec", dont_inherit=True), names)
    return names[name]


def test_the_class_of_a_charge() -> None:
    source = sketch("Charge", CHARGE)
    assert source == SKETCH
    kind = made_by(source, "Charge")
    charge = decode(json.dumps(CHARGE).encode(), kind)
    assert charge.sources[1].id == "ba_1"
    assert charge.refunds.data[0].id == "re_1"
    assert SECRET not in repr(charge)


def test_the_source_is_formatted() -> None:
    command = [sys.executable, "-m", "ruff", "format", "--check", "--line-length", "100", "-"]
    subprocess.run(
        command, input=sketch("Charge", CHARGE), encoding="utf-8", check=True, capture_output=True
    )


def test_several_answers_show_what_can_be_missing() -> None:
    answers = [
        {"id": "a", "customer": "cus_1", "at": 1_790_510_912, "size": 1},
        {"id": "b", "customer": {"id": "cus_1", "object": "customer"}, "at": "now", "size": 0.5},
    ]
    lines = sketch("Thing", answers).splitlines()
    assert "    customer: Customer | str" in lines
    assert "    at: str | int" in lines
    assert "    size: float" in lines
    items = [{"id": "a"}, {"id": "b", "paid": True}]
    lines = sketch("Thing", {"object": "list", "data": items, "has_more": True}).splitlines()
    assert lines[-2:] == ["    id: str", "    paid: bool | None = None"]


def test_objects_without_a_word_become_one_class() -> None:
    answers = [{"x": {"object": "card", "a": 1}}, {"x": {"a": 1}}, {"x": {}}]
    source = sketch("Thing", answers)
    assert '    object: Literal["card"] | None = None\n    a: int | None = None' in source
    kind = made_by(source, "Thing")
    assert attrs.asdict(decode(json.dumps(answers[1]).encode(), kind)) == {
        "x": {"object": None, "a": 1}
    }


def test_classes_get_names_of_their_own() -> None:
    data = {"x": {"b": 1}, "y": {"x": {"c": 1}}, "z": [{"x": {"d": 1}}, {"x": {"d": 2}}]}
    classes = [line for line in sketch("Z", data).splitlines() if line.startswith("class")]
    assert classes == ["class X:", "class YX:", "class Y:", "class ZZX:", "class ZZ:", "class Z:"]


@pytest.mark.parametrize(
    ("name", "data", "argument"),
    [
        ("not a name", {}, "name"),
        ("class", {}, "name"),
        ("datetime", {}, "name"),
        (5, {}, "name"),
        ("Refund", 5, "data"),
        ("Refund", "text", "data"),
        ("Refund", [], "data"),
        ("Refund", [5], "data"),
        ("Refund", {"object": "list", "data": []}, "data"),
    ],
)
def test_what_is_no_answer_is_refused(name, data, argument) -> None:
    with pytest.raises(ConfigurationError) as refused:
        sketch(name, data)
    assert refused.value.argument == argument


def test_too_deep_an_answer_is_refused() -> None:
    data: dict[str, Any] = {}
    for _ in range(2000):
        data = {"a": data}
    with pytest.raises(ConfigurationError, match="nested too deeply"):
        sketch("Deep", data)


WORDS = st.sampled_from(["object", "id", "created", "paid_at", "a", "data", "has_more", "metadata"])
HARD_WORDS = st.sampled_from(["email", "str", "class", "card", "cards", "Any", "unit_decimal"])
KEYS = WORDS | HARD_WORDS | st.text(max_size=4)
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.just(1_790_510_912)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["list", "card", "bank", "1.5", "12", "true", "null"])
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)
ANSWERS = st.lists(st.dictionaries(KEYS, VALUES, max_size=5), min_size=1, max_size=3)


@given(ANSWERS)
@example([{"created": "x"}, {"created": 1_790_510_912}])
@example([{}, {"object": "null"}])
@example([{"a": [{"object": "card"}, {"object": "bank"}, "x", None, [1]]}])
@example([{"card": {"object": "card"}}, {"card": {"object": "list", "data": [], "has_more": True}}])
def test_the_class_runs_and_structures_what_it_was_made_from(answers) -> None:
    source = sketch("Thing", answers)
    kind = made_by(source, "Thing")
    check_target("into", kind)
    for answer in answers:
        thing = decode(json.dumps(answer).encode(), kind)
        for name in attrs.fields_dict(kind):
            value = answer.get(name)
            # msgspec reads the text "null" as None where a Literal may be None.
            if (name, value) == ("object", "null"):
                continue
            if isinstance(value, (str, bool)) and not name.endswith("_decimal"):
                assert getattr(thing, name) == value


def test_it_is_public() -> None:
    assert pinstripe.sketch is sketch
