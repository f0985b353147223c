"""What the generator of `sync.py` reads and writes: where names come from, and types made blocking.

A name of a source is followed to where it is defined, and the output imports it from there. So
nothing is replaced by how it is spelled.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from attrs import frozen


class Origin(NamedTuple):
    """Where a name comes from; a module itself has no name in it."""

    module: str
    name: str


OUTCOMES = Origin("pinstripe.bulk", "Outcomes")
PAGER = Origin("pinstripe._resources.pager", "Pager")
SELF = Origin("typing_extensions", "Self")

_ASYNC_ITERABLE = Origin("collections.abc", "AsyncIterable")
_LITERAL = Origin("typing", "Literal")
_ASYNC_TYPES = ("Async", "Awaitable", "Coroutine")
_RETURNED_ONLY = (OUTCOMES, PAGER, SELF)


class UnknownConstructError(Exception):
    """A construct of the source that the generator has no rule for."""


@frozen
class Source:
    """A room that is read.

    Attributes:
        room: Its name.
        tree: Its syntax tree.
        origins: Where each of its names comes from.
    """

    room: str
    tree: ast.Module
    origins: Mapping[str, Origin]

    def unknown(self, node: ast.AST, construct: str) -> UnknownConstructError:
        """Return the error for a construct.

        Args:
            node: Where it stands.
            construct: What it is.
        """
        line = getattr(node, "lineno", 1)
        return UnknownConstructError(f"pinstripe/{self.room}.py:{line}: {construct}")

    def origin(self, node: ast.AST | None) -> Origin | None:
        """Return where the head of a type comes from: of `Pager[File]`, where `Pager` does.

        Args:
            node: The type.
        """
        head = node.value if isinstance(node, ast.Subscript) else node
        return self.origins.get(head.id) if isinstance(head, ast.Name) else None


def read_source(room: str, text: str) -> Source:
    """Parse a room.

    Args:
        room: Its name.
        text: What stands in it.
    """
    tree = ast.parse(text)
    return Source(room, tree, dict(_origins(f"pinstripe.{room}", tree.body)))


def _origins(module: str, statements: Iterable[ast.stmt]) -> Iterator[tuple[str, Origin]]:
    for node in statements:
        match node:
            case ast.Import(names=names):
                yield from ((one.asname or one.name, Origin(one.name, "")) for one in names)
            case ast.ImportFrom(module=str(origin), names=names):
                yield from ((one.asname or one.name, Origin(origin, one.name)) for one in names)
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), body=body):
                yield from _origins(module, body)
            case ast.ClassDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                yield name, Origin(module, name)
            case ast.Assign(targets=[ast.Name(id=name)]):
                yield name, Origin(module, name)
            case _:
                pass


@frozen
class Names:
    """The names that the output needs; it grows while the output is written.

    Attributes:
        origins: Where each comes from.
        at_run_time: Those that more than types need.
    """

    origins: dict[str, Origin]
    at_run_time: set[Origin]

    def need(self, source: Source, node: ast.Name, *, at_run_time: bool = False) -> ast.Name:
        """Return the name by which the output has what a name of the source stands for.

        Args:
            source: Where the name stands.
            node: The name.
            at_run_time: Whether more than a type needs it.

        Raises:
            UnknownConstructError: It comes from nowhere, or is of the async side only.
        """
        origin = source.origins.get(node.id)
        if origin is None and hasattr(builtins, node.id):
            return node
        if origin is None:
            raise source.unknown(node, f"the name {node.id}, neither defined nor imported")
        if origin.name.startswith(_ASYNC_TYPES) or origin in _RETURNED_ONLY:
            raise source.unknown(node, f"{origin.name}, a type of the async side, in this place")
        return self.take(source, node, origin, at_run_time=at_run_time)

    def take(
        self, source: Source, node: ast.AST, origin: Origin, *, at_run_time: bool = False
    ) -> ast.Name:
        """Return the name of what comes from `origin`: the one that it has there.

        Args:
            source: Where it is needed.
            node: By what.
            origin: Where it comes from.
            at_run_time: Whether more than a type needs it.

        Raises:
            UnknownConstructError: The name is taken.
        """
        name = origin.name or origin.module
        if self.origins.setdefault(name, origin) != origin:
            raise source.unknown(node, f"a second meaning of the name {name}")
        if at_run_time:
            self.at_run_time.add(origin)
        return ast.Name(name, ast.Load())


def blocking_type(names: Names, source: Source, node: ast.expr) -> ast.expr:
    """Return the type that the blocking side has in place of one of the async side.

    Args:
        names: Takes note of the names that it needs.
        source: Where the type stands.
        node: The type.

    Raises:
        UnknownConstructError: It is none that a rule knows.
    """
    made = _Types(names, source).visit(node)
    assert isinstance(made, ast.expr)
    return made


def blocking_return(names: Names, source: Source, node: ast.expr) -> ast.expr:
    """Return what a plain method of the blocking side returns in place of one of the async side.

    Args:
        names: Takes note of the names that it needs.
        source: Where the type stands.
        node: The type.

    Raises:
        UnknownConstructError: It is none that a rule knows.
    """
    origin = source.origin(node)
    if origin == SELF:
        return names.take(source, node, SELF)
    if not isinstance(node, ast.Subscript) or origin not in (PAGER, OUTCOMES):
        return blocking_type(names, source, node)
    inner = blocking_type(names, source, node.slice)
    if origin == PAGER:
        pager = names.take(source, node, Origin("pinstripe.sync._pager", "Pager"))
        return _generic(pager, inner)
    outcome = names.take(source, node, Origin("pinstripe.bulk", "Outcome"))
    generator = names.take(source, node, Origin("collections.abc", "Generator"))
    none = ast.Constant(None)
    return _generic(generator, ast.Tuple([_generic(outcome, inner), none, none], ast.Load()))


def _generic(head: ast.expr, arguments: ast.expr) -> ast.expr:
    return ast.Subscript(head, arguments, ast.Load())


class _Types(ast.NodeTransformer):
    def __init__(self, names: Names, source: Source) -> None:
        self.names = names
        self.source = source

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self.names.need(self.source, node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        if self.source.origin(node.right) == _ASYNC_ITERABLE:
            return blocking_type(self.names, self.source, node.left)
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if self.source.origin(node) != _LITERAL:
            return self.generic_visit(node)
        node.value = blocking_type(self.names, self.source, node.value)
        return node  # its texts are values, not types in quotes

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, str):
            raise self.source.unknown(node, "a type in quotes")
        return node


def imports(origins: Iterable[Origin]) -> str:
    """Return the statements that import names, in the order that the linter asks for.

    Args:
        origins: Where they come from.
    """
    modules: dict[str, list[str]] = {}
    for origin in origins:
        modules.setdefault(origin.module, []).append(origin.name)
    sections: list[list[str]] = [[], [], []]
    for module, names in sorted(modules.items(), key=lambda one: (any(one[1]), one)):
        sections[_section(module)].append(_import(module, names))
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def _section(module: str) -> int:
    top = module.partition(".")[0]
    return 0 if top in sys.stdlib_module_names else 1 + (top == "pinstripe")


def _import(module: str, names: Iterable[str]) -> str:
    ordered = sorted(set(names), key=lambda name: (not name.isupper(), name[:1].islower(), name))
    return f"from {module} import {', '.join(ordered)}" if any(ordered) else f"import {module}"
