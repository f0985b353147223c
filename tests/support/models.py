"""The models of the package, found by importing every module: a new one cannot be forgotten."""

from __future__ import annotations

import importlib
import pkgutil

from msgspec.inspect import FloatType, StrType, Type

import pinstripe
from pinstripe._models.record import Model, Record
from pinstripe.events import Event

APART = {"cli", "sandbox", "__main__"}  # the sandbox plays Stripe, without our models


def models() -> dict[str, type[Record]]:
    """Return every model of every module, by its name."""
    for module in pkgutil.iter_modules(pinstripe.__path__):
        if module.name not in APART:
            importlib.import_module(f"pinstripe.{module.name}")
    waiting, found = [Record], dict[str, type[Record]]()
    while waiting:
        kinds = waiting.pop().__subclasses__()
        waiting += kinds
        for kind in kinds:
            if kind.__module__.partition(".")[0] == "pinstripe" and "__attrs_attrs__" in vars(kind):
                assert kind.__name__ not in found
                found[kind.__name__] = kind
    return found


MODELS = models()
ANSWERS = {
    name: kind
    for name, kind in MODELS.items()
    if issubclass(kind, Model) and (kind is Event or not issubclass(kind, Event))
}
"""Models that the API answers with; the others are parts of them, or have the fields of `Event`."""


def is_amount(node: Type) -> bool:
    """Whether what msgspec reads is an amount, which is a Decimal for everybody else."""
    return {StrType, FloatType} <= {type(each) for each in getattr(node, "types", ())}
