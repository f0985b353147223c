"""An aiohttp of the future: the installed one, with private names that are other ones.

`pytest -p tests.support.future_aiohttp` runs tests with it, so that the client goes over aiohttp's
public session.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

RENAMED = {"aiohttp.connector": "_get"}


class _Loader(SourceFileLoader):
    """Renames a name in a module, wherever it stands."""

    def path_stats(self, path: str) -> Any:
        raise OSError  # so that no compiled code is read or written

    def source_to_code(self, data: Any, path: Any, **options: Any) -> Any:
        old = RENAMED[self.name].encode()
        renamed, count = re.subn(rb"\b%b\b" % old, b"_renamed" + old, data)
        assert count > 1, f"{old!r} is not used in {path}"
        return super().source_to_code(renamed, path, **options)


class _Finder:
    """Finds the modules in which something is renamed."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in RENAMED else None
        if spec is not None:
            spec.loader = _Loader(name, spec.origin or "")
        return spec


assert not RENAMED.keys() & sys.modules.keys(), "aiohttp was imported before"
sys.meta_path.insert(0, _Finder())
