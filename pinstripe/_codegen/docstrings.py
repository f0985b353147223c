"""Docstrings: from what an async class or method says of itself to what its blocking twin says.

Indented examples lose `await` and `async`, token by token, where they are Python. Prose is kept,
but for the sentences of a small table. Whatever still speaks of awaiting after that is an error,
so that a docstring that changed cannot leave a stale one behind.
"""

from __future__ import annotations

import ast
import re
import textwrap
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from io import StringIO
from itertools import pairwise

from attrs import field, frozen

SENTENCES: Mapping[str, str] = {
    "The client, for asyncio.": "The client for code that blocks: scripts, threads, notebooks.",
    "Without `async with`, end it with `aclose()`.": "Without `with`, end it with `close()`.",
    "A pager: iterate it with `async for`, or await it for the first page.": (
        "A pager: iterate it, or ask it for its `first()` page."
    ),
}
"""The sentences that hold only where one awaits, and what holds of the blocking twin."""

LINE_LENGTH = 100

_RENAMED = {"AsyncClient": "Client", "aclose": "close"}
_STALE = re.compile(
    r"\b(?:async\w*|await(?:s|ed|ing|able)?|aclos\w+|aiter|anext|coroutines?|event\s+loop)\b",
    re.IGNORECASE,
)
_HEADER = re.compile(r"(?:Args|Attributes|Raises|Returns|Yields):")
_ENTRIES = ("Args:", "Attributes:", "Raises:")
_ENTRY = re.compile(r"(\w+): ")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`])")


class StaleTextError(ValueError):
    """A text that would say something untrue of the blocking twin."""


@frozen
class Block:
    """Lines of a docstring that belong together; what kind they are, `section` and indent tell."""

    section: str
    lines: list[str] = field(factory=list[str])

    @property
    def is_example(self) -> bool:
        """Whether these are indented lines outside of any section."""
        return not self.section and self.lines[0].startswith("    ")


def blocking_text(docstring: str, indent: int) -> str:
    """Return the docstring of the blocking twin, laid out as source has it.

    Args:
        docstring: The docstring, without the indentation of the source.
        indent: Columns by which the source is indented there.

    Raises:
        StaleTextError: It speaks of awaiting where no rule says what to put in place of that.
    """
    width = LINE_LENGTH - indent
    lines = [line for block in _blocks(docstring) for line in _rewritten(block, width)]
    if len(lines) == 1:
        return lines[0]
    return textwrap.indent("\n".join([*lines, ""]), " " * indent).lstrip() + " " * indent


def entries(docstring: str) -> dict[str, str]:
    """Return what the section `Attributes` says, by name.

    Args:
        docstring: The docstring, without the indentation of the source.
    """
    blocks = [block for block in _blocks(docstring) if block.section == "Attributes:"]
    found = (_labelled(_joined(block)) for block in blocks)
    return {label.removesuffix(": "): text for label, text in found if label}


def without_entries(docstring: str) -> str:
    """Return a docstring without its sections.

    Args:
        docstring: The docstring, without the indentation of the source.
    """
    lines = [line for block in _blocks(docstring) if not block.section for line in block.lines]
    return "\n".join(lines).strip()


def _blocks(docstring: str) -> Iterator[Block]:
    """Split a docstring where a paragraph, an example or an entry of a section begins."""
    section, block = "", Block("")
    for line in docstring.splitlines():
        if line and not line.startswith(" "):
            section = line if _HEADER.fullmatch(line) else ""
        if _begins(line, section, block):
            if block.lines:
                yield block
            block = Block(section)
        block.lines.append(line)
    yield block


def _begins(line: str, section: str, block: Block) -> bool:
    before = block.lines[-1] if block.lines else ""
    entry = section in _ENTRIES and re.match(r" {4}\S", line) is not None
    return entry or section != block.section or before == section or not (line and before)


def _rewritten(block: Block, width: int) -> list[str]:
    if not _STALE.search(_joined(block)):
        return block.lines
    if block.is_example:
        return _blocking_example(block.lines)
    return _blocking_prose(block, width)


def _joined(block: Block) -> str:
    return " ".join(line.strip() for line in block.lines)


def _labelled(text: str) -> tuple[str, str]:
    """Split `name: text` of an entry."""
    found = _ENTRY.match(text)
    return (found[0], text[found.end() :]) if found else ("", text)


def _blocking_prose(block: Block, width: int) -> list[str]:
    text = _joined(block)
    label, text = _labelled(text) if block.section in _ENTRIES else ("", text)
    sentences = (SENTENCES.get(one, one) for one in _SENTENCE_END.split(text))
    first, *others = (line[: -len(line.lstrip())] for line in block.lines)
    return textwrap.wrap(
        label + " ".join(_checked(sentences)),
        width,
        initial_indent=first,
        subsequent_indent=others[0] if others else first + " " * 4 * bool(label),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _checked(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        if _STALE.search(text):
            raise StaleTextError(f"a text that speaks of awaiting: {text.strip()!r}")
        yield text


def _blocking_example(lines: list[str]) -> list[str]:
    text = textwrap.dedent("\n".join(lines))
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise StaleTextError(f"an example that is not Python: {text!r}") from error
    if any(_awaits_list(node) for node in ast.walk(tree)):
        raise StaleTextError(f"an example that awaits a pager: {text!r}")
    indented = textwrap.indent(_without_async(text), "    ")
    return list(_checked(indented.splitlines()))


def _awaits_list(node: ast.AST) -> bool:
    call = node.value if isinstance(node, ast.Await) else None
    return isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".list")


def _without_async(text: str) -> str:
    lines = text.splitlines(keepends=True)
    tokens = list(tokenize.generate_tokens(StringIO(text).readline))
    for token, following in reversed(list(pairwise(tokens))):
        row, start = token.start
        end, name = token.end[1], _RENAMED.get(token.string, token.string)
        if token.type == tokenize.NAME and name in ("async", "await"):
            end, name = (following.start[1] if following.start[0] == row else end), ""
        if token.type == tokenize.NAME:
            lines[row - 1] = lines[row - 1][:start] + name + lines[row - 1][end:]
    return "".join(lines)
