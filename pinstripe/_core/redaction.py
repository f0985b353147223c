"""Clean the text of others before it is shown: without secrets and without private data.

A server often quotes a value that it refuses. If the value is that of a private parameter, the name
of the parameter takes its place. Everything else stays as it came: words and ids of the API, the
paths of parameters, and values that are not private.

Which parameters are private is told by their types. A call that has no types (`client.request`)
sends what `is_private_by_look` says: everything that names or describes a person by its parameter,
and else every value that does not look like a word or an id of the API.

A value is found in any letter case, percent-encoded or not, with `+` or a space. A long number,
such as that of a phone or a card, is found with or without what separates its digits, and without
its country code. A value of one character is never looked for, and one of two only as it was sent:
they are parts of too many texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from itertools import takewhile
from urllib.parse import unquote

# Most patterns are compiled when an error or a log line needs them first: `re` keeps them.

# Bytes of a text that a log line shows.
_MESSAGE_LIMIT = 1024
# Characters of a text that are looked at: more than are shown, so that what is replaced is
# replaced as a whole before the cut.
_START = 4 * _MESSAGE_LIMIT
# A value is looked up by so many characters at its start.
_HEAD = 64
# Visible ASCII; a Request-Id of Stripe (`req_...`) has fewer than 64 characters.
_REQUEST_ID = r"[\x21-\x7e]{1,64}"
# What the API calls its types, codes and parameters, such as `options[document]`.
_API_NAME = r"[a-z][a-z0-9_]*(?:\[[a-z0-9_]*\])*"
# The path of a parameter within a text.
_PATH = r"(?<![a-z0-9_])[a-z][a-z0-9_]*(?:\[[a-z0-9_]*\])+"
# A word of the API, or an id such as `cus_A1`.
_API_VALUE = r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*|[a-z]{2,}(?:_[A-Za-z0-9]+)+"
# Parameters of any endpoint that hold data about a person, or data of the user.
_PERSONAL = (
    r"name|mail|phone|address|line[12]|city|postal|dob|birth|number|gender|nationality|metadata"
    r"|description|reference|secret|token|password|body|url|card|account_holder"
)
# API keys, webhook secrets and client secrets: https://docs.stripe.com/keys
# No word boundary in front: a key can follow a letter, as in "Bearer%20sk_test_...".
# The ids of thin events and of their destinations have the form of a key.
SECRET = re.compile(
    r"\b((?:evt|ed)_test_[A-Za-z0-9]+)\b"
    r"|(?:[a-z]{2,4}_(?:test|live|org)_|whsec_)\w+|\b\w+_secret_\w+"
)
"""A secret, such as an API key, within a text; an id that has the form of a key is the group."""

# The index of an element of a list, in the path of a parameter.
_INDEX = r"\[\d+\]"
_ENCODED_OR_NOT = r"(?:%[0-9a-fA-F]{2})+|[^%]+|%"
_SPACES = dict.fromkeys(map(ord, "+\t\n\r\f\v\xa0"), " ")
# A number of at least seven digits, as people write phone numbers; and a value that is one.
_NUMBER = r"(?<!\w)\(?[0-9](?:[ ().\-/]{0,3}[0-9]){6,}(?!\w)"
_DIGITS = 7


def clean_text(text: str) -> str:
    """Return `text` as one line for a log: no secret, only printable characters, 1 KiB at most.

    Args:
        text: Anything that a server, or another library, said.
    """
    start = text[:_START]
    line = "".join(character if character.isprintable() else " " for character in start)
    cut = SECRET.sub(lambda found: found[1] or "[secret]", line).encode()[:_MESSAGE_LIMIT]
    # A character that the cut went through is dropped.
    return cut.decode(errors="ignore")


def printable_lines(text: str) -> str:
    """Return text that a terminal can show: control characters are escaped, line feeds stay.

    Args:
        text: Any text.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character == "\n"
        else character.encode("unicode_escape").decode()
        for character in text
    )


def redact(text: str, private: Mapping[str, str]) -> str:
    """Return what a server said, with the names of parameters in place of private values.

    Args:
        text: What the server said; of a longer text than is ever shown, the start is returned.
        private: The private values that were sent, by the names of their parameters.
    """
    values = _Values(private)
    if not values.by_head:
        return text
    # A value that begins in the start of the text has its whole head in this part of the text: a
    # character is at most four bytes, of three characters each.
    folded, places = _fold(text[: _START + 12 * _HEAD])
    pieces: list[str] = []
    end = 0
    found = [*_texts_in(folded, values), *_numbers_in(folded, values)]
    for begin, behind, name in sorted(found, key=lambda one: (one[0], -one[1])):
        first, last = places[begin], places[behind]
        # Two letters in the other case are a word of their own.
        is_word = last - first <= 2 and text[first:last] not in private[name]
        # Of two that overlap, the first one is replaced.
        if end <= first < _START and not is_word:
            pieces += [text[end:first], f"[{name}]"]
            end = last
    pieces.append(text[end : max(end, _START)])
    return "".join(pieces)


def _fold(text: str) -> tuple[str, Sequence[int]]:
    """Return a text in the form in which values are looked for: lowercase, spaces for `+`, decoded.

    The second value is where each character of it begins in `text`, and where `text` ends.
    """
    if "%" not in text:
        return _lower(text), range(len(text) + 1)
    pieces: list[str] = []
    places: list[int] = []
    for part in re.finditer(_ENCODED_OR_NOT, text):
        piece, at = part[0], part.start()
        with suppress(UnicodeDecodeError):  # what is no text stays as it is
            piece = unquote(piece, errors="strict")
        is_encoded = len(piece) < len(part[0])
        for character in piece:
            places.append(at)
            at += 3 * len(character.encode()) if is_encoded else 1
        pieces.append(piece)
    return _lower("".join(pieces)), [*places, len(text)]


