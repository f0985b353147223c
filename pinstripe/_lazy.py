"""Names of a package that import their room when they are first touched."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any


def lazy_names(
    package: str, names: Sequence[str], rooms: Sequence[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and the `__dir__` of a package.

    Args:
        package: Its name.
        names: Its names, each that of a module in it or of something in one of its rooms.
        rooms: The modules that names are looked for in, the cheapest to import first.
    """
    door = sys.modules[package]

    def find(name: str) -> Any:
        if name not in names:
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=door)
        value = _module(f"{package}.{name}") or _found(name, package, rooms)
        setattr(door, name, value)
        return value

    def everything() -> list[str]:
        return sorted({*vars(door), *names})

    return find, everything


def _module(name: str) -> ModuleType | None:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            return None
        raise


def _found(name: str, package: str, rooms: Sequence[str]) -> Any:
    modules = (import_module(f"{package}.{room}") for room in rooms)
    return next(getattr(module, name) for module in modules if hasattr(module, name))
