"""Card details: the test payment methods, the filling of blanks in a body, and what is masked.

A blank is an empty text in JSON (`"number": ""`) or an empty element in XML (`<number/>`) with a
name that says what belongs there; the rest of the body goes out byte for byte as it came. Choices
where the published facts are silent: the names below, in any case and with any separators;
credentials are what stands in a header or field whose name says so, masked like a CVC; a
replacement for which there is no blank is no error; a CVC is not used up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Final, TypeAlias
from xml.sax.saxutils import escape, unescape

import attrs
import msgspec

MASK: Final = "***"
JSON: Final = "application/json"
XML: Final = "application/xml"

CARD_REPLACEMENTS: Final = ("card_cvc", "card_expiry", "card_number", "cardholder_name")

Change: TypeAlias = Callable[[str, str], "str | None"]


@attrs.frozen
class Card:
    """The details of a card.

    Args:
        number: its digits.
        cvc: three or four digits.
        month: two digits.
        year: four digits.
        name: who holds it.
    """

    number: str = attrs.field(repr=False)
    cvc: str = attrs.field(repr=False)
    month: str = "12"
    year: str = "2034"
    name: str = attrs.field(default="Noor van Dam", repr=False)

    def masked(self) -> Card:
        """Return the card as it may be stored."""
        return attrs.evolve(self, number=masked_number(self.number), cvc=MASK)

    def values(self, replacements: Collection[str]) -> dict[str, str]:
        """Return what belongs into a field, by its name in small letters without separators.

        Args:
            replacements: which details are asked for.
        """
        values: dict[str, str] = {}
        for replacement, fields in _FIELDS.items():
            if replacement in replacements:
                values.update({name: read(self) for name, read in fields.items()})
        return values


def _same(names: str, read: Callable[[Card], str]) -> dict[str, Callable[[Card], str]]:
    return dict.fromkeys(names.split(), read)


_CVC_NAMES: Final = "cvc cardcvc cvc2 cvv cardcvv cvv2 cvn securitycode cardsecuritycode"
_FIELDS: Final[Mapping[str, Mapping[str, Callable[[Card], str]]]] = {
    "card_number": _same("number cardnumber pan primaryaccountnumber", lambda card: card.number),
    "card_cvc": _same(_CVC_NAMES, lambda card: card.cvc),
    "cardholder_name": _same(
        "name cardholder cardholdername holdername nameoncard", lambda card: card.name
    ),
    "card_expiry": {
        **_same("expmonth expirymonth expirationmonth", lambda card: card.month),
        **_same("expyear expiryyear expirationyear", lambda card: card.year),
        **_same(
            "exp expiry expirydate expirationdate", lambda card: f"{card.month}/{card.year[-2:]}"
        ),
    },
}

PAYMENT_METHODS: Final[Mapping[str, Card]] = {
    "pm_card_visa": Card("4242424242424242", "123"),
    "pm_card_visa_debit": Card("4000056655665556", "456"),
    "pm_card_mastercard": Card("5555555555554444", "789"),
    "pm_card_amex": Card("378282246310005", "7373"),
    "pm_card_discover": Card("6011111111111117", "321"),
}

# A whole text token each time, so that nothing inside of a text is taken for a name.
_QUOTED = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_JSON_FIELD = re.compile(rf"({_QUOTED})(?:(\s*:\s*)({_QUOTED}))?")
_XML_FIELD = re.compile(
    r"<(?P<name>[\w.:-]+)(?P<rest>\s[^<>]*?)?(?:/>|>(?P<text>[^<>]*)</(?P=name)\s*>)"
)
_SEPARATORS = re.compile(r"[^a-z0-9]")
_CREDENTIAL = re.compile(
    r"authori[sz]ation|api-?_?key|access-?_?token|auth-?_?token|secret|password|cookie",
    re.IGNORECASE,
)
_CVC = r"((?:cvc|cvv|cvn|security[ _-]?code)2?\W{1,12})"


def masked_number(number: str) -> str:
    """Return a card number with all but its first six and last four digits hidden."""
    return number[:6] + "*" * (len(number) - 10) + number[-4:]


def media_type(body: str) -> str | None:
    """Return the media type of a body, None where it is neither JSON nor looks like XML."""
    if body.lstrip().startswith("<"):
        return XML
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    return JSON


def fill(body: str, values: Mapping[str, str]) -> str:
    """Return a body with its blanks filled.

    Args:
        body: JSON or XML.
        values: what `Card.values` gave.
    """

    def change(name: str, text: str) -> str | None:
        return None if text else values.get(_SEPARATORS.sub("", name.lower()))

    return _changed(body, change)


def mask(text: str, card: Card) -> str:
    """Return text with a card's number, and its CVC where it is named as such, masked.

    Args:
        text: any text, such as the answer of a destination that repeats what it got.
        card: whose details are hidden.
    """
    number = "[ -]?".join(card.number)
    text = re.sub(rf"(?<!\d){number}(?!\d)", masked_number(card.number), text)
    cvc = re.compile(rf"{_CVC}{card.cvc}(?!\d)", re.IGNORECASE)
    return cvc.sub(lambda found: found[1] + MASK, text)


def mask_credentials(body: str) -> str:
    """Return a JSON or XML body with the values of fields named as credentials masked."""
    return _changed(body, lambda name, text: MASK if text and is_credential(name) else None)


def is_credential(name: str) -> bool:
    """Say whether the name of a header or a field is that of a credential."""
    return _CREDENTIAL.search(name) is not None


def _changed(body: str, change: Change) -> str:
    if body.lstrip().startswith("<"):
        return _XML_FIELD.sub(lambda found: _xml_changed(found, change), body)
    return _JSON_FIELD.sub(lambda found: _json_changed(found, change), body)


def _json_changed(found: re.Match[str], change: Change) -> str:
    key, colon, value = found.groups()
    if value is None:
        return found[0]
    new = change(_plain(key), _plain(value))
    return found[0] if new is None else f"{key}{colon}{json.dumps(new)}"


def _plain(token: str) -> str:
    text: str = json.loads(token, strict=False)
    return text


def _xml_changed(found: re.Match[str], change: Change) -> str:
    name, rest = found["name"], found["rest"] or ""
    new = change(name.rpartition(":")[2], unescape((found["text"] or "").strip()))
    return found[0] if new is None else f"<{name}{rest}>{escape(new)}</{name}>"
