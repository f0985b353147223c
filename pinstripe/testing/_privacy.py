"""What of requests and answers is private, and how it becomes placeholders.

- A parameter is private if its type says so; without types, by how it looks.
- A field of an answer is private if the model says so. An object says by its `object` which model
  it is of. What no model knows (newer fields, other objects) is private by its name or its look.
- A secret, such as a client secret or a key, is private wherever it is.
- In prose, such as the message of an error, each value that is private anywhere in the cassette is
  replaced; in a message email addresses and long numbers are replaced too.
- Words and ids of the API stay, so that ids match.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any, Final, TypeVar, cast, get_args, get_origin, get_type_hints

from pinstripe._core.redaction import (
    SECRET,
    has_personal_name,
    is_api_value,
    is_private_by_look,
    redact,
    redact_fact,
)
from pinstripe._models.record import Model, Record, is_private
from pinstripe.testing._placeholders import Placeholders, placeholder_in

_PRODUCTS: Final = ("crypto", "events", "forwarding", "webhook_endpoints")
"""The modules with models; `events` imports the others. All are slow, so only when needed."""

_LONGEST: Final = 4096
_KEY: Final = re.compile(r"[A-Za-z_][\w.-]{0,63}|[0-9]{1,3}", re.ASCII)
_ID: Final = re.compile(r"[a-z]{2,}_(?=\w*[A-Z0-9])\w+", re.ASCII)
_PERSONAL: Final = re.compile(
    r"[^\s@\"'<>(),;:]+@[\w.-]*\w|(?<!\w)[0-9](?:[ ().\-/]{0,3}[0-9]){6,}(?!\w)"
)

# https://docs.stripe.com/api/errors
_FACTS: Final = frozenset(("type", "code", "decline_code", "param", "doc_url", "message"))


@cache
def _models() -> Mapping[str, list[type[Any]]]:
    """Return the models by the `object` of their objects."""
    for product in _PRODUCTS:
        import_module(f"pinstripe.{product}")
    found: dict[str, list[type[Any]]] = {}
    waiting: list[type[Any]] = list(Model.__subclasses__())
    for model in waiting:
        struct: Any = model
        names, defaults = struct.__struct_fields__, struct.__struct_defaults__
        kind = dict(zip(reversed(names), reversed(defaults), strict=False)).get("object")
        if isinstance(kind, str):
            found.setdefault(kind, []).append(model)  # its subclasses have the same fields
        else:
            waiting += model.__subclasses__()
    return found


def _models_of(value: Any) -> list[type[Any]]:
    """Return the models that an object says it is of."""
    kind = cast("dict[str, Any]", value).get("object") if isinstance(value, dict) else None
    return _models().get(kind, []) if isinstance(kind, str) else []


def _types(models: list[type[Any]]) -> dict[str, Any]:
    """Return the types of the fields of models; one that is private in any of them is private."""
    types: dict[str, Any] = {}
    for model in models:
        for name, hint in get_type_hints(model, include_extras=True).items():
            if name not in types or is_private(hint):
                types[name] = hint
    return types


def _records(hint: Any) -> Iterator[type[Any]]:
    """Yield the models that a value of a type can be, but not those of its items."""
    if isinstance(hint, type) and get_origin(hint) is None and issubclass(hint, Record):
        yield hint
    origin = get_origin(hint)
    if isinstance(origin, type) and issubclass(origin, Record):
        yield origin
    elif origin not in (tuple, dict):
        for option in get_args(hint):
            yield from _records(option)


def _inside(hint: Any, container: type[Any]) -> Any:
    """Return the type of the items of a tuple or of the values of a dict; None if it has none."""
    options = (hint, *get_args(hint))
    found = next((each for each in options if get_origin(each) is container), None)
    inner = get_args(found)[0 if container is tuple else 1] if found else None
    return None if inner is Any or isinstance(inner, TypeVar) else inner


class Redactor:
    """Puts placeholders in place of what is private.

    Prose can repeat a value that only turns out to be private later. So everything is redacted
    twice with the same redactor: the second time, it knows every value.
    """

    def __init__(self) -> None:
        self._placeholders = Placeholders()
        self.text_for: Callable[[str, Any], str] = self._placeholders.text_for

    def params(self, value: Any, is_private: Callable[[str, Any], bool], path: str = "") -> Any:
        """Return parameters without private values.

        Args:
            value: The parameters, or a part of them.
            is_private: Returns whether a value is private, by its path.
            path: The path of that part.
        """
        if isinstance(value, dict):
            return {
                self._key(key): self.params(inner, is_private, joined(path, key))
                for key, inner in cast("dict[str, Any]", value).items()
            }
        if isinstance(value, list):
            items = enumerate(cast("list[Any]", value))
            return [self.params(item, is_private, f"{path}[{n}]") for n, item in items]
        if is_private(path, value) or placeholder_in(value):
            return self.text_for(name_in(path), value)
        return value

    def ids(self, ids: list[str]) -> list[str]:
        """Return ids of a path; those that are none of the API's own become placeholders.

        Args:
            ids: The ids.
        """
        return [each if is_public_id(each) else self.text_for("id", each) for each in ids]

    def answer(self, value: Any) -> Any:
        """Return the JSON of an answer without private values.

        Args:
            value: The body.
        """
        body = cast("dict[str, Any]", value if isinstance(value, dict) else {})
        error = None if "object" in body else body.get("error")
        if not isinstance(error, dict):
            return self._public(value, None, "")
        told = {
            name: self._fact(name, fact) if name in _FACTS else self._public(fact, None, name)
            for name, fact in cast("dict[str, Any]", error).items()
        }
        return {**self._public({**body, "error": {}}, None, ""), "error": told}

    def message(self, text: str) -> str:
        """Return a message about a call without private values.

        Args:
            text: The message.
        """
        found = self.prose(text)
        return _PERSONAL.sub(lambda each: self.text_for("value", each[0]), found)

    def _fact(self, name: str, fact: Any) -> Any:
        if not isinstance(fact, str):
            return self._public(fact, None, name)
        if name == "message":
            return self.message(fact)
        return self._without_secrets(redact_fact(name, fact, self._placeholders.texts))

    def _key(self, key: str) -> str:
        """Return the name of a field, which in metadata is of the user's own choice."""
        return key if _is_plain(key) else self.text_for("key_name", key)

    def prose(self, text: str) -> str:
        """Return a text of the API without private values.

        Args:
            text: The text.
        """
        if len(text) > _LONGEST:  # `redact` reads no longer ones
            return self.text_for("text", text)
        return self._without_secrets(redact(text, self._placeholders.texts))

    def _without_secrets(self, text: str) -> str:
        return SECRET.sub(
            lambda found: self.text_for("secret", found[0]) if _is_secret(found) else found[0],
            text,
        )

    def _public(self, value: Any, hint: Any, path: str) -> Any:
        """Return a value of a type that is not private; without a type, looks decide."""
        if isinstance(value, dict):
            return self._object(cast("dict[str, Any]", value), hint, path)
        if isinstance(value, list):
            inner = _inside(hint, tuple)
            items = enumerate(cast("list[Any]", value))
            return [self._public(item, inner, f"{path}[{n}]") for n, item in items]
        return value if value is None or value == "" else self._scalar(value, hint, path)

    def _scalar(self, value: Any, hint: Any, path: str) -> Any:
        is_text, name = isinstance(value, str), name_in(path)
        is_private = hint is None and self._looks_private(path, value)
        if is_private or placeholder_in(value) or (is_text and name == "idempotency_key"):
            return self.text_for(name, value)
        is_prose = is_text and (holds_secret(value) or " " in value or not value.isprintable())
        return self.prose(value) if is_prose else value

    def _looks_private(self, path: str, value: Any) -> bool:
        # A number says nothing about anybody unless its name does.
        if not isinstance(value, str):
            return has_personal_name(path)
        return is_private_by_look(path, value) or self.is_known(name_in(path), value)

    def is_known(self, name: str, value: Any) -> bool:
        """Return whether a value is private elsewhere, and no id of the API: those have to match.

        Args:
            name: The name of its parameter or field.
            value: The value.
        """
        return self._placeholders.knows(name, value) and not _ID.fullmatch(str(value))

    def _object(self, value: dict[str, Any], hint: Any, path: str) -> dict[str, Any]:
        models = [*_records(hint), *_models_of(value)]
        if not models:
            inner = _inside(hint, dict)
            return {
                self._key(key): self._public(item, inner, joined(path, key))
                for key, item in value.items()
            }
        if any(model.__name__ == "EventData" for model in models):
            return self._event_data(value)
        types = _types(models)
        # The path begins anew: the name of an object says nothing about its fields.
        return {
            self._key(key): self._field(joined("", key), item, types.get(key))
            for key, item in value.items()
        }

    def _field(self, name: str, value: Any, hint: Any) -> Any:
        if hint is None or not is_private(hint):
            return self._public(value, hint, name)
        return self._private(value, name)

    def _event_data(self, value: dict[str, Any]) -> dict[str, Any]:
        """Return the data of an event, whose object says by itself what in it is private."""
        about = value.get("object")
        kind = cast("dict[str, Any]", about).get("object") if isinstance(about, dict) else None
        earlier = value.get("previous_attributes")
        data = {name: self._public(item, None, name) for name, item in value.items()}
        if isinstance(earlier, dict) and isinstance(kind, str):
            # They are fields of that object, of which they have no name.
            whole = self._object({**cast("dict[str, Any]", earlier), "object": kind}, None, "")
            data["previous_attributes"] = {n: it for n, it in whole.items() if n in earlier}
        return data

    def _private(self, value: Any, name: str) -> Any:
        """Return a value of which every part is private; its shape stays."""
        if isinstance(value, dict):
            inside = cast("dict[str, Any]", value)
            return {
                self._key(key): self._private(item, name_in(joined(name, key)))
                for key, item in inside.items()
            }
        if isinstance(value, list):
            return [self._private(item, name) for item in cast("list[Any]", value)]
        return value if value is None or value == "" else self.text_for(name, value)


