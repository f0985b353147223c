"""Card details: blanks that are filled in, bodies that stay the same, and what is masked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe.sandbox._forwarding.cards import (
    CARD_REPLACEMENTS,
    PAYMENT_METHODS,
    Card,
    fill,
    is_credential,
    mask,
    mask_credentials,
    masked_number,
    media_type,
)

VISA = PAYMENT_METHODS["pm_card_visa"]
ALL = VISA.values(CARD_REPLACEMENTS)


@pytest.mark.parametrize(
    ("body", "filled"),
    [
        ('{"number":"","cvc": ""}', '{"number":"4242424242424242","cvc": "123"}'),
        ('{"card_number" : ""}', '{"card_number" : "4242424242424242"}'),
        ('{"cardNumber":"","Card-CVC":""}', '{"cardNumber":"4242424242424242","Card-CVC":"123"}'),
        ('{"exp_month":"","expYear":""}', '{"exp_month":"12","expYear":"2034"}'),
        ('{"expiry_date":""}', '{"expiry_date":"12/34"}'),
        ('{"name":"","holderName":""}', '{"name":"Noor van Dam","holderName":"Noor van Dam"}'),
        ('{"number":"41","x":"","n":1.10}', '{"number":"41","x":"","n":1.10}'),
        ('{"a":"\\"number\\":\\"\\""}', '{"a":"\\"number\\":\\"\\""}'),
        (
            '{"a ":"number"," ":":","number":""}',
            '{"a ":"number"," ":":","number":"4242424242424242"}',
        ),
        ('["number","",{"number":null}]', '["number","",{"number":null}]'),
        (
            "<c><number></number><cvc/></c>",
            "<c><number>4242424242424242</number><cvc>123</cvc></c>",
        ),
        ('<p:PAN a="1"/>', '<p:PAN a="1">4242424242424242</p:PAN>'),
        ("<number> </number>", "<number>4242424242424242</number>"),
        ("<number>41</number><name>&amp;</name>", "<number>41</number><name>&amp;</name>"),
        ("<number><x/></number>", "<number><x/></number>"),
    ],
)
def test_blanks_are_filled_and_nothing_else(body: str, filled: str) -> None:
    assert fill(body, ALL) == filled


@pytest.mark.parametrize(
    ("replacement", "filled"),
    [
        ("card_number", '{"number":"4242424242424242","exp":"","cvc":"","name":""}'),
        ("card_expiry", '{"number":"","exp":"12/34","cvc":"","name":""}'),
        ("card_cvc", '{"number":"","exp":"","cvc":"123","name":""}'),
        ("cardholder_name", '{"number":"","exp":"","cvc":"","name":"Noor van Dam"}'),
        ("request_signature", '{"number":"","exp":"","cvc":"","name":""}'),
    ],
)
def test_only_what_is_asked_for_is_filled(replacement: str, filled: str) -> None:
    body = '{"number":"","exp":"","cvc":"","name":""}'
    assert fill(body, VISA.values([replacement])) == filled


def test_a_name_is_written_as_the_body_needs_it() -> None:
    values = Card("4242424242424242", "1", name='A "B" <C> & é').values(["cardholder_name"])
    assert json.loads(fill('{"name":""}', values)) == {"name": 'A "B" <C> & é'}
    assert fill("<name/>", values) == '<name>A "B" &lt;C&gt; &amp; é</name>'


def filled_by_hand(value: Any) -> Any:
    if isinstance(value, list):
        return [filled_by_hand(item) for item in value]
    if isinstance(value, dict):
        return {
            key: ALL.get(key.lower().replace("_", ""), "") if item == "" else filled_by_hand(item)
            for key, item in value.items()
        }
    return value


KEYS = st.one_of(
    st.sampled_from(["number", "card_number", "CVC", "exp", "name", ""]),
    st.text(st.sampled_from('",:{}[]\\ n'), max_size=6),
)
TEXTS = st.sampled_from(["", "number", '"number":""', "\\", '\\"', ", ", '{"cvc":""}', "é\ud800"])
BODIES = st.recursive(
    TEXTS | st.integers() | st.none() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(BODIES, st.sampled_from([None, 2]), st.sampled_from([(",", ":"), (", ", " : ")]))
def test_filling_is_that_of_the_parsed_body(body: Any, indent: Any, separators: Any) -> None:
    text = json.dumps(body, indent=indent, separators=separators)
    assert json.loads(fill(text, ALL)) == filled_by_hand(body)
    assert fill(text, {}) == text


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("{}", "application/json"),
        (" [1]\n", "application/json"),
        ("<a/>", "application/xml"),
        ("\n<?xml version='1.0'?>", "application/xml"),
        ("{", None),
        ("a=b", None),
        ("[" * 100_000, None),
        ('"\ud800"', None),
    ],
)
def test_media_types(body: str, kind: str | None) -> None:
    assert media_type(body) == kind


def test_numbers_keep_six_and_four() -> None:
    assert masked_number("4242424242424242") == "424242******4242"
    assert masked_number("378282246310005") == "378282*****0005"
    assert VISA.masked().values(CARD_REPLACEMENTS)["cvc"] == "***"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("4242424242424242", "424242******4242"),
        ("a 4242 4242-4242 4242.", "a 424242******4242."),
        ("14242424242424242", "14242424242424242"),
        ('{"cvc":"123","amount":123}', '{"cvc":"***","amount":123}'),
        ('{"cvc":123}', '{"cvc":***}'),
        ('{\\"cardCvv2\\": \\"123\\"}', '{\\"cardCvv2\\": \\"***\\"}'),
        ("<security_code>123</security_code>", "<security_code>***</security_code>"),
        ("a=1&cvc=123&b=123", "a=1&cvc=***&b=123"),
        ("cvc=1234", "cvc=1234"),
        ("123", "123"),
    ],
)
def test_details_that_come_back_are_masked(text: str, masked: str) -> None:
    assert mask(text, VISA) == masked


@pytest.mark.parametrize(
    ("name", "credential"),
    [
        ("Authorization", True),
        ("proxy-authorization", True),
        ("X-API-Key", True),
        ("apiKey", True),
        ("X-Auth-Token", True),
        ("Set-Cookie", True),
        ("client_secret", True),
        ("Destination-Idempotency-Key", False),
        ("Content-Type", False),
        ("token", False),
    ],
)
def test_names_of_credentials(name: str, credential: bool) -> None:
    assert is_credential(name) is credential


def test_credentials_in_a_body_are_masked() -> None:
    body = '{"api_key": "k\\"1", "key": "k2", "password":""}'
    assert mask_credentials(body) == '{"api_key": "***", "key": "k2", "password":""}'
    assert mask_credentials("<a><password>p</password></a>") == "<a><password>***</password></a>"


def test_a_repr_of_a_card_shows_nothing() -> None:
    assert repr(VISA) == "Card(month='12', year='2034')"
