"""The groups and commands of the calls, each made when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import click

from pinstripe.cli._account import ENVIRONMENT
from pinstripe.cli._calls.calls import GROUPS, Call, call_of, paths_below, word
from pinstripe.cli._calls.options import params_of
from pinstripe.cli._status import HELP as STATUSES
from pinstripe.cli._tree import SETTINGS, Lazy, LazyGroup, imported

SECTION: Final = "Resources"
_OWN: Final = {
    "events": {
        "tail": Lazy("Follow the log of events.", imported("pinstripe.cli.tail", "tail"), "Also")
    }
}
"""Commands that are not calls, by the group that they belong to."""


def commands_below(path: str) -> dict[str, Lazy]:
    """Return the commands right below a namespace or resource.

    Args:
        path: Its path; empty for the client.
    """
    found = {
        word(below.rpartition(".")[2]): (
            Lazy(GROUPS[below], partial(_group, below), SECTION)
            if below in GROUPS
            else Lazy(call_of(below).text.partition("\n")[0], partial(_command, below))
        )
        for below in paths_below(path)
    }
    return found | _OWN.get(path, {})


def find_elsewhere(name: str) -> str | None:
    """Return the words of a group deeper in the tree that has a name; None if there is none.

    Args:
        name: The name, as it was typed.
    """
    for path in GROUPS:
        if "." in path and word(path.rpartition(".")[2]) == name:
            return words_of(path)
    return None


def words_of(path: str) -> str:
    """Return the words that lead to a call or a group.

    Args:
        path: Its path.
    """
    return word(path).replace(".", " ")


def _group(path: str) -> LazyGroup:
    name, text = word(path.rpartition(".")[2]), f"{GROUPS[path]}\n\n{ENVIRONMENT}"
    return LazyGroup(name, text, commands_below(path))


def _command(path: str) -> click.Command:
    call = call_of(path)

    def run(**values: Any) -> int:
        from pinstripe.cli._calls.run import run_call  # noqa: PLC0415 -- slow, so only for a call

        return run_call(call, values)

    return click.Command(
        word(call.name),
        callback=run,
        params=params_of(call),
        help="\n\n".join(_paragraphs(call)),
        context_settings=SETTINGS,
    )


def _paragraphs(call: Call) -> Iterator[str]:
    """Yield the help of a command."""
    yield call.text
    for param in call.params:
        if param.has_position:
            yield f"{param.shown}: {param.text[:1].lower()}{param.text[1:]}"
    if call.consequence:
        yield f"It asks first, since {call.consequence}; --yes answers."
    elif call.method != "GET":
        yield "With a live key it asks first; --yes answers."
    yield ENVIRONMENT
    yield STATUSES
