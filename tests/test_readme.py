"""Every snippet of the README runs, as it stands there."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cached_property
from inspect import isfunction
from pathlib import Path

import pytest

from pinstripe import AsyncClient
from pinstripe._resources.resource import Resource
from pinstripe.sandbox import Sandbox

README = Path(__file__).parent.parent / "README.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SNIPPETS = [
    pytest.param(text, id=f"{language}-{number}")
    for number, (language, text) in enumerate(FENCE.findall(README.read_text()))
    if language == "python"
]
COMMANDS = [
    line
    for language, text in FENCE.findall(README.read_text())
    if language == "sh"
    for line in text.splitlines()
]


@pytest.fixture(scope="module")
def sandbox_environment() -> Iterator[dict[str, str]]:
    with Sandbox() as sandbox:
        yield {
            **os.environ,
            "STRIPE_API_KEY": sandbox.api_key,
            "PINSTRIPE_BASE_URL": sandbox.url,
        }


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_snippet_runs(snippet: str, sandbox_environment: dict[str, str], tmp_path: Path) -> None:
    script = tmp_path / "snippet.py"
    script.write_text(snippet)
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        env=sandbox_environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr


def test_there_are_snippets_of_each_kind() -> None:
    assert len(SNIPPETS) >= 2
    assert any(command.startswith("pinstripe ") for command in COMMANDS)


def test_the_table_of_calls_names_them_all() -> None:
    client = AsyncClient("sk_test_1")
    places = {name for name, it in vars(AsyncClient).items() if isinstance(it, cached_property)}
    calls = {"the client itself": calls_of(client) - {"aclose"}}
    for place in places:
        for name, resource in resources_of(getattr(client, place), place):
            calls[name] = calls_of(resource)
    assert calls_in_table() == calls


def calls_in_table() -> dict[str, set[str]]:
    rows = (
        README.read_text().partition("| namespace | calls |\n|---|---|\n")[2].partition("\n\n")[0]
    )
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
            yield f"{place}.{name}", resource


def calls_of(owner: object) -> set[str]:
    members = vars(type(owner)).items()
    return {name for name, it in members if isfunction(it) and not name.startswith("_")}
