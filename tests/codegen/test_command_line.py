"""The generator of the command line's table, and that what it wrote is what it writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import IO, Any, Literal

import pytest
from typing_extensions import NotRequired, TypedDict

from pinstripe import Created, Pager, RequestOptions, Timeout
from pinstripe._codegen import command_line
from pinstripe._codegen.command_line import generate, main
from pinstripe._models.record import Listed, Private, model
from pinstripe._resources.endpoint import Endpoint
from pinstripe._resources.resource import Resource


@model
class Toy(Listed):
    """A toy."""

    id: str


@model
class Part(Listed):
    """What no resource retrieves."""

    id: str


class PaintParam(TypedDict):
    colour: Literal["red", "blue"] | str
    layers: NotRequired[Sequence[str]]
    secret: NotRequired[Private[str]]
    thickness: NotRequired[Mapping[str, int]]


class Toys(Resource):
    """Calls on toys."""

    _CREATE = Endpoint("POST", "/v1/toys", Toy)
    _RETRIEVE = Endpoint("GET", "/v1/toys/{toy}", Toy)
    _DELETE = Endpoint("DELETE", "/v1/toys/{toy}", Toy)

    async def create(
        self,
        *,
        file: str | PathLike[str] | bytes | IO[bytes],
        paint: PaintParam | Literal[""] | None = None,
        weight: Decimal | int | str | None = None,
        count_of: int = 1,
        ready: bool | None = None,
        due: datetime | Literal["now", ""] | None = None,
        notes: Private[Mapping[str, str] | None] = None,
        timeout: Timeout | float = 3.0,
        on_progress: Callable[[int], object] | None = None,
        request_options: RequestOptions | None = None,
    ) -> Toy:
        """Make a toy with `count_of`.

            an.example()

        It is
        made.

        Args:
            file: Its plan.
            paint: Its paint; see `count_of` and `"this"`.
        """
        return await self._call(self._CREATE, {}, request_options)

    async def retrieve(self, toy: str | Toy) -> Toy:
        """Return a toy."""
        return await self._call(self._RETRIEVE, {}, None, toy="1")

    async def smash(self, toy: Toy, into: str | PathLike[str]) -> Path:
        """Smash a toy."""
        await self._call(self._DELETE, {}, None, toy="1")
        return Path(into)

    async def fix(self, part: Part) -> bytes:
        """Fix a toy with something that cannot be typed."""
        return b""

    async def play(self, toys: Iterable[Toy]) -> dict[str, Path]:
        """Play with something that cannot be typed."""
        return {}

    def list(self, *, created: Created | datetime | None = None) -> Pager[Toy]:
        """List toys."""
        raise NotImplementedError


class Chest:
    """A namespace in a namespace.

    Attributes:
        toys: The toys.
        size: No namespace.
    """

    def __init__(self) -> None:
        async def send(_: Any) -> Any: ...

        self.toys = Toys(send)
        self.size = 3


class Nursery:
    """A namespace.

    Attributes:
        chest: A chest with `toys`.
    """

    def __init__(self) -> None:
        self.chest = Chest()
        self.unlisted = Chest()


@pytest.fixture(scope="module")
def table() -> dict[str, Any]:
    made: dict[str, Any] = {}
    client: Any = Nursery()
    exec(generate(client), made)
    return made


def test_namespaces_are_found_at_any_depth(table) -> None:
    assert table["GROUPS"] == {"chest": "A chest with toys.", "chest.toys": "The toys."}


def test_every_call_that_can_be_typed_is_there(table) -> None:
    calls = {path: (method, gives) for path, (method, gives, *_) in table["CALLS"].items()}
    assert calls == {
        "chest.toys.create": ("POST", "object"),
        "chest.toys.list": ("GET", "list"),
        "chest.toys.retrieve": ("GET", "object"),
        "chest.toys.smash": ("DELETE", "paths"),
    }


def test_types_say_how_a_parameter_is_typed(table) -> None:
    text, params = table["CALLS"]["chest.toys.create"][2:]
    assert text == "Make a toy with --count-of.\n\nIt is made."
    assert params == (
        ("file", "file", "", "Its plan.", "r"),
        ("paint.colour", "text", "colour", 'Its paint; see --count-of and "this".', ""),
        ("paint.layers", "list", "", "", ""),
        ("paint.secret", "text", "", "", "p"),
        ("weight", "decimal", "", "", ""),
        ("count_of", "integer", "", "", ""),
        ("ready", "flag", "", "", ""),
        ("due", "time", "due", "", ""),
        ("notes", "map", "", "", "p"),
        ("timeout", "number", "", "", ""),
    )
    assert table["WORDS"] == {"colour": ("red", "blue"), "due": ("now",)}
    assert table["CALLS"]["chest.toys.list"][3] == (("created", "range", "", "", ""),)


def test_a_model_is_given_as_an_id_if_a_resource_retrieves_it(table) -> None:
    assert table["CALLS"]["chest.toys.smash"][3] == (
        ("toy", "model", "chest.toys", "", "ar"),
        ("into", "path", "", "", "ar"),
    )
    assert table["CALLS"]["chest.toys.retrieve"][3] == (("toy", "text", "", "", "ar"),)


def test_two_vocabularies_of_one_name_are_both_kept() -> None:
    output = command_line._Output()
    assert output.vocabulary("status", ("a",)) == "status"
    assert output.vocabulary("status", ("b",)) == "status_"
    assert output.vocabulary("state", ("a",)) == "status"
    assert output.vocabulary("status", ()) == ""


def test_the_table_is_what_the_generator_writes(tmp_path: Path) -> None:
    main(["--check"])
    target = tmp_path / "table.py"
    main([], target)
    main(["--check"], target)
    target.write_text(target.read_text(encoding="utf-8").replace("redact", "retract"))
    with pytest.raises(SystemExit, match=r"table\.py is stale: run `python -m"):
        main(["--check"], target)
