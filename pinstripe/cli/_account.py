"""The account that a command asks: options that every such command has, and the client for them.

The key comes from a file or the environment, never from an option: other users of the machine can
read the words of a command.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from pinstripe.cli._status import USAGE

if TYPE_CHECKING:
    from pinstripe._client import AsyncClient
    from pinstripe._core.errors import ConfigurationError

_C = TypeVar("_C", bound=click.Command)

ENVIRONMENT: Final = (
    "The key is read from STRIPE_API_KEY, unless --api-key-file is given. If PINSTRIPE_BASE_URL is "
    "set, the sandbox at that address is asked in place of Stripe."
)
"""What help says of the environment."""

_KEY_FILE = "api_key_file"
# The options, each with its metavar and help; all but the file are arguments of the client.
_OPTIONS: Final = {
    _KEY_FILE: ("FILE", "Read the key from this file, and not from STRIPE_API_KEY."),
    "base_url": ("URL", "Ask this address, and not that of PINSTRIPE_BASE_URL or Stripe's."),
    "account": ("ACCT", "Act for this connected account (acct_...)."),
    "context": ("PATH", "Act for the last account of this path, such as acct_A/acct_B."),
}
_META = "pinstripe.account"


class BadInput(click.ClickException):
    """The usage, the input or the environment is wrong, and nothing was sent."""

    exit_code = USAGE


def account_options() -> list[click.Parameter]:
    """Return the options of a command that asks an account; their values are kept for later."""
    return [
        click.Option(
            [f"--{name.replace('_', '-')}"],
            type=click.Path(dir_okay=False, allow_dash=False) if name == _KEY_FILE else str,
            metavar=metavar,
            help=text,
            expose_value=False,
            callback=_keep,
        )
        for name, (metavar, text) in _OPTIONS.items()
    ]


def asks_account(command: _C) -> _C:
    """Add the options of an account to a command.

    Args:
        command: The command.
    """
    command.params += account_options()
    return command


def _keep(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.meta.setdefault(_META, {})[param.name] = value


def open_client(hint: str = "", **options: Any) -> AsyncClient:
    """Return a client for the account that the options of the command name.

    Args:
        hint: What to add to the message if there is no usable key.
        options: Options of the client.

    Raises:
        BadInput: The key or the address cannot be used.
    """
    from pinstripe._client import AsyncClient  # noqa: PLC0415 -- slow, so only to make calls
    from pinstripe._config.client import DEFAULT_BASE_URL  # noqa: PLC0415 -- as above
    from pinstripe._core.errors import ConfigurationError  # noqa: PLC0415 -- as above

    given = _given()
    settings: dict[str, Any] = {name: value for name, value in given.items() if name != _KEY_FILE}
    address = settings.get("base_url", DEFAULT_BASE_URL).rstrip("/")
    if address != DEFAULT_BASE_URL:
        settings["files_url"] = address
    try:
        return AsyncClient(api_key() or None, **settings, **options)
    except ConfigurationError as error:
        more = hint if error.argument == "api_key" else ""
        raise BadInput(f"{_problem(error, given)}{more}") from None


def test_client() -> AsyncClient:
    """Return a client whose key is a test key.

    Raises:
        BadInput: The key or the address cannot be used, or the key is a live one.
    """
    if is_live():
        raise BadInput(f"{_key_source(_given())} is a live key; this command takes test keys only")
    return open_client()


def api_key() -> str:
    """Return the key of the account; empty if there is none.

    Raises:
        BadInput: The file of the key cannot be read.
    """
    path = _given().get(_KEY_FILE)
    if path is None:
        return os.environ.get("STRIPE_API_KEY", "")
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 -- pathlib is slow to import
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        raise BadInput(f"--api-key-file: {path} cannot be read") from None


def base_url() -> str:
    """Return the address that is asked; empty if it is Stripe's."""
    return _given().get("base_url") or os.environ.get("PINSTRIPE_BASE_URL", "")


def base_url_source() -> str:
    """Return where the address that is asked was given."""
    return "--base-url" if "base_url" in _given() else "PINSTRIPE_BASE_URL"


def is_live() -> bool:
    """Return whether the key moves real money.

    Raises:
        BadInput: The file of the key cannot be read.
    """
    return "_live_" in api_key()


def _given() -> dict[str, str]:
    ctx = click.get_current_context(silent=True)
    return {} if ctx is None else ctx.meta.get(_META, {})


def _key_source(given: dict[str, str]) -> str:
    return "--api-key-file" if _KEY_FILE in given else "STRIPE_API_KEY"


def _problem(error: ConfigurationError, given: dict[str, str]) -> str:
    """Return what is wrong with a setting, named as it was given."""
    name, problem = error.argument, error.message.partition(": ")[2]
    if name == "api_key":
        # The client's message is about its argument, which a command does not have.
        return f"{_key_source(given)} {problem if api_key() else 'is not set'}"
    if name in ("base_url", "files_url"):
        return f"{base_url_source()}: {problem}"
    return f"--{name.replace('_', '-')}: {problem}" if name in given else error.message
