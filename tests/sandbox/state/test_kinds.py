"""Rendering and expansion on a small registry instead of the API's own kinds."""

from __future__ import annotations

import pytest

from pinstripe.sandbox._state.kinds import Field, Kind, Registry
from tests.support.sandbox_api import refusal_of

SECRET = Field(hidden=True, restricted=True)
REGISTRY = Registry.of(
    [
        Kind(
            "book",
            "b_",
            {"author": Field(link="author"), "notes": Field(hidden=True, inner={"pin": SECRET})},
        ),
        Kind("author", "a_", {"diary": Field(hidden=True), "pin": SECRET}),
    ]
)
AUTHOR = {"id": "a_1", "object": "author", "created": 1, "diary": "d", "pin": "p"}
BOOK = {"id": "b_1", "object": "book", "created": 1, "author": "a_1", "notes": {"a": 1, "pin": "p"}}


def shown(*paths: str, author: str | None = "a_1", restricted: bool = True) -> dict[str, object]:
    tables = REGISTRY.tables()
    tables["author"].put(AUTHOR)
    expand = REGISTRY.parse_expand("book", paths, restricted=restricted, listed=False)
    return REGISTRY.render("book", {**BOOK, "author": author}, expand, tables)


def test_hidden_fields_are_left_out() -> None:
    assert shown() == {"id": "b_1", "object": "book", "created": 1, "author": "a_1"}


def test_an_expanded_object_shows_what_a_plain_key_may_read() -> None:
    assert shown("notes")["notes"] == {"a": 1}
    author = {name: value for name, value in AUTHOR.items() if name != "pin"}
    assert shown("author", restricted=False)["author"] == author


def test_restricted_fields_are_asked_for_one_by_one() -> None:
    assert shown("notes.pin")["notes"] == {"a": 1, "pin": "p"}
    assert shown("author.pin")["author"] == AUTHOR


@pytest.mark.parametrize("author", [None, "a_gone"])
def test_an_id_that_leads_nowhere_stays(author: str | None) -> None:
    assert shown("author", author=author)["author"] == author


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("title", 400),
        ("author.name", 400),
        ("notes.pin.x", 400),
        ("a.b.c.d.e", 400),
        ("author.pin", 403),
    ],
)
def test_paths_that_are_refused(path: str, status: int) -> None:
    refusal = refusal_of(lambda: shown(path, restricted=False))
    assert refusal is not None
    assert (refusal.status, refusal.param) == (status, "expand")


def test_rendering_leaves_the_stored_object_alone() -> None:
    shown("notes", "author")
    assert BOOK["notes"] == {"a": 1, "pin": "p"}
