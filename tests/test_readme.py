"""Every snippet of the README runs, as it stands there."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

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
