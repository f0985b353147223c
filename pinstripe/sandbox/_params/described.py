"""Specs in words: what a parameter takes, for the index of control routes.

A spec that is not one of the common ones says it by the first sentence of its docstring, after
"A parameter: ".
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final

from pinstripe.sandbox._params import schema
from pinstripe.sandbox._params.schema import Object, Spec

_COMMON: Final[Mapping[type, str]] = {
    schema.String: "text",
    schema.PositiveDecimal: "number above zero",
    schema.Boolean: "true or false",
    schema.CreatedFilter: "seconds since the epoch, or an object of gt, gte, lt and lte",
}


def describe(params: Object) -> dict[str, Any]:
    """Return what each parameter takes: a text, or an object for the parameters inside it.

    Args:
        params: The parameters.
    """
    described: dict[str, Any] = {}
    for name, spec in params.fields.items():
        inner = spec.spec if isinstance(spec, schema.Nullable) else spec
        if isinstance(inner, Object):
            described[name] = describe(inner)
        else:
            required = " (required)" if name in params.required else ""
            described[name] = _text_of(spec) + required
    return described


def _text_of(spec: Spec) -> str:
    match spec:
        case schema.Word(words, others):
            text = f"{'text such as' if others else 'one of'} {', '.join(words)}"
        case schema.Integer(low, high):
            text = f"whole number from {low} to {high}"
        case schema.Array(item):
            text = f"list; each: {_text_of(item)}"
        case schema.Nullable(inner):
            text = f"{_text_of(inner)}, or null"
        case _:
            sentence = (inspect.getdoc(type(spec)) or "").splitlines()[0]
            text = _COMMON.get(type(spec)) or sentence.removeprefix("A parameter: ").rstrip(".")
    return text
