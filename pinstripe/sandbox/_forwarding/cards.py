"""Card details: the test payment methods, and how details are filled into a body and masked.

A blank is an empty text in JSON (`"number": ""`) or an empty element in XML (`<number/>`); its
name says which detail belongs there. The body is never parsed and written again: patterns find
the fields in its text and replace the blanks, so everything else is sent byte for byte as it came.

Choices where the published facts are silent: the names of blanks are those below, in any case and
with any separators; credentials are the values of headers and fields whose name says so, and are
masked like a CVC; a replacement without a blank is no error; a CVC can be used any number of times.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Final, TypeAlias
from xml.sax.saxutils import escape, unescape

import msgspec
from attrs import evolve, field, frozen

MASK: Final = "***"
JSON: Final = "application/json"
XML: Final = "application/xml"

CARD_REPLACEMENTS: Final = ("card_cvc", "card_expiry", "card_number", "cardholder_name")

Change: TypeAlias = Callable[[str, str], "str | None"]
"""Takes the name and the text of a field, and returns its new text; None to leave it."""


@frozen
class Card:
    """The details of a card.

    Attributes:
        number: The digits of its number.
        cvc: Three or four digits.
        month: Two digits.
        year: Four digits.
        name: The name of its holder.
    """

    number: str = field(repr=False)
    cvc: str = field(repr=False)
    month: str = "12"
    year: str = "2034"
    name: str = field(default="Noor van Dam", repr=False)

    def masked(self) -> Card:
        """Return the card as it may be stored."""
        return evolve(self, number=masked_number(self.number), cvc=MASK)

    def values(self, replacements: Collection[str]) -> dict[str, str]:
        """Return the value for each field, by the field's name in lower case without separators.

        Args:
            replacements: The details to fill in.
        """
        values: dict[str, str] = {}
        for replacement, fields in _FIELDS.items():
            if replacement in replacements:
                values.update({name: read(self) for name, read in fields.items()})
        return values


def _fields(names: str, read: Callable[[Card], str]) -> dict[str, Callable[[Card], str]]:
    return dict.fromkeys(names.split(), read)


_CVC_NAMES: Final = "cvc cardcvc cvc2 cvv cardcvv cvv2 cvn securitycode cardsecuritycode"
_FIELDS: Final[Mapping[str, Mapping[str, Callable[[Card], str]]]] = {
    "card_number": _fields("number cardnumber pan primaryaccountnumber", lambda card: card.number),
    "card_cvc": _fields(_CVC_NAMES, lambda card: card.cvc),
    "cardholder_name": _fields(
        "name cardholder cardholdername holdername nameoncard", lambda card: card.name
    ),
    "card_expiry": {
        **_fields("expmonth expirymonth expirationmonth", lambda card: card.month),
        **_fields("expyear expiryyear expirationyear", lambda card: card.year),
        **_fields(
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

# A field is found as whole text tokens, so that nothing inside a text is taken for a name.
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
# A CVC is only three or four digits: it is recognized by the name in front of it.
_CVC = r"((?:cvc|cvv|cvn|security[ _-]?code)2?\W{1,12})"


def masked_number(number: str) -> str:
    """Return a card number that shows only its first six and last four digits."""
    return number[:6] + "*" * (len(number) - 10) + number[-4:]


def media_type(body: str) -> str | None:
    """Return the media type of a body; None if it is not JSON and does not look like XML."""
    if body.lstrip().startswith("<"):
        return XML
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    return JSON


def fill(body: str, values: Mapping[str, str]) -> str:
    """Return a body with its blanks filled in.

    Args:
        body: JSON or XML.
        values: The result of `Card.values`.
    """

    def filled(name: str, text: str) -> str | None:
        return None if text else values.get(_SEPARATORS.sub("", name.lower()))

    return _changed(body, filled)


def mask(text: str, card: Card) -> str:
    """Return text without the number of a card, and without a CVC that is named as one.

    Args:
        text: Any text, such as the answer of a destination that repeats the request.
        card: The card.
    """
    # The number can be written in groups. Longer runs of digits that contain it are not it.
    number = "[ -]?".join(card.number)
    text = re.sub(rf"(?<!\d){number}(?!\d)", masked_number(card.number), text)
    cvc = re.compile(rf"{_CVC}{card.cvc}(?!\d)", re.IGNORECASE)
    return cvc.sub(lambda found: found[1] + MASK, text)


def mask_credentials(body: str) -> str:
    """Return a JSON or XML body that hides the values of fields named like credentials."""
    return _changed(body, lambda name, text: MASK if text and is_credential(name) else None)


def is_credential(name: str) -> bool:
    """Report whether a header or a field with this name holds a credential."""
    return _CREDENTIAL.search(name) is not None


def _changed(body: str, change: Change) -> str:
    def json_field(found: re.Match[str]) -> str:
        key, colon, value = found.groups()
        # This text is an element of a list, or the name of a field whose value is not a text.
        if value is None:
            return found[0]
        new = change(json.loads(key, strict=False), json.loads(value, strict=False))
        return found[0] if new is None else f"{key}{colon}{json.dumps(new)}"

    def xml_field(found: re.Match[str]) -> str:
        name, rest = found["name"], found["rest"] or ""
        # A prefix such as `card:` names a namespace, and does not belong to the name.
        new = change(name.rpartition(":")[2], unescape((found["text"] or "").strip()))
        return found[0] if new is None else f"<{name}{rest}>{escape(new)}</{name}>"

    if body.lstrip().startswith("<"):
        return _XML_FIELD.sub(xml_field, body)
    return _JSON_FIELD.sub(json_field, body)