def joined(path: str, key: str) -> str:
    """Return the path of a part, as the API writes it: `metadata[user]`.

    Args:
        path: The path of the whole; empty at the top.
        key: The key of the part; one that can be private does not become part of the path.
    """
    name = key if _is_plain(key) else "private_name"
    return f"{path}[{name}]" if path else name


def holds_secret(text: str) -> bool:
    """Return whether a secret, such as a key of the API, is in a text.

    Args:
        text: Any text.
    """
    return any(map(_is_secret, SECRET.finditer(text)))


def _is_secret(found: re.Match[str]) -> bool:
    # Names of the API can look like one, such as `require_live_capture`.
    text = found[0]
    is_name = text.islower() and not any(map(str.isdigit, text))
    return found[1] is None and (not is_name or text.startswith(("sk_", "rk_", "whsec_")))


def _is_plain(key: str) -> bool:
    return _KEY.fullmatch(key) is not None and not holds_secret(key)


def name_in(path: str) -> str:
    """Return the last name in a path: `user` in `metadata[user][0]`.

    Args:
        path: The path.
    """
    names = [part for part in re.split(r"[\[\]]+", path) if part and not part.isdigit()]
    return names[-1] if names else "value"


def is_public_id(id: str) -> bool:
    """Return whether an id in a path is one of the API's own.

    Args:
        id: The id.
    """
    return is_api_value(id) and not holds_secret(id)
