"""An extension of griffe for classes whose fields say what they are: models, TypedDicts and attrs.

A model or TypedDict gets a table of its fields, unless its docstring describes them. An attrs class
gets the constructor that attrs writes for it, so that its signature shows.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import (
    Attribute,
    Class,
    Docstring,
    Expr,
    ExprCall,
    ExprKeyword,
    Extension,
    Function,
    Parameter,
    ParameterKind,
    Parameters,
)

_PRIVATE = re.compile(r"Private\[(.*)\]$")
_NAME = re.compile(r"\b[A-Z]\w+\b")


class Fields(Extension):
    """Adds what a reader of the source sees in the fields of a class."""

    def on_class(self, *, cls: Class, **_: Any) -> None:
        """Add the table, or the constructor."""
        fields = [
            member
            for member in cls.members.values()
            if isinstance(member, Attribute)
            and member.annotation is not None
            and "property" not in member.labels
            and "ClassVar" not in str(member.annotation)
        ]
        decorators = {
            decorator.callable_path.rpartition(".")[2]: decorator for decorator in cls.decorators
        }
        bases = {str(base).partition("[")[0] for base in cls.bases}
        if "model" in decorators or "TypedDict" in bases:
            _add_table(cls, [field for field in fields if not field.name.startswith("_")])
        for name in {"frozen", "define"} & decorators.keys():
            if "__init__" not in cls.members:
                _add_constructor(cls, fields, _arguments(decorators[name].value))


def _add_table(cls: Class, fields: list[Attribute]) -> None:
    text = cls.docstring.value if cls.docstring else ""
    if not fields or "Attributes:" in text:
        return
    rows = "\n".join(_row(cls, field) for field in fields)
    table = f"| field | type | |\n|---|---|---|\n{rows}"
    cls.docstring = Docstring(f"{text}\n\n{table}", parent=cls, parser="google")


def _row(cls: Class, field: Attribute) -> str:
    text = str(field.annotation)
    hidden = _PRIVATE.match(text)
    text = hidden[1] if hidden else text
    module = cls.module
    # Each name that the module defines links to its own place on the page.
    names = {name for name in _NAME.findall(text) if name != cls.name and name in module.members}
    own = sorted(name for name in names if not module.members[name].is_alias)
    links = [f"[`{name}`][{module.path}.{name}]" for name in own]
    notes = [*links, *(["not shown in the repr"] if hidden else [])]
    return f"| `{field.name}` | `{text}` | {', '.join(notes)} |"


def _add_constructor(cls: Class, fields: list[Attribute], options: dict[str, Any]) -> None:
    parameters = [Parameter("self", kind=ParameterKind.positional_or_keyword)]
    for field in fields:
        own = _arguments(field.value)
        if str(own.get("init")) == "False":
            continue
        keyword_only = "True" in (str(options.get("kw_only")), str(own.get("kw_only")))
        kind = ParameterKind.keyword_only if keyword_only else ParameterKind.positional_or_keyword
        default = _default(field, own)
        name = field.name.lstrip("_")
        parameters.append(Parameter(name, annotation=field.annotation, kind=kind, default=default))
    parameters.sort(key=lambda parameter: parameter.kind is ParameterKind.keyword_only)
    made = Function("__init__", parameters=Parameters(*parameters), returns="None", parent=cls)
    made.labels.add("made by attrs")
    cls.set_member("__init__", made)


def _default(field: Attribute, own: dict[str, Any]) -> str | Expr | None:
    if "factory" in own:
        return f"{own['factory']}()"
    return own.get("default") if own else field.value


def _arguments(value: Any) -> dict[str, Any]:
    """Return the keyword arguments of a call such as `field(default=0)`; none if it is no call."""
    if not isinstance(value, ExprCall):
        return {}
    return {a.name: a.value for a in value.arguments if isinstance(a, ExprKeyword)}
