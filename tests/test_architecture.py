"""The wings of the package: which may import which, and how large a module may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import pinstripe

PACKAGE = Path(pinstripe.__file__).parent

# What stands at the top level beside the wings, and is imported as if it were one.
PRODUCTS = {
    "identity",
    "crypto",
    "climate",
    "events",
    "files",
    "forwarding",
    "webhook_endpoints",
    "v2",
}
BASE = {"_core", "_models", "_concurrency", "_limits", "_config", "_http", "_disk", "_resources"}

# Each wing, and the wings that it may import besides itself. A wing that is in no row fails a
# test below: decide who may import it, and what it may import, then add the row.
WINGS: dict[str, set[str]] = {
    "_version": set(),
    "_lazy": set(),
    "_event_samples": set(),
    # `sync_client` imports nothing, `command_line` asks the classes; neither is in the wheel.
    "_codegen": BASE | PRODUCTS | {"_client", "bulk", "sandbox"},
    "_core": set(),
    "_models": {"_core"},
    "_concurrency": {"_core"},
    "_signature": {"_core"},
    "_signed_events": {"_core", "_config", "_models", "_event_samples", "_signature", "events"},
    "_limits": {"_core", "_concurrency"},
    "_config": {"_core", "_limits"},
    "_http": {"_core", "_concurrency", "_limits", "_config", "_version"},
    "_disk": {"_core", "_concurrency"},
    "_resources": {"_core", "_models", "_concurrency", "_config", "_http", "_disk"},
    "bulk": {"_core", "_concurrency"},
    **dict.fromkeys(PRODUCTS, BASE | PRODUCTS | {"bulk"}),
    "_client": BASE | PRODUCTS,
    "export": {"_core", "_models", "_concurrency", "_disk", "_resources", "_client", "bulk"},
    "sync": BASE | PRODUCTS | {"_client", "bulk", "export"},
    "dask": {"_core", "export", "sync"},
    "webhooks": {
        "_client",
        "_core",
        "_models",
        "_concurrency",
        "_config",
        "_http",
        "_resources",
        "_signature",
        "bulk",
        "events",
        "sync",
    },
    "otel": {"_config", "_version"},
    "adapters": {"_core", "webhooks"},
    "sandbox": {"_client", "sync", "sandbox.*"},
    "sandbox._params": set(),
    "sandbox._traffic": {"sandbox._params"},
    "sandbox._state": {"sandbox._params", "sandbox._traffic"},
    "sandbox._http": {"sandbox._params", "sandbox._traffic", "sandbox._state"},
    "sandbox._control": {
        "sandbox._params",
        "sandbox._traffic",
        "sandbox._state",
        "sandbox._http",
    },
    **{
        f"sandbox.{product}": {
            "sandbox._params",
            "sandbox._state",
            "sandbox._http",
            "sandbox._control",
        }
        for product in (
            "_identity",
            "_crypto",
            "_climate",
            "_files",
            "_forwarding",
            "_webhooks",
            "_v2",
        )
    },
    "sandbox._pages": {
        "sandbox._params",
        "sandbox._traffic",
        "sandbox._state",
        "sandbox._http",
        "sandbox._control",
        "sandbox._identity",
        "sandbox._crypto",
        "sandbox._climate",
        "sandbox._files",
        "sandbox._forwarding",
        "sandbox._webhooks",
    },
    "testing": BASE | PRODUCTS | {"_client", "_event_samples", "sync"},
    "pytest_plugin": BASE | PRODUCTS | {"_client", "_signed_events", "sync", "sandbox", "testing"},
    "cli": BASE
    | PRODUCTS
    | {"", "_client", "_signature", "_version", "bulk", "export", "sandbox", "webhooks", "cli.*"},
    "cli._quotes": BASE | PRODUCTS | {"_client", "bulk", "export", "sandbox", "cli"},
    "cli._calls": BASE | PRODUCTS | {"", "_client", "cli"},
    "": {"*"},
}
# A signature is the one thing that the client and the sandbox share; else each is the witness of
# the other. The images of a verification are files.
WINGS["sandbox._forwarding"] |= {"_signature"}
WINGS["sandbox._webhooks"] |= {"_signature"}
# What is delivered can be a thin event, and where it goes an event destination.
WINGS["sandbox._webhooks"] |= {"sandbox._v2"}
WINGS["sandbox._identity"] |= {"sandbox._files"}
# The console hides what the client's models call private. It shows objects, and makes none.
WINGS["sandbox._pages"] |= PRODUCTS | {"_models"}

AIOHTTP = {
    "_http.compatibility",
    "_http.connection",
    "_http.exchange",
    "_http.routes",
    "_http.session",
    "_http.trial",
    "adapters.aiohttp",
    "cli._http",
    "cli._receiver",
}
FRAMEWORKS = {"django", "flask", "starlette", "fastapi", "werkzeug", "uvicorn"}


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def wing_of(module: str) -> str:
    """The innermost folder or module that has a row of its own."""
    while module and module not in WINGS:
        module = module.rpartition(".")[0]
    return module


def may_import(wing: str, other: str) -> bool:
    allowed = WINGS[wing]
    return other in allowed or f"{other.partition('.')[0]}.*" in allowed or "*" in allowed


def in_cli(module: str) -> bool:
    return module.partition(".")[0] == "cli"


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imported(module: str) -> Iterator[str]:
    """Every module that a module imports, also under TYPE_CHECKING and inside functions."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            assert node.module is not None
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name for name in inner if name.removeprefix("pinstripe.") in MODULES]
            yield from modules
            if len(modules) < len(inner):
                yield node.module


