"""The installed aiohttp with other private names, as a version of the future could have.

`pytest -p tests.support.future_aiohttp` runs tests with it: so the client goes over aiohttp's
public session, and what it does there leans on no private name.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

_OF_OTHERS = {"_cache"}
"""Private names that compiled libraries look for in objects of aiohttp."""


def _private_names(folder: Path) -> set[str]:
    """Return the private methods, functions and attributes that only Python code uses."""
    names: set[str] = set()
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                names.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                names.add(node.attr)
    compiled = "".join(file.read_text(encoding="utf-8") for file in folder.rglob("*.pyx"))
    private = {name for name in names if re.match("_[^_]", name)}
    return private - {*re.findall(r"\w+", compiled)} - _OF_OTHERS


class _Loader(SourceFileLoader):
    """Renames private names in a module, wherever they stand."""

    def path_stats(self, path: str) -> Any:
        raise OSError  # so that no compiled code is read or written

    def source_to_code(self, data: Any, path: Any, **options: Any) -> Any:
        renamed = re.sub(r"\b_\w+", _renamed, data.decode())
        return super().source_to_code(renamed.encode(), path, **options)


def _renamed(found: re.Match[str]) -> str:
    return f"_future{found[0]}" if found[0] in _PRIVATE else found[0]


class _Finder:
    """Finds the modules of aiohttp that are written in Python."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        is_aiohttps = name.startswith("aiohttp.")
        spec = PathFinder.find_spec(name, path, target) if is_aiohttps else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(name, spec.loader.path)
        return spec


assert "aiohttp" not in sys.modules, "aiohttp was imported before"
_installed = find_spec("aiohttp")
assert _installed is not None
assert _installed.origin is not None
_PRIVATE = _private_names(Path(_installed.origin).parent)
assert "_get" in _PRIVATE
sys.meta_path.insert(0, _Finder())
