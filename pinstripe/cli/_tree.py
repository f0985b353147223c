"""Groups of commands that are made or imported when they are needed.

Help, completion and a misspelt word need names and one line of each command. What a command runs is
slow to import, so a group knows the lines, and loads a command when it is called or asked for its
own help.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SETTINGS: Final = {"help_option_names": ["-h", "--help"]}
"""The settings of every command."""


class Lazy(NamedTuple):
    """A command that is not there yet.

    Attributes:
        text: Its line in the help of its group.
        load: Makes or imports it.
        section: The heading that it is listed under.
    """

    text: str
    load: Callable[[], click.Command]
    section: str = "Commands"


def imported(module: str, name: str) -> Callable[[], click.Command]:
    """Return a function that imports a command.

    Args:
        module: Its module.
        name: Its name there.
    """

    def load() -> click.Command:
        command: click.Command = getattr(import_module(module), name)
        command.context_settings = {**SETTINGS, **command.context_settings}
        return command

    return load


class LazyGroup(click.Group):
    """A group of such commands.

    Args:
        name: Its name.
        text: Its help.
        lazy: Its commands, by name, in the order of the help.
        elsewhere: Where else a word is a command: the words to type in place of it.
    """

    def __init__(
        self,
        name: str,
        text: str,
        lazy: Mapping[str, Lazy],
        elsewhere: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        super().__init__(name, help=text, context_settings=SETTINGS, no_args_is_help=True)
        self._lazy = lazy
        self._elsewhere = elsewhere

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; None if there is none of this name."""
        if cmd_name not in self.commands and cmd_name in self._lazy:
            self.commands[cmd_name] = self._lazy[cmd_name].load()
        return self.commands.get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first word names, and the other words."""
        name = args[0]
        if name in self._lazy or ctx.resilient_parsing or name.startswith("-"):
            return super().resolve_command(ctx, args)
        from difflib import get_close_matches  # noqa: PLC0415 -- for an error alone

        close = get_close_matches(name, self._lazy, 3, 0.6)
        meant = self._elsewhere(name) or " or ".join(close)
        hint = f" Did you mean {meant}?" if meant else ""
        raise click.UsageError(f"No such command {name!r}.{hint}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the lines of the commands, under their headings."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, lazy in self._lazy.items():
            sections.setdefault(lazy.section, []).append((name, lazy.text))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that an unfinished word may become."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 -- help needs none

        found = [
            CompletionItem(name, help=lazy.text)
            for name, lazy in self._lazy.items()
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)
