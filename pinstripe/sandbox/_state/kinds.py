"""What a type of object is made of for the outside: ids, indexes, hidden fields, `expand`.

Objects are stored whole. A `Kind` says which fields are hidden until `expand` asks for them and
which hold an id that `expand` turns into the object. Choices where the published facts are silent:

- a plain secret key that asks for a field only a restricted key may read gets a 403 (a field
  that is left out silently would look like a person without a birth date);
- an unknown expand path is a 400 without a code;
- `sex`, `unparsed_sex` and `unparsed_place_of_birth` are shown to every key: by their own path,
  or with the field above them where that one is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TypeAlias

import attrs

from pinstripe.sandbox._params.errors import Refusal, invalid, shortened
from pinstripe.sandbox._state.table import Extract, Json, Table

MAX_EXPAND_DEPTH = 4

Expansion: TypeAlias = "dict[str, Expansion]"


@attrs.frozen
class Field:
    """A field with something to expand at it or below it.

    Args:
        link: name of the kind of which the field holds an id.
        hidden: whether the field is left out until it is asked for.
        restricted: whether only a restricted key may ask for it.
        private: whether it is never shown, because it is only kept.
        inner: fields of the object that stands here.
    """

    link: str | None = None
    hidden: bool = False
    restricted: bool = False
    private: bool = False
    inner: Mapping[str, Field] = attrs.field(factory=dict[str, "Field"])


@attrs.frozen(eq=False)
class Kind:
    """A type of object.

    Args:
        name: value of the `object` field.
        prefix: what ids start with.
        fields: the fields that `expand` knows.
        indexes: functions that read the values by which lists are filtered.
    """

    name: str
    prefix: str
    fields: Mapping[str, Field] = attrs.field(factory=dict[str, Field])
    indexes: Mapping[str, Extract] = attrs.field(factory=dict[str, Extract])


@attrs.frozen(eq=False)
class Registry:
    """The kinds that a sandbox knows, by name."""

    kinds: Mapping[str, Kind]

    @classmethod
    def of(cls, kinds: Iterable[Kind]) -> Registry:
        """Build a registry."""
        return cls({kind.name: kind for kind in kinds})

    def tables(self) -> dict[str, Table]:
        """Return an empty table for each kind."""
        return {name: Table(kind.indexes) for name, kind in self.kinds.items()}

    def parse_expand(
        self, kind: str, paths: tuple[str, ...], *, restricted: bool, listed: bool
    ) -> Expansion:
        """Turn expand paths into the tree of what is asked for.

        Args:
            kind: name of the kind of the answer, or of the elements of a list.
            paths: what was sent, such as `data.last_verification_report`.
            restricted: whether the key is a restricted one.
            listed: whether the answer is a list, so that paths start with `data.`.

        Raises:
            Refusal: 400 for a path that is unknown or too deep, 403 for one the key may not read.
        """
        return self._parse(kind, paths, restricted=restricted, listed=listed) if paths else {}

    @lru_cache(maxsize=512)  # noqa: B019 - a registry lives as long as its sandbox
    def _parse(
        self, kind: str, paths: tuple[str, ...], *, restricted: bool, listed: bool
    ) -> Expansion:
        asked: Expansion = {}
        for path in paths:
            parts = path.split(".")
            if len(parts) > MAX_EXPAND_DEPTH:
                raise invalid(f"Expand goes {MAX_EXPAND_DEPTH} levels deep at most.", "expand")
            if listed and parts.pop(0) != "data":
                raise _unknown_path(path)
            if self._expandable(kind, path, parts).restricted and not restricted:
                raise _restricted_path(path)
            node = asked
            for part in parts:
                node = node.setdefault(part, {})
        return asked

    def _expandable(self, kind: str, path: str, parts: list[str]) -> Field:
        fields, field = self.kinds[kind].fields, Field()
        for part in parts:
            if part not in fields:
                raise _unknown_path(path)
            field = fields[part]
            fields = self.kinds[field.link].fields if field.link else field.inner
        if not (field.link or field.hidden):
            raise _unknown_path(path)
        return field

    def render(self, kind: str, value: Json, asked: Expansion, tables: Mapping[str, Table]) -> Json:
        """Return the object as it is shown.

        Args:
            kind: name of the kind of the object.
            value: the object as it is stored.
            asked: what `parse_expand` gave.
            tables: where ids are looked up.
        """
        return _Rendering(self, tables).object(self.kinds[kind].fields, value, asked, implied=False)


@attrs.frozen
class _Rendering:
    registry: Registry
    tables: Mapping[str, Table]

    def object(
        self, fields: Mapping[str, Field], value: Json, asked: Expansion, *, implied: bool
    ) -> Json:
        out = dict(value)
        for name, field in fields.items():
            if name in out:
                self._field(out, name, field, asked.get(name), implied=implied)
        return out

    def _field(
        self, out: Json, name: str, field: Field, asked: Expansion | None, *, implied: bool
    ) -> None:
        wanted = asked is not None
        kept_back = field.hidden and not wanted and not (implied and not field.restricted)
        if field.private or kept_back:
            del out[name]
        elif field.link and wanted and out[name] is not None:
            linked = self.tables[field.link].get(out[name])
            if linked is not None:
                fields = self.registry.kinds[field.link].fields
                out[name] = self.object(fields, linked, asked or {}, implied=True)
        elif field.inner and out[name] is not None:
            below = implied or (field.hidden and wanted)
            out[name] = self.object(field.inner, out[name], asked or {}, implied=below)


def _unknown_path(path: str) -> Refusal:
    return invalid(f"This property cannot be expanded ({shortened(path)}).", "expand")


def _restricted_path(path: str) -> Refusal:
    text = f"Only a restricted key (rk_test_...) may expand {shortened(path)}."
    return Refusal(text, status=403, param="expand")
