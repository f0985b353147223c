"""The README: it is short, its table names every call, and its commands are there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from inspect import isfunction

from pinstripe import AsyncClient
from pinstripe._resources.resource import Resource
from tests.support.blocks import ROOT, blocks

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_its_first_screen_shows_how_to_begin() -> None:
    first = [block for block in blocks("python", "sh") if block.source == "README.md"][:5]
    commands, asynchronous, blocking, sandbox, server = (block.text for block in first)
    assert re.findall(
        r"^python -m pip install nox && python -m nox -s (\w+)$", commands, re.MULTILINE
    ) == [
        "demo",
        "tests",
    ]
    assert len([line for line in asynchronous.splitlines() if line]) <= 10
    assert len([line for line in blocking.splitlines() if line]) == 4
    assert "async with Sandbox()" in sandbox
    assert server.startswith("pinstripe sandbox")
    assert README.index(server) < README.index("## ")


def test_the_table_of_calls_names_them_all() -> None:
    client = AsyncClient("sk_test_1")
    places = {name for name, it in vars(AsyncClient).items() if isinstance(it, cached_property)}
    calls = {"the client itself": calls_of(client) - {"aclose"}}
    for place in places:
        for name, resource in resources_of(getattr(client, place), place):
            calls[name] = calls_of(resource)
    assert calls_in_table() == calls


def calls_in_table() -> dict[str, set[str]]:
    rows = README.partition("| namespace | calls |\n|---|---|\n")[2].partition("\n\n")[0]
    cells = [row.strip("| ").split(" | ") for row in rows.splitlines()]
    return {
        name.strip("`"): set(re.findall(r"`(\w+)`", calls))
        for names, calls in cells
        for name in names.split(", ")
    }


def resources_of(namespace: object, place: str) -> Iterator[tuple[str, Resource]]:
    if isinstance(namespace, Resource):
        yield place, namespace
    else:
        for name, resource in vars(namespace).items():
            yield from resources_of(resource, f"{place}.{name}")


def calls_of(owner: object) -> set[str]:
    members = vars(type(owner)).items()
    return {name for name, it in members if isfunction(it) and not name.startswith("_")}
