"""Names of a package that are imported when they are first used.

The import of the package itself then costs next to nothing, and a program that uses few names
imports few modules.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any


def lazy_names(
    package: str, names: Sequence[str], modules: Sequence[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the `__getattr__` and the `__dir__` of a package.

    Args:
        package: The name of the package.
        names: The public names of the package. Each is a module in it, or defined in one of
            `modules`.
        modules: The modules that define names, in the order in which they are searched: those that
            are cheap to import come first.
    """
    owner = sys.modules[package]

    def find(name: str) -> Any:
        if name not in names:
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=owner)
        value = _module(f"{package}.{name}")
        if value is None:
            imported = (import_module(f"{package}.{module}") for module in modules)
            value = next(getattr(module, name) for module in imported if hasattr(module, name))
        # Python asks `__getattr__` only for what the module does not have.
        setattr(owner, name, value)
        return value

    def every_name() -> list[str]:
        return sorted({*vars(owner), *names})

    return find, every_name


def _module(name: str) -> ModuleType | None:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        # The module can be there and import something that is not, which is an error to report.
        if error.name == name:
            return None
        raise
