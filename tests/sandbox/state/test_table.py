"""The table against a model that sorts and filters everything each time."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pinstripe.sandbox._params.schema import TimeRange
from pinstripe.sandbox._state.table import Query, Table, get_object
from tests.support.steps import steps_of

INDEXES = {"color": itemgetter("color"), "size": itemgetter("size")}
COLORS = st.sampled_from(["red", "green", None])


class Model(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.table = Table(INDEXES)
        self.values: list[dict[str, Any]] = []

    @rule(created=st.integers(0, 6), color=COLORS, size=st.integers(0, 2))
    def add(self, created: int, color: str | None, size: int) -> None:
        value = {"id": f"o{len(self.values)}", "created": created, "color": color, "size": size}
        assert self.table.put(value) is value
        self.values.append(value)

    @rule(data=st.data(), color=COLORS, size=st.integers(0, 2))
    def change(self, data: st.DataObject, color: str | None, size: int) -> None:
        if self.values:
            place = data.draw(st.integers(0, len(self.values) - 1))
            value = {**self.values[place], "color": color, "size": size}
            self.table.put(value)
            self.values[place] = value

    @rule(
        data=st.data(),
        limit=st.integers(1, 4),
        direction=st.sampled_from(["starting_after", "ending_before", None]),
        span=st.builds(TimeRange, st.integers(0, 7), st.integers(0, 7)),
        color=st.one_of(st.none(), st.just("red"), st.just("blue")),
        size=st.one_of(st.none(), st.integers(0, 2)),
        odd=st.booleans(),
    )
    def list(
        self,
        *,
        data: st.DataObject,
        limit: int,
        direction: str | None,
        span: TimeRange,
        color: str | None,
        size: int | None,
        odd: bool,
    ) -> None:
        wanted = {"color": color, "size": size}
        equals = {name: value for name, value in wanted.items() if value is not None}
        cursor = (
            data.draw(st.sampled_from(self.values))["id"] if self.values and direction else None
        )
        query = Query(
            limit=limit,
            created=span,
            equals=equals,
            matches=(lambda value: value["size"] % 2 == 1) if odd else None,
            **({direction: cursor} if direction else {}),
        )
        found = self.table.find(query)
        assert found is not None
        assert (found.objects, found.has_more) == self.expected(query, direction, cursor)

    def expected(
        self, query: Query, direction: str | None, cursor: str | None
    ) -> tuple[list[Any], bool]:
        order = sorted(enumerate(self.values), key=lambda pair: (pair[1]["created"], pair[0]))
        newest_first = [value for _, value in reversed(order)]
        if cursor:
            place = [value["id"] for value in newest_first].index(cursor)
            after = direction == "starting_after"
            newest_first = newest_first[place + 1 :] if after else newest_first[:place]
        kept = [
            value
            for value in newest_first
            if query.created.start <= value["created"] < query.created.end
            and all(value[name] == wanted for name, wanted in query.equals.items())
            and (query.matches is None or query.matches(value))
        ]
        page = (
            kept[-query.limit :] if direction == "ending_before" and cursor else kept[: query.limit]
        )
        return page, len(kept) > query.limit

    @invariant()
    def agrees(self) -> None:
        assert len(self.table) == len(self.values)
        assert all(self.table.get(value["id"]) == value for value in self.values)
        for color in ("red", "green", None):
            having = self.table.find_by("color", color)
            assert {value["id"] for value in having} == {
                value["id"] for value in self.values if value["color"] == color
            }


TestModel = Model.TestCase


def test_knows_what_it_holds() -> None:
    table = Table()
    assert table.get("a") is None
    assert "a" not in table
    table.put({"id": "a", "created": 1})
    assert "a" in table
    assert table.find(Query(starting_after="b")) is None
    assert table.find(Query(ending_before="b")) is None


@given(st.integers(1, 100), st.integers(0, 60))
def test_a_walk_meets_every_object_once_in_both_directions(limit: int, count: int) -> None:
    table = Table()
    for number in range(count):
        table.put({"id": str(number), "created": number // 3})
    down = list(_walk(table, limit, "starting_after", -1))
    assert down == [str(number) for number in reversed(range(count))]
    if count:
        up = list(_walk(table, limit, "ending_before", 0, start="0"))
        assert sorted(up, key=int) == [str(number) for number in range(1, count)]


def _walk(table: Table, limit: int, direction: str, end: int, start: str | None = None) -> Any:
    cursor, more = start, True
    while more:
        found = table.find(Query(limit=limit, **({direction: cursor} if cursor else {})))
        assert found is not None
        yield from (value["id"] for value in found.objects)
        more = found.has_more
        cursor = found.objects[end]["id"] if found.objects else cursor


def test_a_page_costs_the_page_and_not_the_table() -> None:
    def cost_of_pages(size: int) -> int:
        table = Table({"status": itemgetter("status")})
        for number in range(size):
            status = "rare" if number % (size // 20) == 0 else "common"
            table.put({"id": str(number), "created": number, "status": status})

        def find() -> None:
            for number in range(0, size, size // 20):
                table.find(Query(limit=10, starting_after=str(number), equals={"status": "rare"}))
                table.find(Query(limit=10, created=TimeRange(number, number + 10)))

        return steps_of(find)

    assert cost_of_pages(20_000) <= 1.5 * cost_of_pages(1_000)


def test_part_reads_null_and_nothing_as_an_empty_object() -> None:
    assert get_object({"a": None}, "a") == get_object({}, "a") == {}
    assert get_object({"a": {"b": 1}}, "a") == {"b": 1}
