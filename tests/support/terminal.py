"""Runs the command in a real terminal of a chosen width, as a person sees it."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from tests.support import warm

SECONDS = 120


@frozen
class Seen:
    """What was on the terminal, and the exit status."""

    text: str
    status: int

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


@contextmanager
def terminal(
    command: Sequence[str], env: Mapping[str, str], *, columns: int = 80
) -> Iterator[Callable[..., str]]:
    """Run a program in a terminal, and give a function that types, and reads until texts came.

    Args:
        command: The words of the program; it is killed at the end.
        env: Its environment.
        columns: The width of the terminal.
    """
    ours, theirs = opened(columns)
    words = ["setsid", "--ctty", *command]
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        limit = threading.Timer(SECONDS, process.kill)
        limit.start()

        def type_(text: str, *until: str) -> str:
            os.write(ours, text.encode())
            shown, place = "", 0
            for one in until:
                while (found := shown.find(one, place)) < 0:
                    shown += os.read(ours, 65536).decode()
                place = found + len(one)
            return shown

        try:
            yield type_
        finally:
            limit.cancel()
            process.kill()
            os.close(ours)


def opened(columns: int) -> tuple[int, int]:
    """Return the two sides of a terminal of a width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    return ours, theirs


def in_terminal(
    words: Sequence[str | Path],
    env: Mapping[str, str],
    *,
    columns: int = 80,
    answer: bytes = b"",
    prompt: str = "Do it?",
) -> Seen:
    """Run Python with one terminal as its input and outputs, and return what it shows.

    Args:
        words: The arguments of Python.
        env: Its environment.
        columns: The width of the terminal.
        answer: What is typed when the prompt is there.
        prompt: The prompt.
    """
    ours, theirs = opened(columns)
    environ = {k: v for k, v in env.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
    # It is the terminal of the command, which gets a signal for Ctrl-C then.
    with warm.start(
        words,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environ, "TERM": "xterm-256color"},
        in_terminal=True,
    ) as process:
        os.close(theirs)
        limit = threading.Timer(SECONDS, process.kill)
        limit.start()
        try:
            text = read_and_answer(ours, answer, prompt)
            return Seen(text, process.wait())
        finally:
            limit.cancel()
            os.close(ours)


def read_and_answer(ours: int, answer: bytes, prompt: str) -> str:
    """Return all that is shown on a terminal; when a prompt is there, type an answer once."""
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
            if answer and prompt.encode() in shown:
                os.write(ours, answer)
                answer = b""
    except OSError:  # Linux reports so that the other side is closed
        pass
    return shown.decode().replace("\r\n", "\n")
