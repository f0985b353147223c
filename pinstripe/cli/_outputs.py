"""Where an export goes and which share of it a process writes, as they are typed."""

from __future__ import annotations

import re
from typing import Any

import click

from pinstripe.cli._account import BadInput
from pinstripe.cli._words import shown


class Output(click.Path):
    """Where an export goes: a path, or the address of an object store as text."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path or the address."""
        if "://" not in str(value):
            return super().convert(value, param, ctx)
        from pinstripe._core.errors import ConfigurationError  # noqa: PLC0415 -- slow to import
        from pinstripe.export._objects import is_address, local_path  # noqa: PLC0415 -- as above

        if is_address(value):
            return str(value)
        try:
            return super().convert(local_path("output", value) or value, param, ctx)
        except ConfigurationError as error:
            raise BadInput(error.message) from None


def read_share(_: click.Context, __: click.Parameter, text: str | None) -> tuple[int, int] | None:
    """Return which share of the parts a process writes, such as 3/64; the callback of an option.

    Args:
        text: What was typed; None if the option was not given.

    Raises:
        click.BadParameter: It is no share.
    """
    if text is None:
        return None
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if found is None or int(found[1]) >= int(found[2]):
        raise click.BadParameter(f"must be like 0/64 to 63/64, not {shown(text)}")
    return int(found[1]), int(found[2])
