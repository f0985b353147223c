"""The generator of the blocking client, and that what it wrote is what it writes."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from textwrap import dedent, indent
from types import FunctionType
from typing import Any

import pytest

from pinstripe import RequestOptions, sync
from pinstripe._client import AsyncClient
from pinstripe._codegen import docstrings as _gendocs
from pinstripe._codegen import sync_client
from pinstripe._codegen.docstrings import StaleTextError, blocking_text
from pinstripe._codegen.sync_client import generate, is_current
from pinstripe._codegen.types import UnknownConstructError, read_source
from pinstripe._core.errors import APIError, ConfigurationError
from pinstripe._resources.resource import Resource
from pinstripe.bulk import Outcome
from pinstripe.crypto import Quotes, QuotesQuery
from pinstripe.sandbox import Sandbox
from pinstripe.sync import _generated

# --- a toy source that has every construct ------------------------------------------------------

HEAD = '''
"""Toys."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal as OneOf, TypeAlias

import attrs
from typing_extensions import Self

from pinstripe._models.record import Record
from pinstripe._resources.pager import Pager as Walk
from pinstripe._resources.resource import Resource
from pinstripe._http.messages import Sender
from pinstripe.bulk import Outcomes

if TYPE_CHECKING:
    from decimal import Decimal

LIMIT = 7
Colour: TypeAlias = OneOf["red"] | str


class Toy(Record):
    """A toy: no resource, so it is not written."""

    name: str


@attrs.frozen
class Box:
    """A value: not written either."""


class _Workshop(Resource):
    def plan(self): ...


def paint(toy: Toy) -> Toy:
    return toy
'''

TOYS = '''
class Toys(Resource):
    """Calls on toys, async and awaited.

        async with pinstripe.AsyncClient() as stripe:
            toy = await stripe.toys.make("car")  # of wood
            print([one async for one in stripe.toys.list()], "a wait")
    """

    _MAKE = Endpoint("POST", "/v1/toys", Toy)
    _made: int = 0

    async def make(
        self,
        kind: OneOf["car", "doll"],
        folder: str | os.PathLike[str] = "",
        *,
        colour: Colour | None = None,
        price: Decimal | None = None,
        limit: int = LIMIT,
    ) -> Toy:
        """Make a toy."""
        return await self._call(self._MAKE, {"kind": kind}, None)

    def list(self, *, limit: int | None = None) -> Walk[Toy]:
        """List toys.

        Returns:
            A pager: iterate it with `async for`, or await it for the first page.
        """
        return self._list(self._LIST, {}, None, None)

    def make_many(
        self, kinds: Iterable[str] | AsyncIterable[str], *, on_made: Callable[[Toy], object]
    ) -> Outcomes[str, Toy]:
        """Make many."""
        return fan_out(self.make, kinds)

    async def sweep(self) -> None:
        """Clean up."""

    async def _glue(self, *parts): ...
'''

SHOP = '''
class Shop:
    """What a shop has.

    Attributes:
        toys: All that it has on its shelves, and what it can order for
            you.
    """

    def __init__(self, send: Sender) -> None:
        self.toys = Toys(send)
        self.more_toys = Toys(send)
'''

CLIENT = '''
from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import Self

if TYPE_CHECKING:
    from pinstripe.toys import Shop, Toys


class _Shared: ...


class AsyncClient:
    """The client, for asyncio.

    Without `async with`, end it with `aclose()`.
    """

    def __init__(self, api_key: str | None = None, *, timeout: float = 30.0) -> None:
        self._send = connect(api_key, timeout)

    @fork_safe_property
    def shop(self) -> Shop:
        """What there is to buy."""
        return Shop(self._send)

    @fork_safe_property
    def toys(self) -> Toys:
        """Toys."""
        return Toys(self._send)

    async def __aenter__(self) -> Self:
        return self

    async def aclose(self) -> None:
        """Close."""

    async def warm_up(self) -> None:
        """Do the slow parts now."""

    def with_options(self, *, timeout: float | None = None) -> Self:
        """Return a sibling."""
        return self