def _lower(text: str) -> str:
    lower = text.lower()
    if len(lower) != len(text):  # a few letters become two, which would move all places behind them
        lower = "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)
    return lower.translate(_SPACES)


class _Values:
    """The values to look for.

    Attributes:
        by_head: The folded values and the names of their parameters, by how they begin.
        sizes: The lengths of these beginnings, the longest first.
        numbers: The digits of long numbers and the names of their parameters, by how they end.
    """

    def __init__(self, private: Mapping[str, str]) -> None:
        self.by_head: dict[str, list[tuple[str, str]]] = {}
        self.numbers: dict[str, list[tuple[str, str]]] = {}
        for name, value in private.items():
            # One character is part of too many texts, and says too little about anybody.
            if len(value) < 2 or not any(map(str.isalnum, value)):
                continue
            # A server may quote a percent sign as it was sent, or take it for an encoding.
            readings = {_lower(value)} if "%" not in value else {_lower(value), _fold(value)[0]}
            for folded in map(str.strip, readings):
                self.by_head.setdefault(folded[:_HEAD], []).append((folded, name))
            if re.fullmatch(_NUMBER, value.lstrip("+")):
                number = _digits(value)
                self.numbers.setdefault(number[-_DIGITS:], []).append((number, name))
        self.sizes = sorted({len(head) for head in self.by_head}, reverse=True)


def _texts_in(folded: str, values: _Values) -> Iterator[tuple[int, int, str]]:
    """Yield where a value begins and ends in a text, and its name; they do not overlap."""
    paths = {found.start(): found.end() for found in re.finditer(_PATH, folded)}
    at = 0
    while at < len(folded):
        if at in paths:
            at = paths[at]
            continue
        sizes = values.sizes if _is_edge(folded, at) else ()
        ends = (_text_at(folded, at, size, values) for size in sizes)
        found = next(filter(None, ends), None)
        if found is not None:
            yield at, *found
        at = at + 1 if found is None else found[0]


def _text_at(folded: str, at: int, size: int, values: _Values) -> tuple[int, str] | None:
    """Return where a value ends that begins at a place with a head of a size, and its name."""
    ends: list[tuple[int, str]] = []
    for value, name in values.by_head.get(folded[at : at + size], ()):
        # A long value is replaced as far as the text repeats it: the text may be cut.
        pairs = zip(value, folded[at:], strict=False)
        end = at + sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        if size == _HEAD or _is_edge(folded, end):
            ends.append((end, name))
    return max(ends, default=None)


def _is_edge(text: str, at: int) -> bool:
    """Return whether no word goes through a place of a text."""
    return not (0 < at < len(text) and _is_word(text[at - 1]) and _is_word(text[at]))


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _numbers_in(folded: str, values: _Values) -> Iterator[tuple[int, int, str]]:
    """Yield where a long number begins and ends in a text in another spelling, and its name."""
    for found in re.finditer(_NUMBER, folded) if values.numbers else ():
        said = _digits(found[0])
        for end in range(_DIGITS, len(said) + 1):
            for number, name in values.numbers.get(said[end - _DIGITS : end], ()):
                # Without the country code there can be a zero in its place.
                is_local = end == len(said) and number.endswith(said.lstrip("0"))
                if is_local or said[:end].endswith(number):
                    yield found.start(), found.end(), name


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


def private_values(values: Mapping[str, str], paths: AbstractSet[str] | None) -> dict[str, str]:
    """Return those of the values that were sent which no error may repeat.

    Args:
        values: The values, by the names of their parameters.
        paths: The paths of the private parameters; None if the parameters have no types.
    """
    if paths is None:
        return {n: text for n, text in values.items() if is_private_by_look(n, text)}
    return {name: text for name, text in values.items() if _is_below(name, paths)}


def _is_below(name: str, paths: AbstractSet[str]) -> bool:
    path = re.sub(_INDEX, "[]", name)
    return path in paths or any(path.startswith(f"{above}[") for above in paths)


def is_private_by_look(name: str, value: str) -> bool:
    """Return whether a value counts as private if no type says what it is.

    Args:
        name: The name of its parameter or field, with those that it is in.
        value: The value, as text.
    """
    return has_personal_name(name) or not is_api_value(value)


def has_personal_name(name: str) -> bool:
    """Return whether a field of this name, with those that it is in, holds data about a person.

    Args:
        name: Such as `address[city]`.
    """
    return re.search(_PERSONAL, name) is not None


def is_api_value(text: str) -> bool:
    """Return whether a text is a word of the API, or an id such as `cus_A1`.

    Args:
        text: Any text.
    """
    return re.fullmatch(_API_VALUE, text) is not None


def clean_request_id(value: str | None) -> str | None:
    """Return a request id that is safe to print, or None if `value` is not one.

    Args:
        value: The `Request-Id` header, as it came.
    """
    return value if value is not None and re.fullmatch(_REQUEST_ID, value) else None


def redact_fact(name: str, text: str, private: Mapping[str, str]) -> str:
    """Return a fact of an error without the private values, unless it is a name of the API.

    A program acts on such a name, so it must not depend on what was sent: the parameter `file`
    stays `file` even if a file called "file" was sent.

    Args:
        name: The name of the fact, such as `code`.
        text: The fact.
        private: The private values that were sent, by the names of their parameters.
    """
    is_name = name in ("type", "code", "param") and re.fullmatch(_API_NAME, text)
    return text if is_name else redact(text, private)
