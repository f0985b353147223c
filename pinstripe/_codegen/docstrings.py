"""The docstring of a blocking counterpart, made from the docstring of its async class or method.

Indented examples lose `await` and `async`, token by token. Prose is kept, except for the sentences
of a small table. A text that still mentions awaiting after that is an error, so a changed docstring
cannot leave a stale one behind.
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
    (
        "Several event loops may use it at the same time, each in its own thread and with "
        "connections of its own; every limit counts in each event loop by itself."
    ): "Several threads may use it at the same time; every limit counts for all of them together.",
    "A pager: iterate it with `async for`, or await it for the first page.": (
        "A pager: iterate it, or ask it for its `first()` page."
    ),
}
"""The sentences that are true of the async side only, and those of the blocking counterpart."""

# As in `pyproject.toml`.
_LINE_LENGTH = 100

_RENAMED = {"AsyncClient": "Client", "aclose": "close"}
# What only the async side has.
_STALE = re.compile(
    r"\b(?:async\w*|await(?:s|ed|ing|able)?|aclos\w+|aiter|anext|coroutines?|event\s+loop)\b",
    re.IGNORECASE,
)
# The sections of a docstring; those of `_ENTRIES` hold a list of `name: text`.
_HEADER = re.compile(r"(?:Args|Attributes|Raises|Returns|Yields):")
_ENTRIES = ("Args:", "Attributes:", "Raises:")
_ENTRY = re.compile(r"(\w+): ")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`])")


class StaleTextError(ValueError):
    """A text that is not true of the blocking counterpart."""


@frozen
class Block:
    """Lines of a docstring that belong together: a paragraph, an example or an entry of a section.

    Attributes:
        section: The header of the section, such as `Args:`; empty outside of any section.
        lines: The lines.
    """

    section: str
    lines: list[str] = field(factory=list[str])

    @property
    def is_example(self) -> bool:
        """Whether these are indented lines outside of any section."""
        return not self.section and self.lines[0].startswith("    ")


def blocking_text(docstring: str, indent: int) -> str:
    """Return the docstring of the blocking counterpart, laid out as in source code.

    Args:
        docstring: The docstring, without the indentation of the source.
        indent: The columns by which the source is indented at its place.

    Raises:
        StaleTextError: It mentions awaiting, and no rule says what to write instead.
    """
    width = _LINE_LENGTH - indent
    lines: list[str] = []
    for block in _blocks(docstring):
        if not _STALE.search(_joined(block)):
            lines += block.lines
        elif block.is_example:
            lines += _blocking_example(block.lines)
        else:
            lines += _blocking_prose(block, width)
    if len(lines) == 1:
        return lines[0]
    return textwrap.indent("\n".join([*lines, ""]), " " * indent).lstrip() + " " * indent


def entries(docstring: str, section: str = "Attributes:") -> dict[str, str]:
    """Return the texts of a section, by name.

    Args:
        docstring: The docstring, without the indentation of the source.
        section: The header of the section.
    """
    blocks = [block for block in _blocks(docstring) if block.section == section]
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
    section, block = "", Block("")
    for line in docstring.splitlines():
        # A line at the margin is the header of a section, or ends the section before it.
        if line and not line.startswith(" "):
            section = line if _HEADER.fullmatch(line) else ""
        before = block.lines[-1] if block.lines else ""
        is_entry = section in _ENTRIES and re.match(r" {4}\S", line) is not None
        follows_header = before == section
        follows_gap = not (line and before)
        if is_entry or section != block.section or follows_header or follows_gap:
            if block.lines:
                yield block
            block = Block(section)
        block.lines.append(line)
    yield block


def _joined(block: Block) -> str:
    return " ".join(line.strip() for line in block.lines)


def _labelled(text: str) -> tuple[str, str]:
    """Split an entry into its label, such as `name: `, and its text."""
    found = _ENTRY.match(text)
    return (found[0], text[found.end() :]) if found else ("", text)


def _blocking_prose(block: Block, width: int) -> list[str]:
    text = _joined(block)
    label, text = _labelled(text) if block.section in _ENTRIES else ("", text)
    sentences = (SENTENCES.get(one, one) for one in _SENTENCE_END.split(text))
    # The indentation of the first line and of the others stays as it is.
    first, *others = (line[: -len(line.lstrip())] for line in block.lines)
    return textwrap.wrap(
        label + " ".join(_checked(sentences)),
        width,
        initial_indent=first,
        subsequent_indent=others[0] if others else first + " " * 4 * bool(label),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _blocking_example(lines: list[str]) -> list[str]:
    text = textwrap.dedent("\n".join(lines))
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise StaleTextError(f"an example that is not Python: {text!r}") from error
    # `await client.files.list()` gives the first page, and `client.files.list()` a pager.
    for node in ast.walk(tree):
        call = node.value if isinstance(node, ast.Await) else None
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".list"):
            raise StaleTextError(f"an example that awaits a pager: {text!r}")
    indented = textwrap.indent(_without_async(text), "    ")
    return list(_checked(indented.splitlines()))


def _checked(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        if _STALE.search(text):
            raise StaleTextError(f"a text that mentions awaiting: {text.strip()!r}")
        yield text


def _without_async(text: str) -> str:
    lines = text.splitlines(keepends=True)
    tokens = list(tokenize.generate_tokens(StringIO(text).readline))
    # From the last token to the first, so that the columns of those before it stay right.
    for token, following in reversed(list(pairwise(tokens))):
        row, start = token.start
        end, name = token.end[1], _RENAMED.get(token.string, token.string)
        if token.type == tokenize.NAME and name in ("async", "await"):
            # With the space that follows.
            end, name = (following.start[1] if following.start[0] == row else end), ""
        if token.type == tokenize.NAME:
            lines[row - 1] = lines[row - 1][:start] + name + lines[row - 1][end:]
    return "".join(lines)