'''

WRITTEN = f'''"""{sync_client.HEADER}"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from pinstripe._client import AsyncClient
from pinstripe.sync._facade import ClientBase, Facade
from pinstripe.toys import LIMIT

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Generator, Iterable
    from decimal import Decimal
    from typing import Literal

    from typing_extensions import Self

    from pinstripe import toys
    from pinstripe.bulk import Outcome
    from pinstripe.sync._pager import Pager
    from pinstripe.toys import Colour, Toy

__all__ = ["Client", "Shop", "Toys"]


class Toys(Facade):
    """Calls on toys, as they come.

        with pinstripe.Client() as stripe:
            toy = stripe.toys.make("car")  # of wood
            print([one for one in stripe.toys.list()], "a wait")
    """

    _async: toys.Toys

    def make(
        self,
        kind: Literal["car", "doll"],
        folder: str | os.PathLike[str] = "",
        *,
        colour: Colour | None = None,
        price: Decimal | None = None,
        limit: int = LIMIT,
    ) -> Toy:
        """Make a toy."""
        return self._run(
            self._async.make, kind, folder, colour=colour, price=price, limit=limit
        )

    def list(self, *, limit: int | None = None) -> Pager[Toy]:
        """List toys.

        Returns:
            A pager: iterate it, or ask it for its `first()` page.
        """
        return self._list(self._async.list, limit=limit)

    def make_many(
        self, kinds: Iterable[str], *, on_made: Callable[[Toy], object]
    ) -> Generator[Outcome[str, Toy], None, None]:
        """Make many."""
        return self._run_many(self._async.make_many, kinds, on_made=on_made)

    def sweep(self) -> None:
        """Clean up."""
        self._run(self._async.sweep)


class Shop(Facade):
    """What a shop has."""

    _async: toys.Shop

    @cached_property
    def toys(self) -> Toys:
        """All that it has on its shelves, and what it can order for you."""
        return Toys(self._async.toys, self._bridge)

    @cached_property
    def more_toys(self) -> Toys:
        """Calls on toys, as they come."""
        return Toys(self._async.more_toys, self._bridge)


class Client(ClientBase):
    """The client for code that blocks: scripts, threads, notebooks.

    Without `with`, end it with `close()`.
    """

    __module__ = "pinstripe"
    if TYPE_CHECKING:
        _async: AsyncClient

    def __init__(self, api_key: str | None = None, *, timeout: float = 30.0) -> None:
        self._open(AsyncClient, api_key, timeout=timeout)

    @cached_property
    def shop(self) -> Shop:
        """What there is to buy."""
        return Shop(self._async.shop, self._bridge)

    @cached_property
    def toys(self) -> Toys:
        """Toys."""
        return Toys(self._async.toys, self._bridge)

    def warm_up(self) -> None:
        """Do the slow parts now."""
        self._run(self._async.warm_up)

    def with_options(self, *, timeout: float | None = None) -> Self:
        """Return a sibling."""
        return self._sibling(self._async.with_options, timeout=timeout)
'''


def write(room: str, client: str = CLIENT) -> str:
    return generate([read_source("toys", room)], read_source("_client", client))


def test_every_construct_is_written(monkeypatch) -> None:
    rule = {"Calls on toys, async and awaited.": "Calls on toys, as they come."}
    monkeypatch.setattr(_gendocs, "SENTENCES", {**_gendocs.SENTENCES, **rule})
    text = write(HEAD + TOYS + SHOP)
    assert ast.unparse(ast.parse(text)) == ast.unparse(ast.parse(WRITTEN))
    assert is_current(text, WRITTEN)
    assert not is_current(text, WRITTEN.replace("Make many.", "Make  many."))


# --- what it has no rule for --------------------------------------------------------------------


METHODS = [
    ("...", "`...` in a class"),
    ("size = 3", "`size = 3` in a class"),
    ("size: int = 3", "`size: int = 3` in a class"),
    ("size = weight = 3", "in a class"),
    ("class Inner: ...", "`class Inner:` in a class"),
    ("@staticmethod\ndef make() -> Toy:\n    'Make.'", "the decorator `@staticmethod`"),
    ("@overload\nasync def make(self) -> Toy:\n    'Make.'", "the decorator `@overload`"),
    ("@property\ndef made(self) -> Toy:\n    'Made.'", "the decorator `@property`"),
    ("def count(self) -> int:\n    'Count.'", "no method of the facade can call"),
    ("def count(self):\n    'Count.'", "no method of the facade can call"),
    ("def same(self) -> Self:\n    'This.'", "no method of the facade can call"),
    ("async def same(self) -> Self:\n    'This.'", "Self, a type of the async side"),
    ("async def list(self) -> Walk[Toy]:\n    'List.'", "Pager, a type of the async side"),
    ("async def all(self) -> Outcomes[Toy, int]:\n    'All.'", "Outcomes, a type of the async"),
    ("async def each(self) -> AsyncIterator[Toy]:\n    'Each.'", "AsyncIterator, a type"),
    ("async def pair(self) -> tuple[Walk[Toy], int]:\n    'Two.'", "Pager, a type"),
    ("async def make(self):\n    'Make.'", "the function make without a type"),
    ("async def make(self, kind) -> Toy:\n    'Make.'", "the argument kind without a type"),
    ("async def make(self, *, kind) -> Toy:\n    'Make.'", "the argument kind without a type"),
    ("async def make(self, kind: str, /) -> Toy:\n    'Make.'", "the parameters `self, kind:"),
    ("async def make(self, *kinds: str) -> Toy:\n    'Make.'", "the parameters `self, *kinds:"),
    ("async def make(self, **kinds: str) -> Toy:\n    'Make.'", "the parameters `self, **kinds:"),
    ("async def make() -> Toy:\n    'Make.'", "the parameters ``"),
    ("async def make(self, n: int = -1) -> Toy:\n    'Make.'", "the default `-1`"),
    ("async def make(self, *, n: Any = []) -> Toy:\n    'Make.'", "the default `[]`"),
    ("async def make(self, n: int = LOST) -> Toy:\n    'Make.'", "the name LOST, neither"),
    ("async def make(self, n: Lost) -> Toy:\n    'Make.'", "the name Lost, neither"),
    ("async def make(self, n: 'Toy') -> Toy:\n    'Make.'", "a type in quotes"),
    ("async def make(self, n: AsyncIterable[Toy]) -> Toy:\n    'Make.'", "AsyncIterable, a type"),
    ("async def make(self, n: Walk[Toy]) -> Toy:\n    'Make.'", "Pager, a type of the async"),
    ("async def do(self, n: Callable[[], Awaitable[Toy]]) -> Toy:\n    'Do.'", "Awaitable, a"),
    ("async def make(self, n: Facade) -> Toy:\n    'Make.'", "a second meaning of the name Facade"),
    ("async def make(self) -> Toy: ...", "make without a docstring"),
    ("async def make(self) -> Toy:\n    'Make it. Or await it.'", "'Or await it.'"),
    ("async def make(self) -> Toy:\n    'In the event\\n    loop.'", "'In the event loop.'"),
    ("async def make(self) -> Toy:\n    '''Make.\n\n        await ...?\n    '''", "not Python"),
    (
        "async def make(self) -> Toy:\n    '''Make.\n\n        await it()  # async\n    '''",
        "'it()  # async'",
    ),
    (
        "async def make(self) -> Toy:\n    '''Make.\n\n        await toys.list()\n    '''",
        "awaits a pager",
    ),
]


@pytest.mark.parametrize(("member", "construct"), METHODS, ids=[m[1] for m in METHODS])
def test_a_member_of_a_resource_without_a_rule(member, construct) -> None:
    facade = "\nfrom somewhere import Facade\n"
    room = f'{HEAD}{facade}\nclass Toys(Resource):\n    "Calls."\n\n{indent(member, "    ")}\n'
    with pytest.raises(UnknownConstructError) as caught:
        write(room)
    message = str(caught.value)
    found = re.match(r"pinstripe/toys\.py:(\d+): ", message)
    assert found is not None
    first = 1 + room.split(indent(member, "    "), maxsplit=1)[0].count("\n")
    assert first <= int(found[1]) <= first + member.count("\n")
    assert construct in message.replace("\\n", "\n")


NAMESPACE = "class Shop:\n    'A shop.'\n    def __init__(self, send: Sender) -> None:\n        "
CLASSES = [
    ("@attrs.frozen\nclass Trains(Resource):\n    'Calls.'", "class Trains", "something else"),
    ("class Trains(Record, Resource):\n    'Calls.'", "class Trains", "something else to it"),
    ("class Trains(Toys):\n    'Calls.'", "class Trains", "something else to it"),
    ("class Trains(Resource): ...", "class Trains", "Trains without a docstring"),
    ("class Trains(Resource):\n    _A = 1", "class Trains", "Trains without a docstring"),
    ("class Box:\n    'A box.'", "class Box:\n", "neither resource nor namespace"),
    ("class Box:\n    'A box.'\n    def open(self): ...", "class Box:\n    'A", "neither resource"),
    (f"{NAMESPACE}self.toys = send", "self.toys = send", "`self.toys = send` in a namespace"),
    (f"{NAMESPACE}self.toys = Toys(send, 1)", "self.toys", "`self.toys = Toys(send, 1)`"),
    (f"{NAMESPACE}self.toys = Toys(send, a=1)", "self.toys", "`self.toys = Toys(send, a=1)`"),
    (f"{NAMESPACE}self.toys = Trains(send)", "self.toys", "`self.toys = Trains(send)`"),
    (f"{NAMESPACE}toys = Toys(send)", "toys = Toys", "`toys = Toys(send)` in a namespace"),
    (f"{NAMESPACE}super().__init__()", "super()", "`super().__init__()` in a namespace"),
]


@pytest.mark.parametrize(("text", "fragment", "construct"), CLASSES, ids=[c[0] for c in CLASSES])
def test_a_class_without_a_rule(text, fragment, construct) -> None:
    room = f'{HEAD}\nclass Toys(Resource):\n    "Calls."\n\n{text}\n'
    line = 1 + room[: room.rindex(fragment)].count("\n")
    with pytest.raises(UnknownConstructError) as caught:
        write(room)
    assert construct in str(caught.value)
    place = re.match(r"pinstripe/toys\.py:(\d+): ", str(caught.value))
    assert place is not None
    assert abs(int(place[1]) - line) <= 1  # where a decorator or a body stands, by Python's version


MEMBERS = [
    ("size = 3", "`size = 3` in a class"),
    (
        "@fork_safe_property\ndef shop(self) -> Lost:\n    'Shop.'",
        "the property shop, whose type is no",
    ),
    ("@fork_safe_property\ndef shop(self):\n    'Shop.'", "the property shop, whose type is no"),
    ("@fork_safe_property\ndef shop(self) -> Shop: ...", "shop without a docstring"),
    ("@lazy\ndef shop(self) -> Shop:\n    'Shop.'", "`@lazy`"),
    ("def same(self) -> AsyncClient:\n    'This.'", "no method of the facade can call"),
    ("async def same(self) -> Self:\n    'This.'", "Self, a type of the async side"),
    ("def __init__(self, *keys: str) -> None: ...", "the parameters `self, *keys: str`"),
]


@pytest.mark.parametrize(("member", "construct"), MEMBERS, ids=[m[1] for m in MEMBERS])
def test_a_member_of_the_client_without_a_rule(member, construct) -> None:
    room = f'{HEAD}\nclass Toys(Resource):\n    "Calls."\n{SHOP}'
    head = CLIENT.partition("class AsyncClient")[0]
    client = f'{head}class AsyncClient:\n    "The client."\n\n{indent(member, "    ")}\n'
    with pytest.raises(UnknownConstructError, match=r"^pinstripe/_client\.py:\d+: ") as caught:
        write(room, client)
    assert construct in str(caught.value)


def test_overloads_are_kept_without_a_docstring() -> None:
    ask = """
    @overload
    async def ask(self, kind: None = None) -> str: ...

    @overload
    async def ask(self, kind: type[Toy]) -> Toy: ...

    async def ask(self, kind: Any = None) -> Any:
        'Ask.'
