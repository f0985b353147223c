"""The installed aiohttp, changed as a future version of it could be."""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import Any

import pytest
from aiohttp import BaseConnector

from pinstripe._http import compatibility


def rewrite(
    patch: pytest.MonkeyPatch, owner: type, method: str, pattern: str, replacement: str
) -> None:
    """Replace a part of a method's source.

    Args:
        patch: Undoes it.
        owner: The class that defines the method.
        method: Its name.
        pattern: A regular expression for the part; it must occur.
        replacement: What stands there instead.
    """
    function = getattr(owner, method)
    source, count = re.subn(pattern, replacement, textwrap.dedent(inspect.getsource(function)))
    assert count, f"{method} has no {pattern}"
    made: dict[str, Any] = {}
    exec(source, function.__globals__, made)
    patch.setattr(owner, method, made[method])


def rename(
    patch: pytest.MonkeyPatch, owner: type, old: str, user: tuple[type, str] | None = None
) -> None:
    """Rename a method of aiohttp, and use its new name where aiohttp itself uses it.

    Args:
        patch: Undoes it.
        owner: The class that defines the method.
        old: Its name.
        user: The method that uses it, after its class.
    """
    new = f"{old}_renamed"
    if user is not None:
        rewrite(patch, *user, rf"\b{old}\b", new)
    patch.setattr(owner, new, getattr(owner, old), raising=False)
    patch.delattr(owner, old)


def use_session(patch: pytest.MonkeyPatch) -> None:
    """Have all clients that open their connections from now on go over aiohttp's session."""
    rename(patch, BaseConnector, "_get", (BaseConnector, "connect"))
    patch.setattr(compatibility, "_chosen", [])
