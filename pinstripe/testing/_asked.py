"""What a request asks for: what is recorded of it, and what a replay compares."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from attrs import field, frozen

from pinstripe._core.redaction import private_values
from pinstripe._http.acting import named_in
from pinstripe._http.messages import Request
from pinstripe._resources.multipart import Multipart
from pinstripe.testing._placeholders import Values, as_text, placeholder_in
from pinstripe.testing._privacy import Redactor, holds_secret, is_public_id, joined, name_in
from pinstripe.testing._requests import ids_of, params_of, path_pattern, upload_of
from pinstripe.testing._tape import RecordedRequest

_pattern = cache(path_pattern)


@frozen(repr=False)
class Asked:
    """What a request asks for.

    Attributes:
        request: The request.
        params: Its parameters, nested.
        content: The file that it uploads.
        ids: The ids in its path, in order.
    """

    request: Request
    params: dict[str, Any]
    content: bytes | None
    ids: list[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        # A template without placeholders has no ids, also if it is not the whole path.
        ids = ids_of(self.request, _pattern(self.request.template))
        object.__setattr__(self, "ids", ids or [])

    @property
    def key(self) -> str | None:
        """The idempotency key."""
        return self.request.idempotency_key

    @property
    def _untyped(self) -> bool:
        return self.request.private_paths() is None

    def is_private(self, path: str, value: Any) -> bool:
        """Return whether a parameter is private.

        Args:
            path: Its path, such as `metadata[user]`.
            value: Its value.
        """
        text = "" if value is None else as_text(value)
        private = private_values({path: text}, self.request.private_paths())
        return bool(text) and (bool(private) or holds_secret(text))

    def recorded(self, redactor: Redactor) -> RecordedRequest:
        """Return what the file holds of it.

        Args:
            redactor: Puts placeholders in place of what is private.
        """

        def is_private(path: str, value: Any) -> bool:
            # Without types, a word of the API can be what is private elsewhere.
            is_known = self._untyped and redactor.is_known(name_in(path), value)
            return is_known or self.is_private(path, value)

        account, context = named_in(self.request.headers)
        return RecordedRequest(
            call=self.request.call,
            host=self.request.host,
            ids=redactor.ids(self.ids),
            account=account,
            context=context,
            params=redactor.params(self.params, is_private),
            key=self.key and redactor.text_for("key", self.key),
            content=None if self.content is None else redactor.text_for("content", self.content),
        )

    def differences(self, recorded: RecordedRequest, values: Values) -> list[str]:
        """Return in what it differs from a recorded request; without private values.

        Args:
            recorded: The recorded request.
            values: What placeholders stand for; what this request has in their place is added.
        """
        account, context = named_in(self.request.headers)
        facts = {
            "call": (self.request.call, recorded.call),
            "host": (self.request.host, recorded.host),
            "account": (account, recorded.account),
            "context": (context, recorded.context),
        }
        found = [f"{name} is {a!r}, not {b!r}" for name, (a, b) in facts.items() if a != b]
        found += self._items(self.ids, recorded.ids, values, "ids")
        found += self._members(self.params, recorded.params, values, "")
        if not self._same(self.key, recorded.key, values):
            found.append("its idempotency key is that of another call")
        if not self._same(self.content, recorded.content, values):
            found.append("the content of its file is another one")
        return found

    def _same(self, asked: str | bytes | None, recorded: str | None, values: Values) -> bool:
        """Return whether a placeholder, which can be missing, can stand for a value."""
        placeholder = placeholder_in(recorded)
        if asked is None or placeholder is None:
            return asked is recorded
        return values.accepts(placeholder, asked)

    def _part(self, asked: Any, recorded: Any, values: Values, path: str) -> list[str]:
        """Return the differences of one value."""
        if isinstance(asked, dict) and isinstance(recorded, dict):
            return self._members(
                cast("dict[str, Any]", asked), cast("dict[str, Any]", recorded), values, path
            )
        if isinstance(asked, list) and isinstance(recorded, list):
            return self._items(cast("list[Any]", asked), cast("list[Any]", recorded), values, path)
        placeholder = placeholder_in(recorded)
        is_plain = isinstance(asked, (str, int, float))
        if asked == recorded or (placeholder and is_plain and values.accepts(placeholder, asked)):
            return []
        return [f"{path} is {self._shown(path, asked)}, not {recorded!r}"]

    def _shown(self, path: str, value: Any) -> str:
        if isinstance(value, (dict, list)):
            return "nested"
        is_id = path.startswith("ids[")
        private = not is_public_id(value) if is_id else self.is_private(path, value)
        return "another private value" if private else repr(value)

    def _items(self, asked: list[Any], recorded: list[Any], values: Values, path: str) -> list[str]:
        if len(asked) != len(recorded):
            return [f"{path} has {len(asked)} items, not {len(recorded)}"]
        pairs = enumerate(zip(asked, recorded, strict=True))
        return [each for n, (a, b) in pairs for each in self._part(a, b, values, f"{path}[{n}]")]

    def _members(
        self, asked: dict[str, Any], recorded: dict[str, Any], values: Values, path: str
    ) -> list[str]:
        found: list[str] = []
        # A name of the user's own choice can be private: those are compared in their order.
        hidden = {name: one for name in recorded if (one := placeholder_in(name))}
        others = [name for name in asked if name not in recorded]
        same = {name: name for name in recorded if name in asked}
        for name, (label, placeholder) in zip(others, hidden.items(), strict=False):
            if values.accepts(placeholder, name):
                same[label] = name
        for label, name in same.items():
            below = joined(path, name)
            found += self._part(asked[name], recorded[label], values, below)
        found += [f"{joined(path, name)} is missing" for name in recorded if name not in same]
        new = (name for name in asked if name not in same.values())
        return [*found, *(f"{joined(path, name)} was not recorded" for name in new)]


async def asked_of(request: Request) -> Asked:
    """Return what a request asks for.

    Args:
        request: The request; the file that it uploads is read.
    """
    content, body = None, await upload_of(request)
    if body is not None and isinstance(request.upload, Multipart):
        # The boundary around the file is another one in each run.
        begin, end = len(request.upload.head), len(body) - len(request.upload.tail)
        content = body[begin:end]
    return Asked(request, params_of(request), content)
