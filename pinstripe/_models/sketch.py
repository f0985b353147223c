"""A first attrs class for the answers of an endpoint, written from answers that were recorded.

The class structures the answers that it was made from, and is there to be edited. Of the answers it
shows the names of fields and their types, and no value but the words of `object`. Choices:

- A field that is null or missing in an answer has the default None.
- A whole number under a name such as `created` or `paid_at` is a time, if it can be one of this
  century; text under a name that ends with `_decimal` is a Decimal.
- An object is a class of its own, named by its `object` or its field. Objects with other words in
  `object` are other classes, which make a union. Metadata, and an object with keys that are not
  written as the API writes its fields, is a dict. A list with pages is a `pinstripe.Page`.
- A field that by its name can hold data about a person is left out of the repr, and so of exports.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from attrs import define, field

from pinstripe._core.checks import kind_of
from pinstripe._core.errors import ConfigurationError
from pinstripe._core.redaction import has_personal_name
from pinstripe._models.misfits import FIELD

_Object: TypeAlias = Mapping[str, Any]

_WORD: Final = r"[a-z][a-z0-9_.]{0,63}"
_DECIMAL: Final = r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?"
_TIME: Final = r"(?:.*_)?(?:created|updated|at|on|date|start|end|after|before|until|timestamp)"
_TIMES: Final = range(946_684_800, 4_102_444_800)  # from 2000 to 2100

# What the text of a class uses: a field of such a name would hide it from the fields below.
_USED: Final = {
    *("Any", "Decimal", "Literal", "Page", "bool", "datetime", "dict", "field", "float"),
    *("frozen", "int", "self", "str", "tuple"),
}
_IMPORTS: Final = {
    "datetime": "datetime",
    "Decimal": "decimal",
    "Any": "typing",
    "Literal": "typing",
    "field": "attrs",
    "frozen": "attrs",
    "Page": "pinstripe",
}


def sketch(name: str, data: Any) -> str:
    """Return the source of a first attrs class for an answer, with the classes of what is in it.

        print(pinstripe.sketch("Refund", response.json()))

    The more answers it sees, the better it knows which fields can be missing. It shows no value of
    them. See the guide "Any other endpoint".

    Args:
        name: The name of the class.
        data: An answer as plain data, a list of several, or a page, whose objects are several.

    Raises:
        ConfigurationError: The name is none of Python, or there is no object in the data.
    """
    check_class_name(name)
    answers = _objects_of(data)
    try:
        writer = _Writer({*_USED, name, *_keys_of(answers)})
        writer.write_class(name, answers)
    except RecursionError:
        raise ConfigurationError("data", "is nested too deeply") from None
    return writer.source()


def check_class_name(name: object) -> None:
    """Refuse what cannot be the name of a class that `sketch` writes.

    Args:
        name: The name.

    Raises:
        ConfigurationError: It is none of Python, or one that the class needs itself.
    """
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise ConfigurationError("name", "must be the name of a class, such as Refund")
    if name in _USED:
        raise ConfigurationError("name", f"must be another name: the class needs {name} itself")


def _objects_of(data: object) -> list[_Object]:
    items: object = data
    if isinstance(data, Mapping):
        answer = cast("_Object", data)
        items = answer.get("data") if answer.get("object") == "list" else [answer]
    if not isinstance(items, Sequence) or isinstance(items, (str, bytes)):
        wrong = kind_of(cast("object", data))
        raise ConfigurationError("data", f"must be an answer as plain data, not {wrong}")
    given = cast("Sequence[Any]", items)
    if not given or not all(isinstance(item, Mapping) for item in given):
        raise ConfigurationError("data", "must have at least one object, and nothing else")
    return list(given)


def _keys_of(value: Any) -> Iterable[str]:
    """Yield the names of all fields: a class that has one of them would be hidden by it."""
    if isinstance(value, Mapping):
        given = cast("_Object", value)
        yield from given
        value = list(given.values())
    if isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _keys_of(item)


@define
class _Writer:
    """Writes classes, each behind those that it uses.

    Attributes:
        taken: The names that no other class may have.
        classes: The texts of the classes.
    """

    taken: set[str]
    classes: list[str] = field(factory=list[str], init=False)

    def source(self) -> str:
        """Return the whole text."""
        text = "\n\n\n".join(self.classes)
        used = [name for name in _IMPORTS if re.search(rf"\b{name}\b", text)]
        modules: dict[str, list[str]] = {}
        for name in used:
            modules.setdefault(_IMPORTS[name], []).append(name)
        lines = {one: f"from {one} import {', '.join(modules[one])}" for one in modules}
        others = [lines.pop(one) for one in ("attrs", "pinstripe") if one in lines]
        blocks = ["\n".join(lines.values()), "\n".join(others)]
        return "\n\n".join(filter(None, blocks)) + f"\n\n\n{text}\n"

    def write_class(self, name: str, samples: Sequence[_Object]) -> None:
        """Write the class of some objects."""
        lines: list[str] = []
        keys = list(dict.fromkeys(key for sample in samples for key in sample))
        kept = [key for key in keys if re.fullmatch(FIELD, key) and self._is_free(key)]
        for key in kept:
            # What is missing counts as null: both are None.
            values = [sample.get(key) for sample in samples]
            lines.append(f"    {key}: {self._field(key, values, name)}")
        if len(kept) < len(keys):
            lines.append(f"    # Keys that cannot be names of fields: {len(keys) - len(kept)}.")
        if not kept:
            lines.append("    pass")
        body = "\n".join(lines)
        self.classes.append(f"@frozen(kw_only=True)\nclass {name}:\n{body}")

    def _is_free(self, key: str) -> bool:
        return key not in _USED and not keyword.iskeyword(key)

    def _field(self, key: str, values: Sequence[Any], owner: str) -> str:
        kind = self._type(key, values, owner)
        is_word = key == "object" and kind.startswith("Literal[") and "," not in kind
        default = kind[len("Literal[") : -1] if is_word and kind.endswith("]") else None
        if any(value is None for value in values):
            default = "None"
        if not has_personal_name(key):
            return kind if default is None else f"{kind} = {default}"
        return f"{kind} = field({'' if default is None else f'default={default}, '}repr=False)"

    def _type(self, key: str, values: Sequence[Any], owner: str) -> str:
        """Return the type of some values that have the same place."""
        parts: list[str] = []
        objects = [cast("_Object", value) for value in values if isinstance(value, Mapping)]
        if objects:
            parts += self._object_types(key, objects, owner)
        lists = [cast("list[Any]", value) for value in values if isinstance(value, list)]
        if lists:
            items = [item for one in lists for item in one]
            parts.append(f"tuple[{self._type(key.removesuffix('s'), items, owner)}, ...]")
        parts += _plain_types(key, values)
        parts = parts or ["Any"]
        return " | ".join([*parts, "None"] if any(value is None for value in values) else parts)

    def _object_types(self, key: str, objects: Sequence[_Object], owner: str) -> list[str]:
        names = {name for one in objects for name in one}
        is_open = any(not re.fullmatch(FIELD, name) for name in names)
        if is_open or key == "metadata" or not names:
            values = [value for one in objects for value in one.values()]
            return [f"dict[str, {self._type(key, values, owner)}]"]
        if all(map(_is_page, objects)):
            items = [item for one in objects for item in one["data"]]
            return [f"Page[{self._type(key.removesuffix('s'), items, owner)}]"]
        groups: dict[str, list[_Object]] = {}
        for one in objects:
            groups.setdefault(_word_of(one), []).append(one)
        if "" in groups:  # nothing tells these from the others
            groups = {"": list(objects)}
        kinds: list[str] = []
        for word, group in groups.items():
            kinds.append(self._new_name(word or key, owner))
            self.write_class(kinds[-1], group)
        return kinds

    def _new_name(self, key: str, owner: str) -> str:
        camel = "".join(part[:1].upper() + part[1:] for part in re.split(r"[_.]+", key))
        tries = [camel, owner + camel, *(f"{owner}{camel}{number}" for number in range(2, 1000))]
        name = next(one for one in tries if one not in self.taken and not keyword.iskeyword(one))
        self.taken.add(name)
        return name


def _plain_types(key: str, values: Sequence[Any]) -> list[str]:
    """Return the types of those of some values that are neither null nor objects nor lists."""
    texts = [value for value in values if isinstance(value, str)]
    numbers = [
        value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]
    parts: list[str] = []
    if texts and key == "object" and all(re.fullmatch(_WORD, text) for text in texts):
        parts.append("Literal[" + ", ".join(f'"{word}"' for word in dict.fromkeys(texts)) + "]")
    elif texts:
        is_decimal = not numbers and key.endswith("_decimal")
        is_decimal = is_decimal and all(re.fullmatch(_DECIMAL, text) for text in texts)
        parts.append("Decimal" if is_decimal else "str")
    if any(isinstance(value, bool) for value in values):
        parts.append("bool")
    if numbers:
        is_time = not texts and re.fullmatch(_TIME, key) is not None
        is_time = is_time and all(isinstance(one, int) and one in _TIMES for one in numbers)
        has_float = any(isinstance(one, float) for one in numbers)
        parts.append("datetime" if is_time else "float" if has_float else "int")
    return parts


def _is_page(value: _Object) -> bool:
    known = value.get("object") == "list" and isinstance(value.get("data"), list)
    url = value.get("url")
    return known and isinstance(value.get("has_more"), bool) and (url is None or type(url) is str)


def _word_of(value: _Object) -> str:
    """Return the word that says what an object is; empty if it has none."""
    word = value.get("object")
    return word if isinstance(word, str) and re.fullmatch(_WORD, word) else ""
