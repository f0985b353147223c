"""Keeps the objects of one type, newest first, with cursor lists whose cost is that of a page.

A `Table` is a dict by id and several sorted lists of keys: one list of all objects, and for each
indexed field one list for each value. A key is `(created, sequence, id)`, so that objects of the
same second keep the order of insertion. A list finds its cursor and its range of time by bisection;
a filter on an indexed field walks the list of that value only.

Stored objects are never changed in place: `put` replaces an object. So an event, or an answer that
is still being written, holds a snapshot.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Generator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from pinstripe.sandbox._params.schema import TimeRange

Json: TypeAlias = "dict[str, Any]"
SortKey: TypeAlias = "tuple[int, int, str]"
Extract: TypeAlias = Callable[[Json], object]

ANY_TIME: Final = TimeRange()


def get_object(value: Mapping[str, Any], name: str) -> Json:
    """Return the object in a field, or an empty one if the field is null or missing."""
    found: Json | None = value.get(name)
    return found or {}


def replaced(old: Mapping[str, Any], new: Mapping[str, Any]) -> Json:
    """Return the old values of the fields that differ, in nested objects too."""
    out: Json = {}
    for name in {**old, **new}:
        before, after = old.get(name), new.get(name)
        if before != after:
            nested = isinstance(before, dict) and isinstance(after, dict)
            out[name] = replaced(get_object(old, name), get_object(new, name)) if nested else before
    return out


@frozen
class Query:
    """What a list asks for.

    Attributes:
        limit: The largest number of objects on the page.
        starting_after: The id after which the page starts; the page goes to older objects.
        ending_before: The id before which the page ends; the page goes to newer objects.
        created: The range of the `created` field, in seconds.
        equals: The wanted value of indexed fields, by index name.
        matches: Another condition on the object.
    """

    limit: int = 10
    starting_after: str | None = None
    ending_before: str | None = None
    created: TimeRange = ANY_TIME
    equals: Mapping[str, object] = field(factory=dict[str, object])
    matches: Callable[[Json], bool] | None = None


@frozen
class TablePage:
    """One page of a list.

    Attributes:
        objects: The objects, newest first.
        has_more: Whether more objects follow in the direction of the page.
    """

    objects: list[Json]
    has_more: bool


class Table:
    """The objects of one type.

    Args:
        indexes: For each indexed field, the function that reads its value from an object.
    """

    def __init__(self, indexes: Mapping[str, Extract] | None = None) -> None:
        self._extracts = dict(indexes or {})
        self._rows: dict[str, tuple[SortKey, Json]] = {}
        # All lists of keys are sorted, oldest first.
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
        """Return the object with an id, or None."""
        row = self._rows.get(id)
        return row and row[1]

    def put(self, value: Json) -> Json:
        """Store an object with an `id` and a `created`; replace the one with the same id.

        Returns:
            The same object.
        """
        row = self._rows.get(value["id"])
        if row is None:
            self._sequence += 1
            key = (value.get("created", 0), self._sequence, value["id"])
            insort(self._keys, key)
            for name, extract in self._extracts.items():
                insort(self._indexes[name].setdefault(extract(value), []), key)
        else:
            # A replaced object keeps its key, and so its position in every list; its key moves
            # only between the lists of an index whose value changed.
            key, old = row
            for name, extract in self._extracts.items():
                before, after = extract(old), extract(value)
                if before != after:
                    _discard(self._indexes[name][before], key)
                    insort(self._indexes[name].setdefault(after, []), key)
        self._rows[key[2]] = (key, value)
        return value

    def remove(self, id: str) -> None:
        """Remove a stored object."""
        key, value = self._rows.pop(id)
        _discard(self._keys, key)
        for name, extract in self._extracts.items():
            _discard(self._indexes[name][extract(value)], key)

    def drain(self) -> Generator[None, None, None]:
        """Remove everything, one object at a step: to free many takes long."""
        while self._rows:
            self._rows.popitem()
            yield
        self._keys.clear()
        self._indexes.clear()

    def find_by(self, name: str, value: object) -> list[Json]:
        """Return the objects whose indexed field has a value, oldest first."""
        return [self._rows[key[2]][1] for key in self._indexes[name].get(value, ())]

    def values_of(self, name: str, most: int) -> list[object]:
        """Return different values of an indexed field, in no order.

        Args:
            name: The name of the index.
            most: How many at most.
        """
        return list(islice((value for value, keys in self._indexes[name].items() if keys), most))

    def find(self, query: Query) -> TablePage | None:
        """Return the page that a query asks for, or None if its cursor is not stored."""
        cursor = query.ending_before or query.starting_after
        row = self._rows.get(cursor) if cursor else None
        if cursor and row is None:
            return None
        # The shortest list of keys that holds every object of the answer.
        lists: list[Sequence[SortKey]] = [
            self._indexes[name].get(value, ()) for name, value in query.equals.items()
        ]
        keys = min(lists, key=len, default=self._keys)
        positions = _positions(keys, query, row and row[0])
        # The other filters are checked object by object. One object more than the page holds
        # shows that more follow.
        checks = [(self._extracts[name], wanted) for name, wanted in query.equals.items()]
        objects: list[Json] = []
        for position in positions:
            value = self._rows[keys[position][2]][1]
            if any(extract(value) != wanted for extract, wanted in checks):
                continue
            if query.matches is None or query.matches(value):
                objects.append(value)
                if len(objects) > query.limit:
                    break
        page = objects[: query.limit]
        if query.ending_before:
            page.reverse()
        return TablePage(page, len(objects) > query.limit)


def _positions(keys: Sequence[SortKey], query: Query, cursor: SortKey | None) -> range:
    """Return the positions in a list of keys that a query walks, in the order of the walk."""
    low = bisect_left(keys, (query.created.start, 0, ""))
    high = bisect_left(keys, (query.created.end, 0, ""))
    if cursor and query.ending_before:
        # Away from the cursor to newer objects; `find` reverses the page afterwards.
        return range(max(low, bisect_right(keys, cursor)), high)
    if cursor:
        high = min(high, bisect_left(keys, cursor))
    return range(high - 1, low - 1, -1)


def _discard(keys: list[SortKey], key: SortKey) -> None:
    del keys[bisect_left(keys, key)]
