"""Specs in words: what a parameter takes, for the index of control routes.

A spec that is not one of the common ones says it by the first sentence of its docstring, after
"A parameter: ".
"""

from __future__ import annotations

import inspect
from typing import Any

from pinstripe.sandbox._params import schema
from pinstripe.sandbox._params.schema import Object, Spec


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
        case schema.Word(words, open=False):
            return f"one of {', '.join(words)}"
        case schema.Word(words):
            return f"text such as {', '.join(words)}"
        case schema.String():
            return "text"
        case schema.Integer(low, high):
            return f"whole number from {low} to {high}"
        case schema.PositiveDecimal():
            return "number above zero"
        case schema.Boolean():
            return "true or false"
        case schema.CreatedFilter():
            return "seconds since the epoch, or an object of gt, gte, lt and lte"
        case schema.Array(item):
            return f"list; each: {_text_of(item)}"
        case schema.Nullable(inner):
            return f"{_text_of(inner)}, or null"
        case _:
            sentence = (inspect.getdoc(type(spec)) or "").splitlines()[0]
            return sentence.removeprefix("A parameter: ").rstrip(".")
