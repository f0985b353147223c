"""What the package says to people: every text in the code that is no docstring, read once."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import pinstripe
from pinstripe._core.checks import kind_of, with_article

PACKAGE = Path(pinstripe.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "_event_samples.py")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
FAULTS = {
    "an article before a name that is only known later": re.compile(r"\b[Aa]n? \{"),
    "the wrong article": re.compile(r"\b[Aa] [aeioAEIO]|\b[Aa]n [bcdfgjkpqtvwyzBCDGJKPQTVWYZ]"),
    "a word of this house": re.compile(r"\b(room|door|corridor|whoever|anew|told)s?\b"),
    "a private name": re.compile(r"(?<![\w{}/'\"`.])_[a-z]\w*"),
}


def texts(path: Path) -> Iterator[str]:
    """Yield the texts of a module that hold a space; {} stands for what is filled in."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and id(node) not in statements:
            # A text that is a statement of its own is a docstring.
            value = node.value
            yield from [value] if isinstance(value, str) and " " in value else []


def test_texts_are_plain_english() -> None:
    # The generator writes code, not sentences.
    found = [
        f"{path.relative_to(PACKAGE)}: {fault}: {text!r}"
        for path in MODULES
        if "_codegen" not in path.parts
        for text in texts(path)
        for fault, pattern in FAULTS.items()
        if pattern.search(text)
    ]
    assert not found


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1, "an int"),
        ("a", "a str"),
        (None, "None"),
        ([], "a list"),
        (Path(), f"a pathlib.{type(Path()).__name__}"),
        (object(), "an object"),
    ],
)
def test_a_value_is_named_by_its_class_with_the_right_article(value, said) -> None:
    assert kind_of(value) == said


def test_articles() -> None:
    names = ("Event", "OnrampQuoteFees", "RateLimit", "UploadFile", "UUID", "int")
    said = ["an Event", "an OnrampQuoteFees", "a RateLimit", "an UploadFile", "a UUID", "an int"]
    assert [with_article(name) for name in names] == said
