"""Decodes `a[b][c]=v` forms, from query strings and bodies, into nested plain values.

A form is a list of pairs; the brackets of a name are a path. This room turns the pairs into a
tree: a `dict` for `a[b]`, a `list` for `a[]`, a `str` at each leaf. `a[0]` and `a[1]` stay a dict
with the keys "0" and "1", since only the reader knows whether an array or a map is meant
(`metadata[0]` is a map); `as_array` reads such a dict as an array.

The decoder shares nothing with the client's encoder. It is strict where guessing would hide a
bug of the sender (broken percent escapes, UTF-8, brackets, a name used as text and as an object),
and works in time linear in the input. JSON is read into the same tree by `from_json`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias, cast
from urllib.parse import unquote_to_bytes

import attrs

from pinstripe.sandbox._params.errors import Refusal, invalid


@attrs.frozen
class Upload:
    """A file in a body.

    Args:
        filename: the name that the sender gave.
        type: media type that the sender gave.
        data: the bytes.
    """

    filename: str
    type: str
    data: bytes = attrs.field(repr=False)


Tree: TypeAlias = "str | Upload | list[str] | dict[str, Tree]"
Form: TypeAlias = "dict[str, Tree]"

MAX_PAIRS = 1000
MAX_DEPTH = 8
MAX_NAME = 1000
MAX_INDEX_DIGITS = 4

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ROOT = re.compile(r"[^\[\]]+")
_BRACKETS = re.compile(r"(?:\[[^\[\]]*\])*")


def decode(text: str) -> Form:
    """Decode one form.

    Args:
        text: `application/x-www-form-urlencoded`, without a leading question mark.

    Returns:
        The parameters; a name without `=` has the value "".

    Raises:
        Refusal: 400, for broken escapes, UTF-8 or brackets, for a name that is used in two
            ways, and beyond 1000 pairs or 8 levels of brackets.
    """
    form: Form = {}
    if text.count("&") >= MAX_PAIRS:
        raise invalid(f"The request has more than {MAX_PAIRS} parameters.")
    for piece in text.split("&"):
        if piece:
            name, _, value = piece.partition("=")
            insert(form, _unescape(name), _unescape(value))
    return form


def insert(form: Form, name: str, value: str | Upload) -> None:
    """Put a value into a form, at the path that the brackets of a name spell.

    Raises:
        Refusal: 400, for a name with broken brackets or one that is used in two ways.
    """
    *parents, last = split_name(name)
    if "" in parents:
        raise invalid("Empty brackets are only understood at the end of a name.", param=name)
    if last == "":
        _append(form, name, parents, value)
        return
    node = _descend(form, name, parents)
    if not isinstance(node.get(last, ""), (str, Upload)):
        raise _two_ways(name)
    node[last] = value


def checked_text(raw: bytes) -> str:
    """Return text that has to be UTF-8 without NUL.

    Raises:
        Refusal: 400, for other bytes.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _bad_characters() from None
    if "\0" in text:
        raise _bad_characters()
    return text


def split_name(name: str) -> list[str]:
    """Split `a[b][0]` into `["a", "b", "0"]`; the part of `[]` is "".

    Raises:
        Refusal: 400, for a name whose brackets do not pair or that is nested too deeply.
    """
    root = _ROOT.match(name)
    if len(name) > MAX_NAME or root is None or not _BRACKETS.fullmatch(name, root.end()):
        raise invalid(f"Invalid parameter name: {name[:100]}", param=name)
    path = (
        [root.group(), *name[root.end() + 1 : -1].split("][")] if root.end() < len(name) else [name]
    )
    if len(path) > MAX_DEPTH:
        raise invalid(f"The parameter is nested more than {MAX_DEPTH} levels deep.", param=name)
    return path


def bracketed(path: Sequence[str]) -> str:
    """Join `["a", "b", "0"]` to `a[b][0]`."""
    return path[0] + "".join(f"[{part}]" for part in path[1:])


def as_array(tree: Tree) -> list[Tree] | None:
    """Read a tree as an array.

    Returns:
        The elements of a list, or those of a dict whose keys are all indexes, by index with
        gaps closed; None for anything else.
    """
    if isinstance(tree, list):
        return list(tree)
    if isinstance(tree, dict) and all(_is_index(key) for key in tree):
        return [tree[key] for key in sorted(tree, key=int)]
    return None


def from_json(value: object) -> Form:
    """Read a JSON object into the tree that a form with the same content gives; null is "".

    Raises:
        Refusal: 400, when the value is not an object or is nested too deeply.
    """
    if not isinstance(value, dict):
        raise invalid("The body must be a JSON object.")
    return dict(_branches(cast("dict[Any, object]", value).items(), 0))


def _is_index(key: str) -> bool:
    return key.isascii() and key.isdigit() and len(key) <= MAX_INDEX_DIGITS


def _unescape(text: str) -> str:
    text = text.replace("+", " ")
    if "%" in text or not text.isascii():
        return _unescape_bytes(text.encode("utf-8", "surrogateescape"))
    if "\0" in text:
        raise _bad_characters()
    return text


def _unescape_bytes(raw: bytes) -> str:
    if _BROKEN_ESCAPE.search(raw):
        raise invalid("The request holds a broken percent escape.", code="invalid_characters")
    return checked_text(unquote_to_bytes(raw))


def _bad_characters() -> Refusal:
    return invalid("The request must be UTF-8 without NUL.", code="invalid_characters")


def _append(form: Form, name: str, path: Sequence[str], value: str | Upload) -> None:
    *parents, last = path
    items = _descend(form, name, parents).setdefault(last, [])
    if not isinstance(items, list) or isinstance(value, Upload):
        raise _two_ways(name)
    items.append(value)


def _descend(form: Form, name: str, path: Sequence[str]) -> Form:
    node = form
    for part in path:
        inner = node.setdefault(part, {})
        if not isinstance(inner, dict):
            raise _two_ways(name)
        node = inner
    return node


def _two_ways(name: str) -> Refusal:
    return invalid(f"The parameter is given in two ways: {name[:100]}", param=name)


def _tree(value: object, depth: int) -> Tree:
    if depth > MAX_DEPTH:
        raise invalid(f"The body is nested more than {MAX_DEPTH} levels deep.")
    if isinstance(value, Mapping):
        return dict(_branches(cast("Mapping[Any, object]", value).items(), depth))
    if isinstance(value, (list, tuple)):
        items = enumerate(cast("Sequence[object]", value))
        return dict(_branches(items, depth))
    return _leaf(value)


def _branches(items: Any, depth: int) -> Iterator[tuple[str, Tree]]:
    for key, item in items:
        yield str(key), _tree(item, depth + 1)


def _leaf(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
