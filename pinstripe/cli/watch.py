"""`pinstripe watch`: the life of an object, from now until it ends."""

from __future__ import annotations

from functools import partial
from typing import Final

import click

from pinstripe.cli._account import ENVIRONMENT, account_options
from pinstripe.cli._calls.calls import GROUPS, call_of, word
from pinstripe.cli._tree import SETTINGS, Lazy, LazyGroup

ENDS: Final = {
    "identity.verification_sessions": ("verified", "canceled"),
    "crypto.onramp_sessions": ("fulfillment_complete", "rejected"),
    "climate.orders": ("delivered", "canceled"),
}
"""The resources that can be watched, and the statuses with which their objects end."""

_TEXT = f"""Print the status of an object, and then each change, until its status is {{ends}}.

{ENVIRONMENT}

The exit status is 0 when the object has ended; 1 if the API refuses to show it; 2 if the usage or
the environment is wrong; 130 after Ctrl-C; 141 if the reader of the output stopped reading.
"""


def _command(path: str) -> click.Command:
    """Return the command that watches an object of a resource."""
    (position, *_) = call_of(f"{path}.retrieve").params

    def run(*, id: str, interval: float, as_json: bool, reveal: bool) -> int:
        from pinstripe.cli._watch import watch_object  # noqa: PLC0415 -- slow, so only if needed

        return watch_object(path, id, ENDS[path], interval, as_json=as_json, reveal=reveal)

    return click.Command(
        word(path.rpartition(".")[2]),
        callback=run,
        params=[
            click.Argument(["id"], metavar=position.shown),
            click.Option(
                ["--interval"],
                type=click.FloatRange(0.01, 3600),
                default=2.0,
                show_default=True,
                help="Seconds between two looks at it.",
            ),
            click.Option(
                ["as_json", "--json"],
                is_flag=True,
                help="Print the object as a line of JSON, now and after each change.",
            ),
            click.Option(["--reveal"], is_flag=True, help="Print private fields, too."),
            *account_options(),
        ],
        help=_TEXT.format(ends=" or ".join(ENDS[path])),
        context_settings=SETTINGS,
    )


def _below(path: str) -> dict[str, Lazy]:
    """Return the commands right below a namespace; an empty path is that of all."""
    above = f"{path}." if path else ""
    found: dict[str, Lazy] = {}
    for end in ENDS:
        if end.startswith(above):
            below = above + end[len(above) :].partition(".")[0]
            load = partial(_command if below == end else _group, below)
            found[word(below.rpartition(".")[2])] = Lazy(GROUPS[below], load)
    return found


def _group(path: str) -> LazyGroup:
    return LazyGroup(word(path), f"{GROUPS[path]}\n\n{ENVIRONMENT}", _below(path))


watch = LazyGroup(
    "watch", f"Show the life of an object until it ends.\n\n{ENVIRONMENT}", _below("")
)
