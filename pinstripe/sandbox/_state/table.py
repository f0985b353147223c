"""Keeps the objects of one type, newest first, with lists by cursor that cost the page.

A `Table` is a dict by id beside sorted lists of keys: one of all objects, one for each value of
each indexed field. A key is `(created, sequence, id)`, so ties within a second keep the order of
insertion. A cursor and a range of time are found by bisection; a filter on an indexed field walks
that value's own list. Objects are never changed in place: `put` replaces one, so that whoever
holds the old one (an event, an answer being written) holds a snapshot.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs

from pinstripe.sandbox._params.schema import TimeRange

Json: TypeAlias = "dict[str, Any]"
SortKey: TypeAlias = "tuple[int, int, str]"
Extract: TypeAlias = Callable[[Json], object]

ANY_TIME: Final = TimeRange()


def get_object(value: Mapping[str, Any], name: str) -> Json:
    """Return the object in a field, an empty one where the field is null or missing."""
    found: Json | None = value.get(name)
    return found or {}


@attrs.frozen
class Query:
    """What a list asks for.

    Args:
        limit: most objects of the page.
        starting_after: id after which the page starts, walking to older objects.
        ending_before: id before which the page ends, walking to newer objects.
        created: range of seconds of the `created` field.
        equals: wanted value by name of an index.
        matches: a further condition on the object.
    """

    limit: int = 10
    starting_after: str | None = None
    ending_before: str | None = None
    created: TimeRange = ANY_TIME
    equals: Mapping[str, object] = attrs.field(factory=dict[str, object])
    matches: Callable[[Json], bool] | None = None


@attrs.frozen
class TablePage:
    """One page: its objects, newest first, and whether the walk goes on behind them."""

    objects: list[Json]
    has_more: bool


class Table:
    """The objects of one type.

    Args:
        indexes: for each indexed field the function that reads its value from an object.
    """

    def __init__(self, indexes: Mapping[str, Extract] | None = None) -> None:
        self._extracts = dict(indexes or {})
        self._rows: dict[str, tuple[SortKey, Json]] = {}
        self._keys: list[SortKey] = []
        self._indexes: dict[str, dict[object, list[SortKey]]] = {
            name: {} for name in self._extracts
        }
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, id: object) -> bool:
        return id in self._rows

    def get(self, id: str) -> Json | None:
        """Return the object stored under an id, None where there is none."""
        row = self._rows.get(id)
        return row and row[1]

    def put(self, value: Json) -> Json:
        """Store an object with an `id` and a `created`, in place of one with the same id.

        Returns:
            The same object.
        """
        row = self._rows.get(value["id"])
        key = row[0] if row else self._new_key(value)
        if row:
            self._reindex(key, row[1], value)
        else:
            insort(self._keys, key)
            for name, extract in self._extracts.items():
                insort(self._indexes[name].setdefault(extract(value), []), key)
        self._rows[key[2]] = (key, value)
        return value

    def remove(self, id: str) -> None:
        """Forget an object that is stored."""
        key, value = self._rows.pop(id)
        del self._keys[bisect_left(self._keys, key)]
        for name, extract in self._extracts.items():
            keys = self._indexes[name][extract(value)]
            del keys[bisect_left(keys, key)]

    def find_by(self, name: str, value: object) -> list[Json]:
        """Return the objects whose indexed field has a value, oldest first."""
        return [self._rows[key[2]][1] for key in self._indexes[name].get(value, ())]

    def find(self, query: Query) -> TablePage | None:
        """Return the page that a query asks for, None where its cursor is not stored."""
        cursor = query.ending_before or query.starting_after
        row = self._rows.get(cursor) if cursor else None
        if cursor and row is None:
            return None
        keys = self._narrowest(query.equals)
        walk = self._walk(keys, query, row and row[0])
        objects = self._matching(keys, walk, query)
        page = objects[: query.limit]
        if query.ending_before:
            page.reverse()
        return TablePage(page, len(objects) > query.limit)

    def _new_key(self, value: Json) -> SortKey:
        self._sequence += 1
        return (value.get("created", 0), self._sequence, value["id"])

    def _reindex(self, key: SortKey, old: Json, new: Json) -> None:
        for name, extract in self._extracts.items():
            before, after = extract(old), extract(new)
            if before != after:
                keys = self._indexes[name][before]
                del keys[bisect_left(keys, key)]
                insort(self._indexes[name].setdefault(after, []), key)

    def _narrowest(self, equals: Mapping[str, object]) -> Sequence[SortKey]:
        lists: list[Sequence[SortKey]] = [
            self._indexes[name].get(value, ()) for name, value in equals.items()
        ]
        return min(lists, key=len, default=self._keys)

    def _walk(self, keys: Sequence[SortKey], query: Query, cursor: SortKey | None) -> range:
        low = bisect_left(keys, (query.created.start, 0, ""))
        high = bisect_left(keys, (query.created.end, 0, ""))
        if cursor and query.ending_before:
            return range(max(low, bisect_right(keys, cursor)), high)
        if cursor:
            high = min(high, bisect_left(keys, cursor))
        return range(high - 1, low - 1, -1)

    def _matching(self, keys: Sequence[SortKey], walk: range, query: Query) -> list[Json]:
        objects: list[Json] = []
        for value in self._filtered(keys, walk, query):
            objects.append(value)
            if len(objects) > query.limit:
                break
        return objects

    def _filtered(self, keys: Sequence[SortKey], walk: range, query: Query) -> Iterator[Json]:
        checks = [(self._extracts[name], wanted) for name, wanted in query.equals.items()]
        for position in walk:
            value = self._rows[keys[position][2]][1]
            if any(extract(value) != wanted for extract, wanted in checks):
                continue
            if query.matches is None or query.matches(value):
                yield value
