"""Makes the call of a command, prints what it gives, and names its errors by their options."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from operator import attrgetter
from typing import Any, cast, get_args, get_type_hints

import click
from attrs import define

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

# Rows that a terminal gets of a list, unless the command says how many: those of a page.
_ROWS = 100

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
    job = _CallJob(
        asked=asked,
        method=call.method,
        title=f"{word(call.path).replace('.', ' ')} {subject}".strip(),
        consequence=call.consequence,
        private=private or bool(values.get("sets") or values.get("body")),
        call=call,
        positions=positions,
        params=params,
    )
    return execute(job)


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


@define(kw_only=True)
class _CallJob(Job):
    """A call of a resource.

    Attributes:
        call: The call.
        positions: Its arguments that have a position.
        params: Its arguments that have a name.
    """

    call: Call
    positions: Sequence[Any]
    params: Params

    @hide_frames
    async def make(self, client: AsyncClient) -> None:
        """See `Job.make`."""
        function: Callable[..., Any] = attrgetter(self.call.path)(client)
        if self.asked.shape.fields:
            returned = get_type_hints(function)["return"]
            model = (get_args(returned) or (returned,))[0]
            check_fields(model, self.asked.shape.fields, reveal=self.asked.shape.reveal)
        options: Params = {}
        if "request_options" in inspect.signature(function).parameters:
            options["request_options"] = self.asked.options
        given = [
            await attrgetter(f"{param.vocabulary}.retrieve")(client)(value, **options)
            if param.kind == "model"
            else value
            for param, value in zip(self.call.params, self.positions, strict=False)
        ]
        bounded = self.call.gives == "list" and self._is_bounded()
        params = {**self.params, "max_items": _ROWS} if bounded else self.params
        result = function(*given, **params, **options)
        if self.call.gives == "list":
            await self._print_list(result)
        else:
            _print_result(await result, self.asked)

    def explain(self, error: ConfigurationError) -> str:
        """See `Job.explain`."""
        problem = error.message.partition(": ")[2]
        for param in self.call.params:
            if "_" in param.path:
                problem = re.sub(rf"(?<![\w-]){param.path}\b", param.shown, problem)
        return f"{_option_of(self.call, error.argument)}: {problem}"

    def _is_bounded(self) -> bool:
        return self.asked.shape.on_terminal and "max_items" not in self.params

    async def _print_list(self, pager: Pager[Any]) -> None:
        """Print a list page by page, as the pages come."""
        printer, more = Printer(self.asked.shape), False
        resumes = any(param.path == "cursor" for param in self.call.params)
        async with aclosing(pager.pages()) as pages:
            async for page in pages:
                printer.print_page(page.data)
                more = page.has_more
                self.resume = f"--cursor {pager.cursor}" if resumes and pager.cursor else ""
        self.resume = ""
        if more and self._is_bounded():
            say(f"The first {_ROWS} are shown; --max-items or --json gives more.")


def _print_result(result: Any, asked: Asked) -> None:
    if isinstance(result, bytes):
        write(result)
    elif isinstance(result, Model):
        Printer(asked.shape).print_object(result)
    else:
        paths = cast("Mapping[str, Any]", result).values() if isinstance(result, dict) else [result]
        write("".join(f"{path}\n" for path in paths))


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
