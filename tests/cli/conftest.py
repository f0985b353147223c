from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from pinstripe.cli import _main
from pinstripe.sandbox import Sandbox
from tests.support.cli_process import same_sandbox


@pytest.fixture(autouse=True)
def commands_can_be_interrupted(sigint_reaches_us: None) -> None:
    """Ctrl-C is a part of what every command does."""


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox that the commands of this process ask, with a stopped clock."""
    with same_sandbox() as sandbox:
        monkeypatch.setenv("STRIPE_API_KEY", sandbox.api_key)
        monkeypatch.setenv("PINSTRIPE_BASE_URL", sandbox.url)
        yield sandbox


@pytest.fixture
def pinstripe(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command in this process: gives its exit status."""

    def command(*arguments: str | Path) -> int:
        words: Sequence[str] = ["pinstripe", *map(str, arguments)]
        monkeypatch.setattr("sys.argv", words)
        return _main.run()

    return command
