"""`pinstripe completion`: what makes a shell complete commands, options and values."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    r"""Print the script with which SHELL completes commands, options, values and types of events.

    \b
    bash: add to ~/.bashrc    eval "$(pinstripe completion bash)"
    zsh:  add to ~/.zshrc     eval "$(pinstripe completion zsh)"
    fish: run once            pinstripe completion fish > ~/.config/fish/completions/pinstripe.fish

    The command reads nothing from the environment.

    The exit status is 0.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "pinstripe", "_PINSTRIPE_COMPLETE").source())
