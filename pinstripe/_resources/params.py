"""The kinds of the parameters of the products, by their names.

A parameter has the same kind in every call that takes it. Most are text; the others are named here,
except for the filter of lists by `created`, which belongs to walks.
What is inside of a mapping is left to the API, which names what it does not know.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from pinstripe._core.checks import (
    check_flag,
    check_mapping,
    check_metadata,
    check_texts,
    check_whole_number,
    is_empty_text,
    kind_of,
)
from pinstripe._core.errors import ConfigurationError


def _check_time(argument: str, value: Any) -> None:
    # An update also takes the texts "now" and "".
    if not isinstance(value, (datetime, str)):
        raise ConfigurationError(argument, f"must be a datetime, not {kind_of(value)}")


def _check_clearable(argument: str, value: Any) -> None:
    if not is_empty_text(value):
        check_mapping(argument, value)


_MAPPINGS = (
    *("beneficiary", "file_link_data", "kyc_details", "options", "provided_details"),
    *("related_person", "request", "wallet_addresses"),
)
_LISTS = (
    *("destination_currencies", "destination_networks", "enabled_events", "events_from"),
    *("expand", "include", "replacements", "types"),
)
_FLAGS = ("connect", "delivery_success", "disabled", "expired", "lock_wallet_address")

_CHECKS: Final[Mapping[str, Callable[[str, Any], object]]] = {
    **dict.fromkeys(_MAPPINGS, _check_clearable),
    **dict.fromkeys(_LISTS, check_texts),
    **dict.fromkeys(_FLAGS, check_flag),
    "amount": check_whole_number,
    "expires_at": _check_time,
    "metadata": lambda argument, value: check_metadata(value, argument),
}


def _check_nullable_metadata(argument: str, value: Any) -> None:
    check_metadata(
        {key: text for key, text in check_mapping(argument, value).items() if text is not None},
        argument,
    )


# What clears a field of a form is an empty text; in JSON it is null.
_CHECKS_OF_JSON: Final[Mapping[str, Callable[[str, Any], object]]] = {
    **_CHECKS,
    **dict.fromkeys(("amazon_eventbridge", "azure_event_grid", "webhook_endpoint"), check_mapping),
    "metadata": _check_nullable_metadata,
}


def check_params(
    params: Mapping[str, Any], *, creates: bool = False, v2: bool = False
) -> Mapping[str, Any]:
    """Return the parameters of a call if each is of its kind.

    Args:
        params: The parameters by name; those that are None are not sent.
        creates: Whether the call makes a new object. It has no metadata that an empty mapping
            could mean to clear, so that means none.
        v2: Whether the call is one of `/v2`, which sends JSON and not a form.

    Raises:
        ConfigurationError: A parameter is of another kind; the error names it.
    """
    checks = _CHECKS_OF_JSON if v2 else _CHECKS
    for name, value in params.items():
        if value is None:
            continue
        check = checks.get(name)
        if check is not None:
            check(name, value)
        elif not isinstance(value, str):
            raise ConfigurationError(name, f"must be text, not {kind_of(value)}")
    return without_empty_metadata(params) if creates else params


def without_empty_metadata(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parameters of a new object, without metadata if that is empty.

    Args:
        params: The parameters by name.
    """
    metadata = params.get("metadata")
    is_empty = isinstance(metadata, Mapping) and not metadata
    return {**params, "metadata": None} if is_empty else params