def imported_modules(module: str) -> set[str]:
    """The modules of the package that a module imports."""
    names = {name for name in imported(module) if name.partition(".")[0] == "pinstripe"}
    return {name.removeprefix("pinstripe").removeprefix(".") for name in names}


def refuse_cycles(uses: dict[str, set[str]]) -> None:
    finished: set[str] = set()

    def visit(node: str, path: tuple[str, ...]) -> None:
        assert node not in path, " -> ".join([*path, node])
        if node in finished:
            return
        for other in uses[node]:
            visit(other, (*path, node))
        finished.add(node)

    for node in uses:
        visit(node, ())


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_wing_may(module) -> None:
    wing = wing_of(module)
    assert wing or not module, f"{module} is in no wing"
    for other in imported_modules(module):
        assert other in MODULES, f"{module} imports {other}, which is not there"
        wanted = wing_of(other)
        assert wanted == wing or may_import(wing, wanted), f"{module} may not import {other}"


def test_the_table_has_no_row_for_a_wing_that_is_gone() -> None:
    for wing, others in WINGS.items():
        for name in {wing, *(other.rstrip("*").rstrip(".") for other in others)}:
            assert name in MODULES, name


def test_wings_import_downwards_only() -> None:
    # The server joins the parts of the sandbox, and the commands share what is beside them.
    uses: dict[str, set[str]] = {wing: set() for wing in WINGS}
    for module in MODULES:
        uses[wing_of(module)] |= {wing_of(other) for other in imported_modules(module)}
    for wing, others in uses.items():
        others.discard(wing)
        if wing in ("cli._calls", "cli._quotes", "sandbox"):
            others -= {"cli"}
    refuse_cycles(uses)


def test_no_module_imports_itself_by_way_of_others() -> None:
    refuse_cycles({module: imported_modules(module) for module in MODULES})


@pytest.mark.parametrize("module", MODULES)
def test_libraries_are_imported_where_they_belong(module) -> None:
    libraries = {name.partition(".")[0] for name in imported(module)}
    if module not in AIOHTTP and module.partition(".")[0] != "sandbox":
        assert "aiohttp" not in libraries
    if not in_cli(module):
        assert not libraries & {"click", "rich"}
    if module != "otel":
        assert "opentelemetry" not in libraries
    assert not libraries & {"requests", "httpx", "stripe", "yaml"}
    own = module.removeprefix("adapters.") if module.startswith("adapters.") else ""
    own = "django" if module.startswith("webhooks.django") else own
    if module not in ("webhooks._sql", "webhooks._databases", "webhooks._sqlalchemy"):
        assert "sqlalchemy" not in libraries
    assert not libraries & FRAMEWORKS - {own}, "a framework is imported by what is for it"
    assert ("pytest" in libraries) == (module == "pytest_plugin")


@pytest.mark.parametrize(
    "wing", [name for name, path in MODULES.items() if path.name == "__init__.py"]
)
def test_the_init_of_a_wing_defines_nothing(wing) -> None:
    """A private one holds its docstring alone: what it imported would always be imported."""
    tree = tree_of(wing)
    if wing.rpartition(".")[2].startswith("_"):
        assert ast.get_docstring(tree) is not None
        assert len(tree.body) == 1
    for node in statements(tree):
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        target = ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else ""
        names = target in ("__all__", "(__getattr__, __dir__)")
        assert docstring or names or isinstance(node, ast.ImportFrom), ast.unparse(node)


def statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the statements of a module, and of its blocks for type checkers and for others."""
    for node in tree.body:
        if isinstance(node, ast.If):
            assert ast.unparse(node.test) in ("TYPE_CHECKING", "not TYPE_CHECKING")
            yield from [*node.body, *node.orelse]
        else:
            yield node


@pytest.mark.parametrize("module", sorted(PRODUCTS))
def test_products_do_no_io(module) -> None:
    assert not {"_http.pipeline", "_http.transport", "_client"} & imported_modules(module)
    assert not {"asyncio", "anyio", "socket", "threading"} & set(imported(module))


# The products and the client are written out in full: every parameter with its sentence. The
# generated modules have all of that once more, and no bound of their own.
LONGEST = dict.fromkeys({*PRODUCTS, "_client"}, 710) | {
    "sync._generated": 3_000,
    "cli._calls.table": 3_000,
}


@pytest.mark.parametrize("module", MODULES)
def test_modules_are_small(module) -> None:
    lines = len(MODULES[module].read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST.get(module, 400)


def length_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of code: neither the signature nor the docstring, which are documentation."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return (node.end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("module", MODULES)
def test_functions_are_small(module) -> None:
    for node in ast.walk(tree_of(module)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert length_of(node) <= 50, f"{module}.{node.name}"


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_what_it_is_for(module) -> None:
    docstring = ast.get_docstring(tree_of(module))
    assert docstring is not None
    assert docstring.splitlines()[0].endswith((".", ":"))


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = """
import sys
before = set(sys.modules)  # what counts the coverage of this process is there already
import pinstripe
loaded = set(sys.modules) - before
ours = {name for name in loaded if name.startswith("pinstripe.")}
assert ours == {"pinstripe._version", "pinstripe._lazy"}, ours
heavy = {"asyncio", "anyio", "aiohttp", "attr", "cattrs", "msgspec", "json", "ssl", "logging"}
assert not heavy & loaded, heavy & loaded
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)
