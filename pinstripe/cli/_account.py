"""The account that a command asks: the key and the address from the environment."""

from __future__ import annotations

import os
from typing import Any

import click

from pinstripe._client import AsyncClient
from pinstripe._core.errors import ConfigurationError


class BadInput(click.ClickException):
    """The usage, the input or the environment is wrong, and nothing was sent."""

    exit_code = 2


def open_client(hint: str = "", **options: Any) -> AsyncClient:
    """Return a client with the key of `STRIPE_API_KEY`.

    Args:
        hint: What to add to the message if there is no usable key.
        options: Options of the client.

    Raises:
        BadInput: The key or the address cannot be used.
    """
    try:
        return AsyncClient(**options)
    except ConfigurationError as error:
        problem = error.message
        if error.argument == "api_key":
            # The client's message is about its argument, which a command does not have.
            fault = problem.partition(": ")[2] if os.environ.get("STRIPE_API_KEY") else "is not set"
            problem = f"STRIPE_API_KEY {fault}{hint}"
        raise BadInput(problem) from None


def test_client() -> AsyncClient:
    """Return a client whose key is a test key.

    Raises:
        BadInput: The key or the address cannot be used, or the key is a live one.
    """
    if "_live_" in os.environ.get("STRIPE_API_KEY", ""):
        raise BadInput("STRIPE_API_KEY is a live key; this command takes test keys only")
    return open_client()
