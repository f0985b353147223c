"""Redaction: private values are found however a server writes them, and nothing else is touched."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pinstripe._core.redaction import private_values, redact

SENT = {
    "provided_details[email]": "Jenny.Rosen+1@Mail.example",
    "provided_details[phone]": "+1 (415) 555-0123",
    "kyc_details[first_name]": "Jenny",
    "kyc_details[address][line1]": "Main~Street 5/é",
    "kyc_details[id_number]": "123-45-6789",
    "kyc_details[address][state]": "IN",
    "kyc_details[dob][year]": "1985",
    "kyc_details[dob][month]": "1",
}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("jenny.rosen+1@mail.example", "[provided_details[email]]"),
        ("<JENNY.ROSEN+1@MAIL.EXAMPLE>", "<[provided_details[email]]>"),
        ("a=Jenny.Rosen%2B1%40Mail.example&b", "a=[provided_details[email]]&b"),
        ("a=jenny.rosen%2b1%40mail.example&b", "a=[provided_details[email]]&b"),
        ("jenny.rosen 1@mail.example", "[provided_details[email]]"),
        ("main%7estreet+5%2f%c3%A9", "[kyc_details[address][line1]]"),
        ("MAIN%7EStreet%205/É.", "[kyc_details[address][line1]]."),
        ("JENNY, jennys, ajenny", "[kyc_details[first_name]], jennys, ajenny"),
        ("no 1985; 19850", "no [kyc_details[dob][year]]; 19850"),
        ("IN a state, in Indiana", "[kyc_details[address][state]] a state, in Indiana"),
        ("1 or more", "1 or more"),
        ("to 14155550123.", "to [provided_details[phone]]."),
        ("to +14155550123.", "to +[provided_details[phone]]."),
        ("to 1-415-555-0123", "to [provided_details[phone]]"),
        ("to (415) 555-0123", "to [provided_details[phone]]"),
        ("to 0415 555.0123", "to [provided_details[phone]]"),
        ("to %2B1%20415%20555%200123", "to %2B[provided_details[phone]]"),
        ("555-0124 and vs_4155550123", "555-0124 and vs_4155550123"),
        ("123456789", "[kyc_details[id_number]]"),
        ("%4aenny", "[kyc_details[first_name]]"),
        ("%zz %f %ff%fe jenny", "%zz %f %ff%fe [kyc_details[first_name]]"),
        (
            "Invalid a[jenny][0]: jenny",
            "Invalid a[jenny][0]: [kyc_details[first_name]]",
        ),
        ("", ""),
    ],
)
def test_a_private_value_is_found_in_every_spelling(said, shown) -> None:
    assert redact(said, SENT) == shown


def test_paths_of_parameters_stay_whatever_was_sent() -> None:
    said = "Invalid options[document][allowed_types][0]: must be one of id_card"
    sent = {"metadata[kind]": "document", "metadata[a]": "options", "metadata[b]": "allowed_types"}
    assert redact(said, sent) == said


values = st.text(st.characters(categories=["L", "Nd", "P", "S"]), min_size=3, max_size=90).filter(
    lambda text: any(map(str.isalnum, text)) and "[" not in text and "%" not in text
)


@given(
    values,
    st.sampled_from([str, str.upper, str.lower, quote, quote_plus, lambda v: quote(v, safe="")]),
)
@example("a+b c", quote_plus)
@example("ǰŉßİx", str)
@example("a" * 90, quote)
@example("00+", str)
def test_any_private_value_is_found(value, written) -> None:
    text = written(value)
    if written in (str.upper, str.lower) and [*map(str.lower, value)] != [*map(str.lower, text)]:
        return  # a letter that is another one, or two, in the other case
    assert "[name]" in redact(f"It says '{text}' is wrong.", {"name": value})


@given(
    st.text(max_size=300), st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=5)
)
def test_any_text_is_redacted(text, sent) -> None:
    redact(text, sent)


@pytest.mark.uncounted
@pytest.mark.parametrize("before", [0, 900, 4000, 4090, 4096])
@pytest.mark.parametrize("value", ["Jenny Rosen", "é" * 70, "long " * 200])
def test_no_part_of_a_value_is_left_at_the_cut(before, value) -> None:
    for text in (value, quote(value)):
        shown = redact("x" * before + " " + f"{text}. " * 50, {"name": value})
        assert value[:2] not in shown
        assert quote(value)[:5] not in shown
        assert len(shown) <= 5000


def test_a_long_value_that_a_server_has_cut_is_found() -> None:
    body = '{"card": "4242", "name": "Jenny Rosen", "address": "Main Street 5, 12345 Berlin"}'
    assert redact(f"near '{body[:70]}...'", {"request[body]": body}) == "near '[request[body]]...'"


def steps_of(call: Callable[[], object]) -> int:
    """How many lines of Python a call runs."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.uncounted
@pytest.mark.parametrize("unit", ["a b ", "a", "1 ", "a[", "(", "%41", "a@b.example "])
def test_a_long_text_takes_no_more_steps_than_a_shorter_one(unit) -> None:
    sent = {f"metadata[{n}]": f"value {n} of many" for n in range(50)}
    short, long = unit * (8_000 // len(unit)), unit * (64_000 // len(unit))
    assert steps_of(lambda: redact(long, sent)) <= steps_of(lambda: redact(short, sent)) * 1.1


def test_steps_follow_the_number_of_values() -> None:
    def many(count: int) -> dict[str, str]:
        return {f"metadata[{n}]": f"value {n:06d}" for n in range(count)}

    text = "value 1 and value 000001 " * 200
    few, more = (steps_of(lambda n=n: redact(text, many(n))) for n in (500, 1_000))
    assert more < 2.2 * few


PATHS = {"metadata", "request[headers][][value]", "request[body]"}


def test_private_values_are_those_of_private_parameters() -> None:
    sent = {
        "type": "document",
        "metadata[type]": "document",
        "metadata": "",
        "metadata_of": "x",
        "request[headers][0][name]": "X-Key",
        "request[headers][12][value]": "k",
        "request[body]": "{}",
        "options[document][allowed_types][0]": "passport",
    }
    private = {"metadata[type]", "metadata", "request[headers][12][value]", "request[body]"}
    assert private_values(sent, PATHS).keys() == private
    assert private_values(sent, set()) == {}


@pytest.mark.parametrize(
    ("name", "value", "is_private"),
    [
        ("type", "document", False),
        ("enabled_events[0]", "source_added", False),
        ("customer", "cus_A1b2C3", False),
        ("expand[0]", "data", False),
        ("name", "jenny", True),
        ("shipping[name]", "jenny", True),
        ("metadata[a]", "b", True),
        ("email", "a@b.example", True),
        ("billing_details[phone]", "1234567", True),
        ("anything", "Jenny", True),
        ("anything", "two words", True),
        ("amount", "1250", True),
    ],
)
def test_without_types_a_value_is_private_by_its_look_or_its_name(name, value, is_private) -> None:
    assert (name in private_values({name: value}, None)) is is_private
