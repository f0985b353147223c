"""Runs what a command sends: asks first if it has to, and says how it failed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import click
from attrs import define, frozen

from pinstripe._client import AsyncClient
from pinstripe._config.options import RequestOptions
from pinstripe._core.errors import ConfigurationError, PinstripeError
from pinstripe._core.tracebacks import hide_frames
from pinstripe.cli._account import BadInput, is_live, open_client
from pinstripe.cli._calls.dry_run import NotSentError, Recorder, described, printed
from pinstripe.cli._calls.output import Shape, write
from pinstripe.cli._failures import CallFailedError, failure_of, finishing_advice, may_have_acted
from pinstripe.cli._http import import_aiohttp
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


@define(kw_only=True)
class Job:
    """What a command sends.

    Attributes:
        asked: What the command was asked to do.
        method: The HTTP method.
        title: The call in words, with the object that it is about.
        consequence: Why it asks first, whatever the key is; None if it does not.
        private: Whether the words of the command hold private values.
        resume: What to type to continue after what was printed; empty if nothing is to continue.
    """

    asked: Asked
    method: str = "GET"
    title: str
    consequence: str | None = None
    private: bool = False
    resume: str = ""

    async def make(self, client: AsyncClient) -> None:
        """Make the call, and print what comes.

        Args:
            client: The client.
        """
        raise NotImplementedError

    def explain(self, error: ConfigurationError) -> str:
        """Return what an error of an argument says, with the name of the option.

        Args:
            error: The error.
        """
        return error.message


def execute(job: Job) -> int:
    """Run what a command sends, and return its exit status.

    Args:
        job: What it sends.

    Raises:
        BadInput: An argument or the environment is wrong, or nobody agreed; nothing was sent.
        CallFailedError: The call failed.
    """
    if job.asked.dry_run:
        write(printed(_request_of(job), as_json=job.asked.shape.as_json))
        return 0
    if not job.asked.yes and (reasons := _reasons(job)):
        _request_of(job)  # refuses what is wrong with the arguments before it asks
        _ask(f"{job.title}: {' and '.join(reasons)}")
    try:
        client = open_client()
        import_aiohttp()
        run_interruptible(_run(client, job))
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


def _request_of(job: Job) -> dict[str, Any]:
    """Return the first request of a job as plain data; nothing is sent."""
    recorder = Recorder()
    client = open_client(transport=recorder)
    with suppress(NotSentError):
        try:
            run_interruptible(_run(client, job))
        except ConfigurationError as error:
            raise BadInput(job.explain(error)) from None
    assert recorder.request is not None
    key, reveal = job.asked.idempotency_key, job.asked.shape.reveal
    return described(recorder.request, key=key, reveal=reveal)


def _reasons(job: Job) -> list[str]:
    """Return why a command asks first; none if it does not."""
    live = job.method != "GET" and is_live()
    reasons = [job.consequence, "the key is a live one" if live else None]
    return [reason for reason in reasons if reason is not None]


def _ask(question: str) -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise BadInput(f"{question}; add --yes to do it without being asked")
    if not click.confirm(f"{question}. Do it?", err=True):
        raise BadInput("nothing was sent")


def _failure(error: PinstripeError | OSError, job: Job) -> CallFailedError:
    advice: dict[str, str] = {}
    if isinstance(error, PinstripeError) and job.method != "GET" and may_have_acted(error):
        assert error.idempotency_key is not None
        advice["finish"] = finishing_advice(error.idempotency_key, private=job.private)
    if job.resume:
        advice["resume"] = f"To continue after what was printed, add {job.resume}"
    return failure_of(error, advice=advice)
