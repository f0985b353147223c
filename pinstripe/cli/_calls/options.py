"""The options of a command: those of its call's parameters, and those that all calls have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from pinstripe.cli._account import account_options
from pinstripe.cli._calls.calls import BOUNDS, Call, Param, word
from pinstripe.cli._times import EXAMPLES, TextType, Time

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_MANY_WORDS = 8
_RANGES: Final = {"gt": "after", "gte": "at or after", "lt": "before", "lte": "at or before"}


class Words(TextType):
    """Text whose usual values are known: they are completed, and every other text is taken too.

    Args:
        words: The values.
    """

    name = "text"

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the words that an unfinished one may become."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 -- help needs none

        return [CompletionItem(one) for one in self._words if one.startswith(incomplete)]


class Pair(TextType):
    """A key and a value, `user=42`; an empty text alone stands for clearing all."""

    name = "key=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return the key and the value."""
        key, equals, text = str(value).partition("=")
        if value and not (key and equals):
            self.fail("must be KEY=VALUE, such as user=42")
        return key, text


def params_of(call: Call) -> list[click.Parameter]:
    """Return the arguments and options of the command of a call.

    Args:
        call: The call.
    """
    own = [made for param in call.params for made in _made_of(param)]
    names = {param.path for param in call.params}
    # A call can have a parameter that is called like one of ours: then that one stands.
    shared = [option for option in _shared_options(call) if option.name not in names]
    return [*own, *shared, *account_options()]


def given_values(call: Call, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that were given as options, nested as the call takes them.

    Args:
        call: The call.
        values: The values that click has read.
    """
    params: dict[str, Any] = {}
    for param in call.params:
        value = _value_of(param, values)
        if value is None or param.has_position:
            continue
        *parents, last = param.path.split(".")
        place = params
        for key in parents:
            place = place.setdefault(key, {})
        place[last] = value
    return params


def variable(path: str) -> str:
    """Return the name under which click keeps the value of a parameter.

    Args:
        path: The path of the parameter.
    """
    return path.replace(".", "__")


def _value_of(param: Param, values: Mapping[str, Any]) -> Any:
    """Return what was given for a parameter; None if nothing was."""
    name = variable(param.path)
    value = values.get(name)
    if param.kind == "range":
        bounds = {bound: values.get(f"{name}_{bound}") for bound in BOUNDS}
        bounds = {bound: time for bound, time in bounds.items() if time is not None}
        if bounds and value is not None:
            raise click.UsageError(f"{param.shown} is one second; give either it or bounds")
        return bounds or value
    if param.kind == "list":
        return list(value) if value else None
    if param.kind == "map":
        return (dict(value) if ("", "") not in value else "") if value else None
    return value


def _made_of(param: Param) -> Iterator[click.Parameter]:
    name, option = variable(param.path), f"--{word(param.path)}"
    if param.has_position:
        yield click.Argument([name], metavar=word(param.path).upper(), type=_type_of(param))
        return
    text, kind = _text_of(param), _type_of(param)
    if param.kind == "flag":
        yield click.Option([name, f"{option}/--no-{word(param.path)}"], default=None, help=text)
    elif param.kind in ("list", "map"):
        yield click.Option([name, option], type=kind, multiple=True, help=text)
    else:
        yield click.Option([name, option], type=kind, metavar=_metavar(param), help=text)
    if param.kind == "range":
        for bound, said in _RANGES.items():
            decls = [f"{name}_{bound}", f"{option}-{bound}"]
            help = f"Only {said} this time: {EXAMPLES}." if bound == "gt" else f"Only {said} it."
            yield click.Option(decls, type=Time(), metavar="TIME", help=help)


def _type_of(param: Param) -> TextType:
    if param.kind in ("file", "path"):
        return click.Path(exists=param.kind == "file", dir_okay=param.kind == "path")
    if param.kind in ("time", "range"):
        return Time(("", *param.words) if param.kind == "time" else ())
    simple: Mapping[str, TextType] = {"integer": click.INT, "number": click.FLOAT, "map": Pair()}
    return simple.get(param.kind) or (Words(param.words) if param.words else click.STRING)


def _metavar(param: Param) -> str | None:
    return {"decimal": "NUMBER", "time": "TIME", "range": "TIME"}.get(param.kind)


def _text_of(param: Param) -> str:
    several = " Can be given several times." if param.kind in ("list", "map") else ""
    words = param.words if len(param.words) <= _MANY_WORDS else ()
    known = f" Such as {', '.join(words)}." if words else ""
    needed = "  [needed]" if "r" in param.marks else ""
    return f"{param.text}{known}{several}{needed}".strip()


def _shared_options(call: Call) -> Iterator[click.Option]:
    if any(not param.has_position for param in call.params):
        yield from body_options()
    yield from sending_options(call.method)
    if call.gives in ("list", "object"):
        yield from output_options()


def body_options() -> Iterator[click.Option]:
    """Yield the options that give parameters of any depth."""
    yield click.Option(
        ["sets", "--set"],
        multiple=True,
        metavar="NAME=VALUE",
        help="Set a parameter at any depth, such as options[document][allowed_types][]=passport. "
        "Can be given several times.",
    )
    yield click.Option(
        ["body", "--body"],
        type=click.Path(allow_dash=True),
        metavar="FILE",
        help="Read parameters from a file of JSON, or - for standard input; options win over it.",
    )


def sending_options(method: str) -> Iterator[click.Option]:
    """Yield the options about the request.

    Args:
        method: The HTTP method.
    """
    if method != "GET":
        yield click.Option(["yes", "--yes"], is_flag=True, help="Do not ask first.")
        yield click.Option(
            ["idempotency_key", "--idempotency-key"],
            metavar="KEY",
            help="The key of the request, with which it can be repeated; a new one by default.",
        )
    yield click.Option(
        ["dry_run", "--dry-run"],
        is_flag=True,
        help="Print the request, without the key, and do not send it.",
    )
    yield click.Option(
        ["timeout", "--timeout"],
        type=click.FLOAT,
        metavar="SECONDS",
        help="How long the whole call may take; 30 by default.",
    )


def output_options() -> Iterator[click.Option]:
    """Yield the options about what is printed."""
    yield click.Option(
        ["as_json", "--json"],
        is_flag=True,
        help="Print JSON: the object, or one object a line over all pages; errors too.",
    )
    yield click.Option(
        ["fields", "--fields"],
        metavar="NAMES",
        help="Print these fields only, separated by commas, such as id,status,redaction.status.",
    )
    yield click.Option(
        ["reveal", "--reveal"], is_flag=True, help="Print private fields, such as names, too."
    )
