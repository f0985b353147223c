"""The floors of the house: a room imports only from lower floors, and each room is small."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import pinstripe

HOUSE = Path(pinstripe.__file__).parent

# A new file that is in no row fails a test below: say where it stands.
FLOORS: list[set[str]] = [
    {"_clean"},
    {"_version", "_apart", "_lazy", "_errors", "_model", "_samples", "_shielded", "_value"},
    {"_gendocs", "_gentypes"},
    {"_call", "_checks", "_discreet", "_hooks", "_levels", "_local", "_network", "_patience"},
    {"_claim", "_config", "_disk", "_limiter", "_signature", "_once", "_loop", "_gensync"},
    {"_wire", "_convert", "_crossing", "_errand", "bulk", "_once_sqlite", "_once_redis", "_part"},
    {"_endpoint", "_multipart", "_route", "_gate", "_retry"},
    {"_walk"},
    {"_windows"},
    {"_pager", "_coalesce", "_transfer", "_aiohttp", "_pipeline"},
    {"_transport"},
    {"_resource", "_onramp"},
    {"identity", "crypto", "climate", "forwarding", "webhook_endpoints"},
    {"files"},
    {"events"},
    {"_client", "_webhook"},
    {"_columns"},
    {"_formats"},
    {"export"},
    {"_portal", "_router"},
    {"_blocking_export"},
    {"sync", "webhooks"},
    {"adapters", "adapters._bodies"},
    {f"adapters.{name}" for name in ("aiohttp", "asgi", "django", "flask", "wsgi")},
    {"sandbox.embedded"},
    {"sandbox", "sandbox.__main__"},
    {"__init__"},
    {"cli.*"},
    {"pytest_plugin"},
]
EMULATOR = "sandbox."  # all of the folder but its door: a house of its own, beside the client
SHARED = {"_signature"}  # what the emulator takes from the client's house
PRODUCTS = {"identity", "crypto", "climate", "events", "files", "forwarding", "webhook_endpoints"}
AIOHTTP = {"_aiohttp", "_route", "adapters.aiohttp"}
FRAMEWORKS = {"django", "flask", "starlette", "fastapi", "werkzeug", "uvicorn"}


def name_of(path: Path) -> str:
    parts = path.relative_to(HOUSE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


ROOMS = {name_of(path): path for path in sorted(HOUSE.rglob("*.py"))}


def floor_of(room: str) -> int | None:
    """The floor of a room; None inside the emulator, which has no floors but no cycles either."""
    for number, rooms in enumerate(FLOORS, start=1):
        if room in rooms or f"{room.partition('.')[0]}.*" in rooms:
            return number
    return None


def in_emulator(room: str) -> bool:
    return room.startswith(EMULATOR) and floor_of(room) is None


def in_cli(room: str) -> bool:
    return room.partition(".")[0] == "cli"


@cache
def tree_of(room: str) -> ast.Module:
    return ast.parse(ROOMS[room].read_text(encoding="utf-8"))


def imported(room: str) -> Iterator[str]:
    """Every module a room names in an import, also under TYPE_CHECKING and inside functions."""
    for node in ast.walk(tree_of(room)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{room} imports relatively"
            assert node.module is not None
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            rooms = [name for name in inner if name.removeprefix("pinstripe.") in ROOMS]
            yield from rooms
            if len(rooms) < len(inner):
                yield node.module


def neighbours(room: str) -> set[str]:
    """The rooms of the house that a room imports."""
    found = set()
    for module in imported(room):
        if module == "pinstripe":
            found.add("__init__")
        elif module.startswith("pinstripe."):
            found.add(module.removeprefix("pinstripe."))
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_lower_floors(room) -> None:
    floor = floor_of(room)
    assert floor is not None or in_emulator(room), f"{room} stands on no floor"
    for other in neighbours(room):
        assert other in ROOMS, f"{room} imports {other}, which is not there"
        if in_emulator(room):
            inside = in_emulator(other) or other in SHARED
            assert inside, f"{room}, of the emulator, imports {other}, of the client"
        elif in_emulator(other):
            assert room.startswith("sandbox") or in_cli(room), f"{room} reaches into the emulator"
        elif in_cli(room) and in_cli(other):
            continue
        else:
            assert (floor_of(other) or 0) < (floor or 0), f"{room} imports {other}, from above"


def test_the_table_has_no_row_for_a_room_that_is_gone() -> None:
    for room in set().union(*FLOORS):
        name = room.removesuffix(".*")
        assert name in ROOMS


def test_no_room_imports_itself_by_way_of_others() -> None:
    finished: set[str] = set()

    def visit(room: str, path: tuple[str, ...]) -> None:
        assert room not in path, " -> ".join([*path, room])
        if room in finished:
            return
        for other in neighbours(room):
            visit(other, (*path, room))
        finished.add(room)

    for room in ROOMS:
        visit(room, ())


@pytest.mark.parametrize("room", ROOMS)
def test_libraries_are_imported_where_they_belong(room) -> None:
    libraries = {module.partition(".")[0] for module in imported(room)}
    if room not in AIOHTTP and not room.startswith("sandbox"):
        assert "aiohttp" not in libraries
    if not in_cli(room):
        assert not libraries & {"click", "rich"}
    assert not libraries & {"requests", "httpx", "stripe", "yaml"}
    own = room.removeprefix("adapters.") if room.startswith("adapters.") else ""
    assert not libraries & FRAMEWORKS - {own}, "a framework is imported by its adapter only"
    assert ("pytest" in libraries) == (room == "pytest_plugin")


@pytest.mark.parametrize("room", [room for room, path in ROOMS.items() if path.stem == "__init__"])
def test_doors_hold_names_only(room) -> None:
    for node in statements(tree_of(room)):
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        target = ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else ""
        names = target in ("__all__", "(__getattr__, __dir__)")
        assert docstring or names or isinstance(node, ast.ImportFrom), ast.unparse(node)


def statements(door: ast.Module) -> Iterator[ast.stmt]:
    """Yield what a door holds: what only type checkers see, and what they do not, as well."""
    for node in door.body:
        if isinstance(node, ast.If):
            assert ast.unparse(node.test) in ("TYPE_CHECKING", "not TYPE_CHECKING")
            yield from [*node.body, *node.orelse]
        else:
            yield node


@pytest.mark.parametrize("room", sorted(PRODUCTS))
def test_products_do_no_io(room) -> None:
    assert not neighbours(room) & {"_pipeline", "_transport", "_aiohttp", "_client"}
    assert not {"asyncio", "anyio", "socket", "threading"} & set(imported(room))


# The products are written out in full: every parameter with its sentence. The generated room has
# all of that once more, and no bound of its own.
LONGEST = dict.fromkeys(("identity", "crypto", "climate", "files", "events"), 650) | {"sync": 2_500}


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_are_small(room) -> None:
    lines = len(ROOMS[room].read_text(encoding="utf-8").splitlines())
    assert lines < LONGEST.get(room, 400)


def length_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of code: neither the signature nor the docstring, which are documentation."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return (node.end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("room", ROOMS)
def test_functions_are_small(room) -> None:
    for node in ast.walk(tree_of(room)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert length_of(node) <= 50, f"{room}.{node.name}"


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_says_what_lives_there(room) -> None:
    docstring = ast.get_docstring(tree_of(room))
    assert docstring is not None
    assert docstring.splitlines()[0].endswith((".", ":"))


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = """
import sys
before = set(sys.modules)  # what counts the coverage of this process is there already
import pinstripe
loaded = set(sys.modules) - before
rooms = {name for name in loaded if name.startswith("pinstripe.")}
assert rooms == {"pinstripe._version", "pinstripe._lazy"}, rooms
heavy = {"asyncio", "anyio", "aiohttp", "attr", "cattrs", "msgspec", "json", "ssl", "logging"}
assert not heavy & loaded, heavy & loaded
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)