"""
    room = f'{HEAD}\nclass Toys(Resource):\n    "Calls."\n{SHOP}'
    head = CLIENT.partition("class AsyncClient")[0]
    known = "from typing import Any, overload\nfrom pinstripe.toys import Toy\n"
    head = head.replace(
        "from typing import TYPE_CHECKING", f"from typing import TYPE_CHECKING\n{known}"
    )
    text = write(room, f'{head}class AsyncClient:\n    "The client."\n{ask}')
    first, second, last = (
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and node.name == "ask"
    )
    overloads = "@overload\ndef ask(self, kind: {}) -> {}:\n    ..."
    assert ast.unparse(first) == overloads.format("None=None", "str")
    assert ast.unparse(second) == overloads.format("type[Toy]", "Toy")
    assert ast.unparse(last.body[-1]) == "return self._run(self._async.ask, kind)"
    assert "from typing import TYPE_CHECKING, overload" in text


def test_a_module_without_the_client() -> None:
    with pytest.raises(UnknownConstructError, match="without the class AsyncClient"):
        write(HEAD, "class OtherClient: ...")


# --- docstrings ---------------------------------------------------------------------------------


def test_a_text_that_speaks_of_nothing_async_stays_as_it_is() -> None:
    text = dedent(
        """\
        Ask.

            answer = ask("awaiting_funds")

        Args:
            question: What to ask; a long one
                goes on here.

                And has a second paragraph.
            other: Another.

        Returns:
            One line
            and another."""
    )
    laid_out = indent(text, "        ").strip() + "\n        "
    assert blocking_text(text, 8) == laid_out


def test_only_the_paragraph_that_changes_is_filled_anew(monkeypatch) -> None:
    rules = {"Await it.": "Take it.", "Or await it for long, and be patient then.": "Or wait."}
    monkeypatch.setattr(_gendocs, "SENTENCES", rules)
    given = """\
        Ask
        here. Await it.

        Short
        lines.

        Args:
            one: A first sentence. Await
                it. A third one, which is long enough to go over the line that it stands on, alas.
            two: Await it. And this goes on until the line is full, which happens about here, yes.

        Returns:
            Something. Or await it for long,
            and be patient then."""
    expected = """\
        Ask here. Take it.

        Short
        lines.

        Args:
            one: A first sentence. Take it. A third one, which is long enough to go over the line
                that it stands on, alas.
            two: Take it. And this goes on until the line is full, which happens about here, yes.

        Returns:
            Something. Or wait.
        """
    assert blocking_text(dedent(given), 8) == expected.lstrip()


EXAMPLES = [
    ("async for one in stripe.list(): print(one)", "for one in stripe.list(): print(one)"),
    ("await  ask()\nawait tell()", "ask()\ntell()"),
    ("print((await ask()).body, await tell())", "print((ask()).body, tell())"),
    ("async def ask(): return [x async for x in y]", "def ask(): return [x for x in y]"),
    ("stripe = AsyncClient()\nawait stripe.aclose()", "stripe = Client()\nstripe.close()"),
    ("await ask(\n    await tell(),  # both\n)", "ask(\n    tell(),  # both\n)"),
    ("told = (await\n    ask())", "told = (\n    ask())"),
]


@pytest.mark.parametrize(("example", "expected"), EXAMPLES)
def test_an_example_loses_what_is_async(example, expected) -> None:
    given, made = (f"Ask.\n\n{indent(text, '    ')}" for text in (example, expected))
    assert blocking_text(given, 0) == f"{made}\n"


@pytest.mark.parametrize("example", ["print('await')", "ask()  # async", "asyncio.run(ask())"])
def test_an_example_that_mentions_what_is_async_is_refused(example) -> None:
    with pytest.raises(StaleTextError, match="mentions awaiting"):
        blocking_text(f"Ask.\n\n    {example}", 0)


@pytest.mark.parametrize("sentence", _gendocs.SENTENCES)
def test_every_sentence_of_the_table_stands_in_a_source(sentence) -> None:
    rooms = [
        sync_client.PACKAGE / f"{room}.py" for room in (*sync_client.PRODUCTS, sync_client.CLIENT)
    ]
    text = " ".join(" ".join(path.read_text(encoding="utf-8").split()) for path in rooms)
    assert sentence in text


# --- what is on the disk ------------------------------------------------------------------------


def test_the_file_on_the_disk_is_what_the_generator_gives() -> None:
    sync_client.main(["--check"])


def test_the_check_as_a_command() -> None:
    command = [sys.executable, "-W", "error", "-m", "pinstripe._codegen.sync_client", "--check"]
    subprocess.run(command, check=True, timeout=60)


def test_a_file_is_written_as_the_linter_wants_it_and_found_stale(tmp_path) -> None:
    target = tmp_path / "_generated.py"
    sync_client.main([], target)
    written = target.read_text(encoding="utf-8")
    assert written == Path(_generated.__file__).read_text(encoding="utf-8")
    sync_client.main(["--check"], target)
    target.write_text(written.replace("limit=limit", "limit=None", 1), encoding="utf-8")
    with pytest.raises(
        SystemExit,
        match=r"_generated\.py is stale: run `python -m pinstripe\._codegen\.sync_client`",
    ):
        sync_client.main(["--check"], target)


def test_an_unknown_construct_ends_the_command(tmp_path, monkeypatch) -> None:
    for room in (*sync_client.PRODUCTS, sync_client.CLIENT):
        (tmp_path / f"{room}.py").write_text("class AsyncClient: ...")
    monkeypatch.setattr(sync_client, "PACKAGE", tmp_path)
    with pytest.raises(SystemExit, match=r"pinstripe/identity\.py:1: .* has no rule for it"):
        sync_client.main(["--check"])


def test_the_file_imports_no_product_when_it_is_imported() -> None:
    nodes = ast.parse(Path(_generated.__file__).read_text(encoding="utf-8")).body
    modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert not modules & {f"pinstripe.{room}" for room in sync_client.PRODUCTS}
    assert "pinstripe" not in modules


# --- twins --------------------------------------------------------------------------------------

BY_HAND = ("Pager", "fan_out", "join", "plan", "to_arrow", "to_file", "write_part")
CLASSES_WRITTEN = [getattr(sync, name) for name in sync.__all__ if name not in BY_HAND]
QUOTES = "[QuotesQuery, Quotes]"
RETURNS = {f"Outcomes{QUOTES}": f"Generator[Outcome{QUOTES}, None, None]"}
TAKES = {"Iterable[QuotesQuery] | AsyncIterable[QuotesQuery]": "Iterable[QuotesQuery]"}


def twin_of(written: type) -> type:
    if written is sync.Client:
        return AsyncClient
    name = vars(written)["__annotations__"]["_async"]
    room, _, name = name.partition(".")
    found = getattr(importlib.import_module(f"pinstripe.{room}"), name)
    assert isinstance(found, type)
    return found


def public_methods(one: type) -> dict[str, FunctionType]:
    found = {name: value for name, value in vars(one).items() if isinstance(value, FunctionType)}
    return {name: value for name, value in found.items() if not name.startswith("_")}


TWINS = [
    pytest.param(written, name, id=f"{written.__name__}.{name}")
    for written in CLASSES_WRITTEN
    for name in public_methods(written)
]


def test_every_resource_has_its_twin() -> None:
    resources = {one for one in Resource.__subclasses__() if one.__module__ in sys.modules}
    products = {f"pinstripe.{room}" for room in sync_client.PRODUCTS}
    twins = {twin_of(written) for written in CLASSES_WRITTEN}
    assert {one for one in resources if one.__module__ in products} <= twins
    assert len(TWINS) >= 32


@pytest.mark.parametrize("written", CLASSES_WRITTEN)
def test_every_method_and_property_has_its_twin(written) -> None:
    twin = twin_of(written)
    assert public_methods(twin).keys() - {"aclose"} == public_methods(written).keys()
    properties = {
        name for name, value in vars(written).items() if isinstance(value, cached_property)
    }
    if twin is AsyncClient:
        kept = {n for n, value in vars(twin).items() if isinstance(value, cached_property)}
        assert properties == kept
    else:
        resource = issubclass(twin, Resource)
        assert properties == (set() if resource else set(vars(twin(None))))  # type: ignore[call-arg]


@pytest.mark.parametrize(("written", "name"), [*TWINS, (sync.Client, "__init__")])
def test_a_method_has_the_signature_of_its_twin(written, name) -> None:
    expected = inspect.signature(getattr(twin_of(written), name))
    parameters = [
        one.replace(annotation=TAKES.get(one.annotation, one.annotation))
        for one in expected.parameters.values()
    ]
    returned = RETURNS.get(expected.return_annotation, expected.return_annotation)
    changed = expected.replace(parameters=parameters, return_annotation=returned)
    assert inspect.signature(getattr(written, name)) == changed


@pytest.mark.parametrize(("written", "name"), TWINS)
def test_a_method_hands_on_every_argument(written, name) -> None:
    given: dict[str, Any] = {}

    class Twin:
        def __getattr__(self, asked: str) -> Any:
            return asked

    def cross(asked: str, *args: Any, **kwargs: Any) -> None:
        assert asked == name
        signature = inspect.signature(getattr(twin_of(written), name))
        given.update(signature.bind(None, *args, **kwargs).arguments)

    facade = object.__new__(written)
    facade._async = Twin()
    facade._run = facade._list = facade._run_many = facade._sibling = cross
    signature = inspect.signature(getattr(written, name))
    names = [one for one in signature.parameters if one != "self"]
    marks = {one: object() for one in names}
    getattr(facade, name)(**marks)
    assert given.pop("self") is None
    assert given == marks


def docstrings(tree: ast.AST) -> Iterator[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, kinds) and getattr(node, "name", "") != "__init__":
            if "overload" in map(ast.unparse, getattr(node, "decorator_list", ())):
                continue
            found = ast.get_docstring(node)
            assert found
            yield found


def test_no_docstring_speaks_of_awaiting() -> None:
    module, *others = docstrings(ast.parse(Path(_generated.__file__).read_text(encoding="utf-8")))
    assert "AsyncClient" in module
    assert len(others) > 50
    for text in others:
        assert not re.search(r"await(?!ing_)|async|aclos|event loop", text, re.IGNORECASE), text


# --- and it works -------------------------------------------------------------------------------


def client_of(sandbox: Sandbox) -> sync.Client:
    return sync.Client(sandbox.api_key, base_url=sandbox.url, files_url=sandbox.url)


@pytest.fixture(scope="module")
def stripe() -> Iterator[sync.Client]:
    with Sandbox(seed=7) as sandbox, client_of(sandbox) as client:
        client.warm_up()
        yield client


def test_calls_pages_and_errors(stripe) -> None:
    sessions = stripe.identity.verification_sessions
    made = [sessions.create(type="document").id for _ in range(3)]
    assert sessions.retrieve(made[0]).id == made[0]
    assert [one.id for one in sessions.list(limit=2)] == made[::-1]
    assert [one.id for one in sessions.list(limit=2).first().data] == made[:0:-1]
    assert [len(page.data) for page in sessions.list(limit=2).pages()] == [2, 1]
    with pytest.raises(APIError):
        sessions.retrieve("vs_none")
    with pytest.raises(ConfigurationError, match="limit"):
        sessions.list(limit=0)


def test_many(stripe) -> None:
    queries: list[QuotesQuery] = [{"source_amount": "10"}, {"source_amount": "no"}]
    outcomes = list(stripe.crypto.onramp_quotes.retrieve_many(queries))
    assert [outcome.ok for outcome in outcomes] == [True, False]
    assert isinstance(outcomes[0], Outcome)
    assert isinstance(outcomes[0].unwrap(), Quotes)


def test_the_namespaces(stripe) -> None:
    assert stripe.climate.suppliers.list(limit=1).first().data
    assert stripe.climate.products.list(max_items=1).first().data
    assert list(stripe.climate.orders.list()) == []
    assert list(stripe.crypto.onramp_sessions.list()) == []
    assert list(stripe.forwarding.requests.list()) == []
    assert list(stripe.identity.verification_reports.list()) == []
    assert list(stripe.webhook_endpoints.list()) == []
    assert list(stripe.events.list(type="climate.*")) == []
    file = stripe.files.create(file=b"%PDF-1.7 x", filename="x.pdf", purpose="dispute_evidence")
    assert [one.id for one in stripe.files.list()] == [file.id]
    assert list(stripe.file_links.list()) == []


def test_the_client_itself(stripe) -> None:
    options = RequestOptions(timeout=20)
    answer = stripe.request("GET", "/v1/climate/suppliers", {"limit": 1}, request_options=options)
    assert answer.status == 200
    supplier = json.loads(answer.body)["data"][0]["id"]
    answer = stripe.request("GET", "/v1/climate/suppliers/{id}", ids={"id": supplier})
    assert json.loads(answer.body)["id"] == supplier
    sibling = stripe.with_options(account="acct_1")
    assert type(sibling) is sync.Client
    assert sibling.climate.suppliers.list(limit=1).first().data
