"""Placeholders: the same value has the same one, and a replay gives a value of the same kind."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.identity import IdentityDate
from pinstripe.testing._placeholders import (
    Placeholder,
    Placeholders,
    Values,
    placeholder_in,
    replace_placeholders,
)

NAMES = st.sampled_from(["email", "user", "day", "month"])
VALUES = st.one_of(
    st.text(min_size=1), st.integers(), st.booleans(), st.binary(), st.floats(allow_nan=False)
)


def made(given: Placeholders, name: str, value: object) -> Placeholder:
    placeholder = placeholder_in(given.text_for(name, value))
    assert placeholder is not None
    return placeholder


@given(st.lists(st.tuples(NAMES, VALUES)))
def test_values_that_were_recorded_are_accepted_and_come_back(pairs: list[tuple[str, object]]):
    given, values = Placeholders(), Values()
    for name, value in pairs:
        placeholder = made(given, name, value)
        assert given.knows(name, value)
        if placeholder_in(value) is None:
            assert values.accepts(placeholder, value)


@given(st.lists(st.integers(10**6, 10**9), unique=True, min_size=2, max_size=5), st.data())
def test_another_run_may_have_other_values_that_are_alike_where_those_were(
    numbers: list[int], data: st.DataObject
) -> None:
    recorded = data.draw(st.lists(st.sampled_from(numbers), min_size=1))
    given, values = Placeholders(), Values()
    placeholders = [made(given, "user", f"user-{number}") for number in recorded]
    for placeholder, number in zip(placeholders, recorded, strict=True):
        assert values.accepts(placeholder, f"other-{number}")
        assert values.value_of(placeholder) == f"other-{number}"
    assert not values.copy().accepts(placeholders[0], "other-0")
    unused = next((n for n in numbers if n not in recorded), None)
    new = made(given, "user", f"user-{unused}")
    assert not values.copy().accepts(new, f"other-{recorded[0]}")


@pytest.mark.parametrize("number", [1, 2, 28, 29, 12, 13, 365, 99_999])
def test_invented_values_are_of_their_kind(number: int) -> None:
    def invented(name: str, kind: str | None) -> object:
        return Placeholder(name, number, kind).invented

    parts = {name: invented(name, "integer") for name in ("day", "month", "year")}
    if number < 8_000:
        assert IdentityDate(**parts).date is not None  # type: ignore[arg-type]
    assert date.fromisoformat(str(invented("born", "date")))
    assert datetime.fromisoformat(str(invented("seen", "time")).replace("Z", "+00:00")).tzinfo
    assert Decimal(str(invented("sum", "decimal"))) == number
    assert invented("sum", "number") == number + 0.5
    assert invented("is", "boolean") is False
    assert invented("content", f"{number} bytes") == Placeholder("b", 1, f"{number} bytes").invented
    assert len(invented("content", f"{number} bytes")) == number  # type: ignore[arg-type]
    assert str(invented("email", "address")) == f"email-{number}@private.invalid"
    assert invented("user", None) == f"[user {number}]"
    assert invented("user", "newer") == f"[user {number}: newer]"


def test_what_was_sent_comes_back_as_the_type_it_was() -> None:
    values = Values()
    for name, sent, kind, back in [
        ("year", "1990", "integer", 1990),
        ("count", "many", "integer", 1),
        ("name", "Jenny", None, "Jenny"),
    ]:
        placeholder = Placeholder(name, 1, kind)
        assert values.accepts(placeholder, sent)
        assert values.value_of(placeholder) == back
    text = replace_placeholders("[name 1] and [name 2]", lambda each: each.label.upper())
    assert text == "NAME 1 and NAME 2"


def test_an_invented_value_can_be_sent_again_in_its_place_only() -> None:
    values = Values()
    assert values.accepts(Placeholder("user", 1), "[user 1]")
    assert not values.accepts(Placeholder("user", 1), "[user 2]")
    assert values.accepts(
        Placeholder("file", 1, "3 bytes"), Placeholder("a", 1, "3 bytes").invented
    )
    assert values.accepts(Placeholder("user", 1), "Jenny R")
    assert values.value_of(Placeholder("user", 1)) == "Jenny R"


def test_short_values_are_the_same_under_the_same_name_only() -> None:
    given = Placeholders()
    assert given.text_for("day", 3) == "[day 1: integer]"
    assert given.text_for("month", 3) == "[month 1: integer]"
    assert given.text_for("day", "3") == "[day 1]"
    assert given.text_for("email", "jenny@example.com") == "[email 1: address]"
    assert given.text_for("login", "jenny@example.com") == "[email 1: address]"
    assert given.text_for("login", "jen") == given.text_for("nick", "jen") == "[login 1]"
    assert given.text_for("a b", "x") == "[a_b 1]"
    assert given.text_for("", "x") == "[value 1]"
