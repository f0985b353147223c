"""The Python blocks of the documents and of the public modules' docstrings.

`python -m tests.support.blocks FOLDER` writes them to a folder, for type checkers.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "pinstripe"

DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / ".docs").rglob("*.md"),
        *(ROOT / ".github").rglob("*.md"),
        *(ROOT / "benchmarks").rglob("*.md"),
    ]
)

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# What serves requests until it is stopped: a block that shows it is imported, and not run.
SERVERS = {"aiohttp", "django", "fastapi", "flask", "starlette", "uvicorn", "wsgiref"}

# What has types for a part of its calls only: its blocks are not given to type checkers.
UNTYPED = {"distributed", "polars"}


@frozen
class Block:
    """A block of code, and how it can be tried."""

    source: str
    number: int
    language: str
    text: str

    @property
    def name(self) -> str:
        """A name for its file: that of its source, and its number there."""
        return re.sub(r"\W+", "_", f"{self.source}_{self.number}").strip("_").lower()

    def command(self, script: Path) -> list[str]:
        """Return the arguments for Python that try it: run as a program or as tests, or import."""
        tree = ast.parse(self.text)
        if any(getattr(node, "name", "").startswith("test_") for node in tree.body):
            mode = ["asyncio_mode=auto", "asyncio_default_fixture_loop_scope=function"]
            options = ["-q", "-W", "error", "-p", "no:cacheprovider", "-o", mode[0], "-o", mode[1]]
            return ["-m", "pytest", *options, str(script)]
        if imported_by(tree) & SERVERS:
            return ["-W", "error", "-c", f"import {script.stem}"]
        return ["-W", "error", str(script)]


def imported_by(tree: ast.Module) -> set[str]:
    """Return the packages that a block imports."""
    return {name.partition(".")[0] for node in ast.walk(tree) for name in names(node)}


def names(node: ast.AST) -> Iterator[str]:
    """Yield the modules that a statement imports."""
    if isinstance(node, ast.ImportFrom):
        yield node.module or ""
    elif isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)


def public_sources() -> Iterator[tuple[str, str]]:
    """Yield the text of each document and public module's docstring, with its name."""
    for path in DOCUMENTS:
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if not any(part.startswith("_") for part in parts):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            yield ".".join(("pinstripe", *parts)), ast.get_docstring(tree) or ""


def blocks(*languages: str) -> list[Block]:
    """Return the blocks in these languages."""
    return [
        Block(source, number, language, text)
        for source, document in public_sources()
        for number, (language, text) in enumerate(FENCE.findall(document))
        if language in languages
    ]


def write_for_type_checkers(folder: Path) -> None:
    """Write the Python blocks to a folder, and a configuration for pyright beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.py"):
        old.unlink()
    for block in blocks("python"):
        if not UNTYPED & imported_by(ast.parse(block.text)):
            (folder / f"{block.name}.py").write_text(block.text, encoding="utf-8")
    settings = {"typeCheckingMode": "strict", "pythonVersion": "3.10", "extraPaths": [str(ROOT)]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")


if __name__ == "__main__":
    write_for_type_checkers(Path(sys.argv[1]))
