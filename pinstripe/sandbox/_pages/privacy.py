"""Which fields and parameters are private, by the client's own models.

The console hides what is private until somebody asks for it. The models of the client say what that
is, for reprs, exports and the console alike. This is the one place where the sandbox looks at them:
it shows objects by them, and never makes any.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any, Final, TypeAlias, get_args, get_origin, get_type_hints, is_typeddict

from attrs import fields

from pinstripe import climate, crypto, events, files, forwarding, identity, v2, webhook_endpoints
from pinstripe._models.record import Model, Record, is_private

Private: TypeAlias = "dict[str, Private | bool]"
"""Fields by name: True for a private one, an object for one that has private fields in it."""

_MODELS: Final[dict[str, type[Any]]] = {
    "climate.order": climate.Order,
    "climate.product": climate.Product,
    "climate.supplier": climate.Supplier,
    "crypto.onramp_session": crypto.OnrampSession,
    "event": events.Event,
    "file": files.File,
    "file_link": files.FileLink,
    "forwarding.request": forwarding.ForwardingRequest,
    "identity.verification_report": identity.VerificationReport,
    "identity.verification_session": identity.VerificationSession,
    "v2.core.event_destination": v2.EventDestination,
    "webhook_endpoint": webhook_endpoints.WebhookEndpoint,
}
_MODULES: Final = (climate, crypto, events, files, forwarding, identity, v2, webhook_endpoints)


@cache
def private_fields() -> dict[str, Private]:
    """Return the private fields of each kind of object, by the name of the kind."""
    return {name: _private_in(model) for name, model in _MODELS.items()}


@cache
def private_params() -> frozenset[str]:
    """Return the names that parameters with private values have, or fields of such parameters."""
    found = {name for module in _MODULES for name in _params_of(module)}
    for tree in private_fields().values():
        found.update(_leaves(tree))
    return frozenset(found)


def _private_in(model: type[Any]) -> Private:
    found: Private = {}
    hints = get_type_hints(model, include_extras=True)
    for attribute in fields(model):
        # The fields that a repr leaves out are the private ones.
        if not attribute.repr:
            found[attribute.name] = True
            continue
        for inner in _records(hints[attribute.name]):
            # An object inside another says by itself what it is.
            if not issubclass(inner, Model) and (below := _private_in(inner)):
                found[attribute.name] = below
    return found


def _records(hint: Any) -> Iterator[type[Any]]:
    """Yield the models in a type, such as `tuple[Header, ...] | None`."""
    if isinstance(hint, type) and get_origin(hint) is None and issubclass(hint, Record):
        yield hint
    for option in get_args(hint):
        yield from _records(option)


def _params_of(module: ModuleType) -> Iterator[str]:
    for _, member in inspect.getmembers(module, inspect.isclass):
        if member.__module__ != module.__name__:
            continue
        if is_typeddict(member):
            hints = get_type_hints(member, include_extras=True)
            yield from (name for name, hint in hints.items() if _says_private(hint))
        for _, method in inspect.getmembers(member, inspect.isfunction):
            for name, parameter in inspect.signature(method).parameters.items():
                if is_private(parameter.annotation):
                    yield name


def _says_private(hint: Any) -> bool:
    # `NotRequired[Private[...]]` has it one level deeper.
    return is_private(hint) or any(is_private(inner) for inner in get_args(hint))


def _leaves(tree: Private) -> Iterator[str]:
    for name, below in tree.items():
        if isinstance(below, dict):
            yield from _leaves(below)
        else:
            yield name
