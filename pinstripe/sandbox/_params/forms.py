"""Decodes `a[b][c]=v` forms, from query strings and bodies, into nested plain values.

A form is a list of pairs; the brackets of a name are a path. `decode` turns the pairs into a tree:
a `dict` for `a[b]`, a `list` for `a[]`, a `str` at each leaf. `a[0]` and `a[1]` stay a dict with
the keys "0" and "1", since only the schema knows whether the parameter is an array or a map
(`metadata[0]` is a map); `as_array` reads such a dict as an array.

The decoder shares nothing with the client's encoder. It refuses broken percent escapes, bytes that
are not UTF-8, broken brackets, and a name that is used both as text and as an object: a guess would
hide a bug of the sender. It takes time linear in the input. `from_json` reads JSON into the same
tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, cast
from urllib.parse import unquote_to_bytes

from attrs import field, frozen

from pinstripe.sandbox._params.errors import Refusal, invalid


@frozen
class Upload:
    """A file in a body.

    Attributes:
        filename: The name that the sender gave.
        type: The media type that the sender gave.
        data: The bytes.
    """

    filename: str
    type: str
    data: bytes = field(repr=False)


Tree: TypeAlias = "str | Upload | list[str] | dict[str, Tree]"
Form: TypeAlias = "dict[str, Tree]"

# These bounds are the sandbox's own: far above what the API needs, and low enough that a hostile
# request costs little.
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
            ways, and for more than 1000 pairs or 8 levels of brackets.
    """
    form: Form = {}
    if text.count("&") >= MAX_PAIRS:
        raise invalid(f"The request has more than {MAX_PAIRS} parameters.")
    for pair in text.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            insert(form, _unescape(name), _unescape(value))
    return form


def insert(form: Form, name: str, value: str | Upload) -> None:
    """Put a value into a form, at the path that the brackets of a name spell.

    Raises:
        Refusal: 400, for a name with broken brackets or one that is used in two ways.
    """
    # `a[b]=v` sets a key of a dict, `a[b][]=v` appends to a list. A path is text, a list or a
    # dict for the whole form: a second use as something else is refused.
    *parents, last = split_name(name)
    if "" in parents:
        raise invalid("Empty brackets are only accepted at the end of a name.", param=name)
    if last:
        node = _descend(form, name, parents)
        if not isinstance(node.get(last, ""), (str, Upload)):
            raise _two_ways(name)
        # Of a repeated name the last value counts.
        node[last] = value
        return
    *parents, last = parents
    items = _descend(form, name, parents).setdefault(last, [])
    if not isinstance(items, list) or isinstance(value, Upload):
        raise _two_ways(name)
    items.append(value)


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
    path = [name]
    if root.end() < len(name):
        path = [root.group(), *name[root.end() + 1 : -1].split("][")]
    if len(path) > MAX_DEPTH:
        raise invalid(f"The parameter is nested more than {MAX_DEPTH} levels deep.", param=name)
    return path


def as_array(tree: Tree) -> list[Tree] | None:
    """Read a tree as an array.

    Returns:
        The elements of a list. For a dict whose keys are all indexes, its values in the order of
        the indexes; gaps are closed. None for anything else.
    """
    if isinstance(tree, list):
        return list(tree)
    if isinstance(tree, dict) and all(_is_index(key) for key in tree):
        return [tree[key] for key in sorted(tree, key=int)]
    return None


def from_json(value: object) -> Form:
    """Read a JSON object into the tree that a form with the same content gives; null is "".

    Raises:
        Refusal: 400, if the value is not an object or is nested too deeply.
    """
    if not isinstance(value, dict):
        raise invalid("The body must be a JSON object.")
    return dict(_branches(cast("dict[object, object]", value).items(), 0))


def _is_index(key: str) -> bool:
    return key.isascii() and key.isdigit() and len(key) <= MAX_INDEX_DIGITS


def _unescape(text: str) -> str:
    text = text.replace("+", " ")
    if "%" in text or not text.isascii():
        # Bytes of a body that are not UTF-8 arrive here as surrogates; `checked_text` refuses them.
        raw = text.encode("utf-8", "surrogateescape")
        if _BROKEN_ESCAPE.search(raw):
            raise invalid(
                "The request has a % without two hexadecimal digits after it.",
                code="invalid_characters",
            )
        return checked_text(unquote_to_bytes(raw))
    if "\0" in text:
        raise _bad_characters()
    return text


def _bad_characters() -> Refusal:
    return invalid(
        "The request must be UTF-8 text without null characters.", code="invalid_characters"
    )


def _descend(form: Form, name: str, path: Sequence[str]) -> Form:
    node = form
    for part in path:
        inner = node.setdefault(part, {})
        if not isinstance(inner, dict):
            raise _two_ways(name)
        node = inner
    return node


def _two_ways(name: str) -> Refusal:
    return invalid(f"The parameter has a value and values below it: {name[:100]}", param=name)


def _tree(value: object, depth: int) -> Tree:
    if depth > MAX_DEPTH:
        raise invalid(f"The body is nested more than {MAX_DEPTH} levels deep.")
    if isinstance(value, Mapping):
        return dict(_branches(cast("Mapping[object, object]", value).items(), depth))
    if isinstance(value, (list, tuple)):
        return dict(_branches(enumerate(cast("Sequence[object]", value)), depth))
    # `str(True)` is "True", but a form says "true".
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _branches(items: Iterable[tuple[Any, Any]], depth: int) -> Iterator[tuple[str, Tree]]:
    for key, item in items:
        yield str(key), _tree(item, depth + 1)
