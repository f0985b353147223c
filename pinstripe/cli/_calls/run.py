"""Makes the call of a command: its arguments, what it prints, and its errors by the option's name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from operator import attrgetter
from typing import Any, cast, get_args, get_type_hints

import click

from pinstripe._client import AsyncClient
from pinstripe._core.errors import ConfigurationError
from pinstripe._core.tracebacks import hide_frames
from pinstripe._models.record import Model
from pinstripe._resources.pager import Pager
from pinstripe.cli._calls.calls import Call, word
from pinstripe.cli._calls.execute import Asked, Job, asked_for, execute
from pinstripe.cli._calls.options import given_values, variable
from pinstripe.cli._calls.output import Printer, check_fields, write
from pinstripe.cli._calls.values import Params, convert, merge, read_body, set_values
from pinstripe.cli._words import say

_ROWS = 100
"""Rows that a terminal gets of a list, unless the command says how many: those of a page."""

_OURS = ("timeout", "idempotency_key")


def run_call(call: Call, values: Mapping[str, Any]) -> int:
    """Make the call of a command, and return the exit status.

    Args:
        call: The call.
        values: What click has read.

    Raises:
        UsageError: The arguments are not those of the call; nothing was sent.
        CallFailedError: It failed.
    """
    own = {variable(param.path) for param in call.params}
    asked = asked_for({name: value for name, value in values.items() if name not in own})
    positions, params = _arguments(call, values)
    subject = positions[0] if positions else ""
    private = any("p" in param.marks and values.get(variable(param.path)) for param in call.params)
    job = Job(
        make=_nothing,
        method=call.method,
        title=f"{word(call.path).replace('.', ' ')} {subject}".strip(),
        consequence=call.consequence,
        explain=partial(_explain, call),
        private=private or bool(values.get("sets") or values.get("body")),
    )
    job.make = partial(_make, call, positions, params, asked, job)
    return execute(job, asked)


async def _nothing(_: AsyncClient) -> None: ...


def _arguments(call: Call, values: Mapping[str, Any]) -> tuple[Sequence[Any], Params]:
    """Return the arguments that have a position, and those that have a name."""
    positions = [values[variable(param.path)] for param in call.params if param.has_position]
    params = read_body(values["body"]) if values.get("body") else {}
    merge(params, given_values(call, values))
    set_values(params, values.get("sets") or ())
    convert(call, params)
    for param in call.params:
        root = param.path.partition(".")[0]
        if "r" in param.marks and not param.has_position and root not in params:
            raise click.UsageError(f"Missing option '{param.shown}'.")
    return positions, params


@hide_frames
async def _make(
    call: Call,
    positions: Sequence[Any],
    params: Params,
    asked: Asked,
    job: Job,
    client: AsyncClient,
) -> None:
    """Make the call, and print what it gives."""
    function: Callable[..., Any] = attrgetter(call.path)(client)
    if asked.shape.fields:
        returned = get_type_hints(function)["return"]
        model = (get_args(returned) or (returned,))[0]
        check_fields(model, asked.shape.fields, reveal=asked.shape.reveal)
    more: Params = {}
    options = asked.options
    if options is not None and "request_options" in inspect.signature(function).parameters:
        more["request_options"] = options
    given = [
        await attrgetter(f"{param.vocabulary}.retrieve")(client)(value, **more)
        if param.kind == "model"
        else value
        for param, value in zip(call.params, positions, strict=False)
    ]
    if call.gives == "list":
        await _print_list(function(*given, **params, **more), params, asked, job)
    else:
        _print_result(await function(*given, **params, **more), asked)


async def _print_list(pager: Pager[Any], params: Params, asked: Asked, job: Job) -> None:
    """Print a list page by page; on a terminal no more than a page, unless it is said how many."""
    printer, left = Printer(asked.shape), _ROWS
    bounded = asked.shape.on_terminal and "max_items" not in params
    async with aclosing(pager.pages()) as pages:
        async for page in pages:
            printer.print_page(page.data[:left] if bounded else page.data)
            job.resume = f"--cursor {pager.cursor}" if pager.cursor else ""
            left -= len(page.data)
            if bounded and left <= 0 and page.has_more:
                say(f"The first {_ROWS} are shown; --max-items or --json gives more.")
                break
    job.resume = ""


def _print_result(result: Any, asked: Asked) -> None:
    if isinstance(result, bytes):
        write(result)
    elif isinstance(result, Model):
        Printer(asked.shape).print_object(result)
    else:
        paths = cast("Mapping[str, Any]", result).values() if isinstance(result, dict) else [result]
        write("".join(f"{path}\n" for path in paths))


def _explain(call: Call, error: ConfigurationError) -> str:
    """Return what is wrong with an argument, named as the option that gives it."""
    problem = error.message.partition(": ")[2]
    options = {param.path: param.shown for param in call.params}
    for name, option in options.items():
        if "_" in name:
            problem = re.sub(rf"(?<![\w-]){name}\b", option, problem)
    return f"{_option_of(call, error.argument)}: {problem}"


def _option_of(call: Call, argument: str) -> str:
    """Return the option for the path of an argument, such as `options[document]`."""
    keys = re.findall(r"\w+", argument)
    if argument in _OURS:
        return f"--{word(argument)}"
    by_path = {param.path: param for param in call.params}
    for end in range(len(keys), 0, -1):
        found = by_path.get(".".join(keys[:end]))
        if found is not None:
            rest = "".join(f"[{key}]" for key in keys[end:])
            bound = found.kind == "range" and len(keys) > end
            return f"{found.shown}-{keys[end]}" if bound else f"{found.shown}{rest}"
    return f"--set {argument}" if any(p.startswith(f"{keys[0]}.") for p in by_path) else argument
