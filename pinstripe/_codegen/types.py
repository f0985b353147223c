"""The names and types of the generated module.

A name of a source is followed to the module that defines it, and the output imports it from there.
So types are replaced by their origin and never by their spelling.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from attrs import frozen


class Origin(NamedTuple):
    """The module that defines a name, and the name; the name of a module itself is empty."""

    module: str
    name: str


OUTCOMES = Origin("pinstripe.bulk", "Outcomes")
PAGER = Origin("pinstripe._resources.pager", "Pager")
SELF = Origin("typing_extensions", "Self")

_ASYNC_ITERABLE = Origin("collections.abc", "AsyncIterable")
_LITERAL = Origin("typing", "Literal")
# How the names of types begin that nothing on the blocking side can have.
_ASYNC_TYPES = ("Async", "Awaitable", "Coroutine")
# A plain method can return these, and `blocking_return` replaces them; no argument can be one.
_RETURNED_ONLY = (OUTCOMES, PAGER, SELF)


class UnknownConstructError(Exception):
    """A construct of the source that the generator has no rule for."""


@frozen
class Source:
    """A module that the generator reads.

    Attributes:
        module: Its name in the package.
        tree: Its syntax tree.
        origins: The origin of each of its names.
    """

    module: str
    tree: ast.Module
    origins: Mapping[str, Origin]

    def unknown(self, node: ast.AST, construct: str) -> UnknownConstructError:
        """Return the error for a construct.

        Args:
            node: The node at its place.
            construct: A description of it.
        """
        line = getattr(node, "lineno", 1)
        return UnknownConstructError(f"pinstripe/{self.module}.py:{line}: {construct}")

    def origin(self, node: ast.AST | None) -> Origin | None:
        """Return the origin of the head of a type; the head of `Pager[File]` is `Pager`.

        Args:
            node: The type.
        """
        head = node.value if isinstance(node, ast.Subscript) else node
        return self.origins.get(head.id) if isinstance(head, ast.Name) else None


def read_source(module: str, text: str) -> Source:
    """Parse a module.

    Args:
        module: Its name in the package.
        text: Its text.
    """
    tree = ast.parse(text)
    return Source(module, tree, dict(_origins(f"pinstripe.{module}", tree.body)))


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
    """The names that the output needs; they grow while the output is written.

    Attributes:
        origins: The origin of each name.
        at_run_time: The origins that are needed at run time, and not for types only.
    """

    origins: dict[str, Origin]
    at_run_time: set[Origin]

    def need(self, source: Source, node: ast.Name, *, at_run_time: bool = False) -> ast.Name:
        """Return the name that the output uses for a name of the source.

        Args:
            source: The module that uses the name.
            node: The name.
            at_run_time: Whether it is needed at run time.

        Raises:
            UnknownConstructError: It has no origin, or belongs to the async side only.
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
        """Add an origin to the names of the output, and return its name.

        Args:
            source: The module that needs it.
            node: The node that needs it.
            origin: The origin.
            at_run_time: Whether it is needed at run time.

        Raises:
            UnknownConstructError: The name is taken by another origin.
        """
        name = origin.name or origin.module
        if self.origins.setdefault(name, origin) != origin:
            raise source.unknown(node, f"a second meaning of the name {name}")
        if at_run_time:
            self.at_run_time.add(origin)
        return ast.Name(name, ast.Load())


def blocking_type(names: Names, source: Source, node: ast.expr) -> ast.expr:
    """Return the blocking type for a type of the async side.

    Args:
        names: The names of the output, to which the names of the type are added.
        source: The module with the type.
        node: The type.

    Raises:
        UnknownConstructError: No rule knows the type.
    """
    made = _Types(names, source).visit(node)
    assert isinstance(made, ast.expr)
    return made


def blocking_return(names: Names, source: Source, node: ast.expr) -> ast.expr:
    """Return the type that the blocking counterpart of a plain method returns.

    A pager and the outcomes of a fan-out have blocking counterparts; any other type is replaced by
    `blocking_type`.

    Args:
        names: The names of the output, to which the names of the type are added.
        source: The module with the type.
        node: The type that the method returns.

    Raises:
        UnknownConstructError: No rule knows the type.
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
        # Of `Iterable[X] | AsyncIterable[X]` the blocking side has the first half.
        if self.source.origin(node.right) == _ASYNC_ITERABLE:
            return blocking_type(self.names, self.source, node.left)
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if self.source.origin(node) != _LITERAL:
            return self.generic_visit(node)
        # The texts in a Literal are values, not types in quotes, so they are not visited.
        node.value = blocking_type(self.names, self.source, node.value)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, str):
            raise self.source.unknown(node, "a type in quotes")
        return node


def imports(origins: Iterable[Origin]) -> str:
    """Return the statements that import names, in the order that the linter wants.

    Args:
        origins: The origins of the names.
    """
    modules: dict[str, list[str]] = {}
    for origin in origins:
        modules.setdefault(origin.module, []).append(origin.name)
    # The standard library, other packages, and this package; plain `import`s come first in each.
    sections: list[list[str]] = [[], [], []]
    for module, names in sorted(modules.items(), key=lambda one: (any(one[1]), one)):
        top = module.partition(".")[0]
        section = 0 if top in sys.stdlib_module_names else 1 + (top == "pinstripe")
        # Constants, then classes, then functions.
        ordered = sorted(
            set(names), key=lambda name: (not name.isupper(), name[:1].islower(), name)
        )
        line = f"from {module} import {', '.join(ordered)}" if any(ordered) else f"import {module}"
        sections[section].append(line)
    return "\n\n".join("\n".join(lines) for lines in sections if lines)
