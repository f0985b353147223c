"""Runs what a command sends: asks first if it has to, and says how it failed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import click
from attrs import Factory, define, frozen

from pinstripe._client import AsyncClient
from pinstripe._config.options import RequestOptions
from pinstripe._core.errors import ConfigurationError, PinstripeError
from pinstripe._core.tracebacks import hide_frames
from pinstripe.cli._account import BadInput, is_live, open_client
from pinstripe.cli._calls.dry_run import NotSentError, Recorder, described, printed
from pinstripe.cli._calls.output import Shape, write
from pinstripe.cli._failures import CallFailedError, failure_of, finishing_words, may_have_acted
from pinstripe.cli._interrupt import run_interruptible
from pinstripe.cli._status import BROKEN_PIPE, INTERRUPTED
from pinstripe.cli._words import say


@frozen
class Asked:
    """What a command was asked to do, besides the parameters of its call.

    Attributes:
        shape: How objects are printed.
        yes: Whether not to ask first.
        dry_run: Whether to print the request in place of sending it.
        idempotency_key: The key of the request.
        timeout: Seconds for the whole call.
    """

    shape: Shape
    yes: bool
    dry_run: bool
    idempotency_key: str | None
    timeout: float | None

    @property
    def options(self) -> RequestOptions | None:
        """The options of the call; None if it has none of its own.

        Raises:
            ConfigurationError: One of them cannot be used.
        """
        if self.idempotency_key is None and self.timeout is None:
            return None
        return RequestOptions(idempotency_key=self.idempotency_key, timeout=self.timeout)


def asked_for(values: Mapping[str, Any]) -> Asked:
    """Return what a command was asked to do.

    Args:
        values: What click has read.
    """
    fields = tuple(name for name in (values.get("fields") or "").split(",") if name)
    shape = Shape(bool(values.get("as_json")), fields, bool(values.get("reveal")))
    yes, dry_run = bool(values.get("yes")), bool(values.get("dry_run"))
    return Asked(shape, yes, dry_run, values.get("idempotency_key"), values.get("timeout"))


def _as_it_is(error: ConfigurationError) -> str:
    return error.message


@define
class Job:
    """What a command sends.

    Attributes:
        make: Makes the call with a client, and prints what comes.
        method: The HTTP method.
        title: The call in words, with the object that it is about.
        consequence: Why it asks first, whatever the key is; None if it does not.
        explain: Returns what an error of an argument says, with the name of the option.
        private: Whether the words of the command hold private values.
        resume: What to type to continue after what was printed; empty if nothing is to continue.
    """

    make: Callable[[AsyncClient], Coroutine[Any, Any, None]]
    method: str
    title: str
    consequence: str | None = None
    explain: Callable[[ConfigurationError], str] = Factory(lambda: _as_it_is)
    private: bool = False
    resume: str = ""


def execute(job: Job, asked: Asked) -> int:
    """Run what a command sends, and return its exit status.

    Args:
        job: What it sends.
        asked: What it was asked to do.

    Raises:
        BadInput: An argument or the environment is wrong, or nobody agreed; nothing was sent.
        CallFailedError: The call failed.
    """
    recorder = Recorder() if asked.dry_run else None
    if recorder is None:
        _ask_first(job, asked)
    client = open_client(**({} if recorder is None else {"transport": recorder}))
    try:
        run_interruptible(_run(client, job))
    except NotSentError:
        assert recorder is not None
        assert recorder.request is not None
        facts = described(recorder.request, key=asked.idempotency_key, reveal=asked.shape.reveal)
        write(printed(facts, as_json=asked.shape.as_json))
    except KeyboardInterrupt:
        if job.resume:
            say(f"Stopped; to continue, add {job.resume}")
        return INTERRUPTED
    except BrokenPipeError:
        return BROKEN_PIPE
    except ConfigurationError as error:
        raise BadInput(job.explain(error)) from None
    except (PinstripeError, OSError) as error:
        raise _failure(error, job) from None
    return 0


@hide_frames
async def _run(client: AsyncClient, job: Job) -> None:
    async with client:
        await job.make(client)


def _ask_first(job: Job, asked: Asked) -> None:
    """Ask whether to do what cannot be undone, or what is done with a live key."""
    live = job.method != "GET" and is_live()
    if asked.yes or not (live or job.consequence):
        return
    reasons = [job.consequence, "the key is a live one" if live else None]
    reason = ", and ".join(filter(None, reasons))
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise BadInput(f"{job.title}: {reason}; add --yes to do it without being asked")
    question = f"{job.title}: {reason}. Do it?"
    if not click.confirm(question, err=True):
        raise BadInput("nothing was sent")


def _failure(error: PinstripeError | OSError, job: Job) -> CallFailedError:
    failure = failure_of(error)
    extra: list[str] = []
    if isinstance(error, PinstripeError) and job.method != "GET" and may_have_acted(error):
        assert error.idempotency_key is not None
        words = finishing_words(error.idempotency_key, private=job.private)
        extra.append(
            "It is not certain whether the API has acted. The idempotency key of the call is "
            f"{error.idempotency_key}; to finish the call, run {words}"
        )
        failure.facts["finish"] = words
    if job.resume:
        extra.append(f"To continue after what was printed, add {job.resume}")
        failure.facts["resume"] = job.resume
    failure.message = "\n".join([failure.message, *extra])
    return failure
