"""How the objects of each kind look from outside: ids, indexes, hidden fields, `expand`.

Objects are stored whole, with every field. A `Kind` describes the fields at which a stored object
differs from the one in an answer:

- a *link* holds the id of another object; `expand` turns the id into that object;
- a *hidden* field is left out until `expand` names it;
- a *restricted* field is one for which only a restricted key may ask;
- a *private* field is stored for the sandbox alone, and no answer shows it;
- an *embedded* field holds objects of the API in full: `expand` may name it, and changes nothing.

A request with `expand` is served in two steps. `parse_expand` checks the paths and turns them into
a tree, the `Expansion`: `["a.b", "a.c"]` becomes `{"a": {"b": {}, "c": {}}}`. `render` then walks
the stored object, the fields of its kind and the expansion together.

An expanded object, or a hidden one that the request names, is *implied*: it shows its own hidden
fields without further paths, except the restricted ones, which always need their own path.

Choices of the sandbox, because the published facts are silent:

- A plain secret key that asks for a restricted field gets a 403. Without an error, the answer would
  look like a person without a birth date.
- An unknown expand path is a 400 without a code. If a list lacks only `data.`, the message says so;
  `data` alone is accepted, and changes nothing.
- `sex`, `unparsed_sex` and `unparsed_place_of_birth` are shown to every key: by their own path, or
  with the field that contains them, if the request names that one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TypeAlias

from attrs import field, frozen

from pinstripe.sandbox._params.errors import Refusal, invalid, shortened
from pinstripe.sandbox._state.table import Extract, Json, Table

# https://docs.stripe.com/api/expanding_objects
MAX_EXPAND_DEPTH = 4

Expansion: TypeAlias = "dict[str, Expansion]"


@frozen
class Field:
    """A field with something to expand at it or below it.

    Attributes:
        link: The name of the kind whose id the field holds.
        hidden: Whether the field is left out until a request asks for it.
        restricted: Whether only a restricted key may ask for it.
        private: Whether no answer shows it.
        embedded: Whether it holds one object of the API, or several, in full.
        inner: The fields of the object, or of each object, that the field holds.
    """

    link: str | None = None
    hidden: bool = False
    restricted: bool = False
    private: bool = False
    embedded: bool = False
    inner: Mapping[str, Field] = field(factory=dict[str, "Field"])


@frozen(eq=False)
class Kind:
    """A type of object.

    Attributes:
        name: The value of the `object` field.
        prefix: The start of ids.
        fields: The fields that `expand` knows.
        indexes: The functions that read the values by which lists are filtered.
    """

    name: str
    prefix: str
    fields: Mapping[str, Field] = field(factory=dict[str, Field])
    indexes: Mapping[str, Extract] = field(factory=dict[str, Extract])


@frozen(eq=False)
class Registry:
    """The kinds that a sandbox knows, by name."""

    kinds: Mapping[str, Kind]

    @classmethod
    def of(cls, kinds: Iterable[Kind]) -> Registry:
        """Return a registry of kinds."""
        return cls({kind.name: kind for kind in kinds})

    def tables(self) -> dict[str, Table]:
        """Return an empty table for each kind."""
        return {name: Table(kind.indexes) for name, kind in self.kinds.items()}

    def parse_expand(
        self, kind: str, paths: tuple[str, ...], *, restricted: bool, listed: bool
    ) -> Expansion:
        """Turn expand paths into the tree of what to expand.

        Args:
            kind: The name of the kind of the answer, or of the elements of a list.
            paths: The paths of the request, such as `data.last_verification_report`.
            restricted: Whether the API key is a restricted one.
            listed: Whether the answer is a list, so that paths start with `data.`.

        Raises:
            Refusal: 400 for a path that is unknown or too deep, 403 for a path that the key may
                not read.
        """
        return self._parse(kind, paths, restricted=restricted, listed=listed) if paths else {}

    @lru_cache(maxsize=512)  # noqa: B019 -- a registry is there as long as its sandbox
    def _parse(
        self, kind: str, paths: tuple[str, ...], *, restricted: bool, listed: bool
    ) -> Expansion:
        expand: Expansion = {}
        for path in paths:
            parts = path.split(".")
            if len(parts) > MAX_EXPAND_DEPTH:
                raise invalid(f"Expand goes at most {MAX_EXPAND_DEPTH} levels deep.", "expand")
            if listed and path == "data":
                continue
            if listed and parts[0] != "data":
                below_data = self._find_field(kind, parts) is not None
                raise _unknown_path(path, f"data.{path}" if below_data else None)
            parts = parts[1:] if listed else parts
            found = self._find_field(kind, parts)
            if found is None:
                raise _unknown_path(path)
            if found.restricted and not restricted:
                text = f"Only a restricted key (rk_test_...) may expand {shortened(path)}."
                raise Refusal(text, status=403, param="expand")
            node = expand
            for part in parts:
                node = node.setdefault(part, {})
        return expand

    def _find_field(self, kind: str, parts: list[str]) -> Field | None:
        """Return the field at the end of a path, or None if it cannot be expanded."""
        fields, found = self.kinds[kind].fields, Field()
        for part in parts:
            if part not in fields:
                return None
            found = fields[part]
            fields = self.kinds[found.link].fields if found.link else found.inner
        return found if found.link or found.hidden or found.embedded else None

    def render(
        self, kind: str, value: Json, expand: Expansion, tables: Mapping[str, Table]
    ) -> Json:
        """Return a stored object as an answer shows it.

        Args:
            kind: The name of the kind of the object.
            value: The stored object.
            expand: The result of `parse_expand`.
            tables: The tables in which ids are looked up.
        """
        return self._render(self.kinds[kind].fields, value, expand, tables, implied=False)

    def _render(
        self,
        fields: Mapping[str, Field],
        value: Json,
        expand: Expansion,
        tables: Mapping[str, Table],
        *,
        implied: bool,
    ) -> Json:
        out = dict(value)
        for name, spec in fields.items():
            if name not in out:
                continue
            below = expand.get(name)
            wanted = below is not None
            # Left out: private, or hidden and neither named nor implied.
            if spec.private or (
                spec.hidden and not wanted and not (implied and not spec.restricted)
            ):
                del out[name]
            elif out[name] is None:
                continue
            elif spec.link and wanted:
                # The id of a removed object stays an id.
                linked = tables[spec.link].get(out[name])
                if linked is not None:
                    inner = self.kinds[spec.link].fields
                    out[name] = self._render(inner, linked, below or {}, tables, implied=True)
            elif spec.inner:
                inside = implied or (spec.hidden and wanted)
                several = isinstance(out[name], list)
                shown = [
                    self._render(spec.inner, each, below or {}, tables, implied=inside)
                    for each in (out[name] if several else (out[name],))
                ]
                out[name] = shown if several else shown[0]
        return out


def _unknown_path(path: str, meant: str | None = None) -> Refusal:
    text = f"This property cannot be expanded ({shortened(path)})."
    hint = f" Expand {shortened(meant)} instead." if meant else ""
    return invalid(text + hint, "expand")
