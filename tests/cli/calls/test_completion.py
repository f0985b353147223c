"""Completion, driven by the shells themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.missing import leave_out
from tests.support.terminal import terminal

SECONDS = 120

# What is typed up to the place of the cursor, and words that must be offered there.
TYPED = {
    "pinstripe ident": ["identity"],
    "pinstripe identity ver": ["verification-sessions", "verification-reports"],
    "pinstripe climate orders create --metric": ["--metric-tons"],
    "pinstripe identity verification-sessions list --status ver": ["verified"],
    "pinstripe events list --type identity.verification_session.ver": [
        "identity.verification_session.verified"
    ],
    "pinstripe trigger climate.order.cr": ["climate.order.created"],
    "pinstripe watch crypto onr": ["onramp-sessions"],
    "pinstripe sandbox --reach": ["--reachable-as"],
}


def shell(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        leave_out(f"there is no {name} here")
    return found


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment whose `pinstripe` is the command of these sources."""
    folder = tmp_path_factory.mktemp("bin")
    command = folder / "pinstripe"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -W error -m pinstripe.cli "$@"\n')
    command.chmod(0o755)
    root = Path(__file__).parents[3]
    return {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(root),
        "HOME": str(folder),
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
    }


def output(command: list[str], env: dict[str, str]) -> str:
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.stderr == ""
    return done.stdout


def bash(typed: list[str], env: dict[str, str]) -> list[str]:
    """Have bash's own function for the command fill in its answers, as Tab does."""
    script = 'eval "$(pinstripe completion bash)"\n'
    for line in typed:
        words = line.split(" ")
        script += (
            f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; COMPREPLY=()\n"
            f"$(complete -p pinstripe | sed 's/.*-F \\([^ ]*\\).*/\\1/') pinstripe\n"
            'echo "${COMPREPLY[*]}"\n'
        )
    return output([shell("bash"), "--norc", "-c", script], env).splitlines()


def fish(typed: list[str], env: dict[str, str]) -> list[str]:
    """Ask fish what it would offer."""
    script = "pinstripe completion fish | source\n"
    script += "".join(f"echo (complete -C '{line}')\n" for line in typed)
    return output([shell("fish"), "--no-config", "-c", script], env).splitlines()


def zsh(typed: list[str], env: dict[str, str]) -> list[str]:
    """Type into an interactive zsh in a terminal, with Tab and Enter; a function shows the line."""
    setup = (
        "PS1='> '; autoload -Uz compinit; compinit -u -D; "
        'eval "$(pinstripe completion zsh)"; '
        'pinstripe() { print "GO""T:$*" }; echo REA\'\'DY'
    )
    with terminal([shell("zsh"), "-f", "-i"], env, columns=200) as type_:
        type_(f"{setup}\n", "READY\r")
        # The first Tab adds what several words have in common, and the second one shows them.
        tabs = {line: "\t" * len(words) for line, words in TYPED.items()}
        return [type_(f"{line}{tabs[line]}\n", "GOT:", "\n") for line in typed]


@pytest.mark.parametrize("shown_by", [bash, zsh, fish])
def test_a_shell_completes(
    shown_by: Callable[[list[str], dict[str, str]], list[str]], env: dict[str, str]
) -> None:
    offered = shown_by([*TYPED], env)
    assert len(offered) == len(TYPED)
    for (typed, wanted), shown in zip(TYPED.items(), offered, strict=True):
        for word in wanted:
            assert word in shown, (typed, shown)
