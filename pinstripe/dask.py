"""Exports in parts on a Dask cluster: `pip install "pinstripe[dask]"`.

    made = pinstripe.sync.plan(sessions.list(), "s3://bucket/sessions", parts=64)
    manifest = pinstripe.dask.run(made, scheduler="tcp://scheduler:8786")

Dask gives each worker its parts, gives those of a worker that died to another one, and shows the
progress in its dashboard. The key stays out of all that: each worker takes `STRIPE_API_KEY` from
its own environment, or calls a function that is importable there. So neither a task graph, nor a
log, nor the dashboard can have it.

All threads of a worker process share one client, and so its connections and its rate limit. Each
process has a limit of its own, so give each its share of the account's in `client_settings`; or
let a function there return a `RateLimit` with a `SharedBudget`.
"""

from __future__ import annotations

import pickle
import sys
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from itertools import islice
from threading import Lock
from typing import Any, Final, TypeAlias, cast

from pinstripe._core.checks import kind_of
from pinstripe._core.errors import ConfigurationError
from pinstripe._core.tracebacks import hide_frames
from pinstripe.export._join import incomplete
from pinstripe.export._part import Manifest, Part, Plan, check_plan
from pinstripe.export._write import check_data_set
from pinstripe.sync import Client, join, write_part

__all__ = ["run"]

_Settings: TypeAlias = "Mapping[str, Any] | Callable[[], Mapping[str, Any]]"

_RETRIES: Final = 3
"""How often Dask tries a part again that failed, after the retries of the client itself."""

_PARTS_A_THREAD: Final = 4
"""Parts that are handed out at once, for each thread: enough to be stolen, few in memory."""

_SETTINGS: Final = {
    "base_url",
    "files_url",
    "api_version",
    "timeout",
    "retry",
    "rate_limit",
    "limits",
    "allow_insecure_http",
}
"""Settings of a client that hold no secret."""


@hide_frames
def run(
    plan: Plan,
    client_settings: _Settings | None = None,
    *,
    scheduler: object,
) -> Manifest:
    """Write all parts of a plan on a cluster, and join them.

    It blocks until the end; call it in a thread of an async program. If it is interrupted, or parts
    fail, run it again with the same plan: what is written is not read again.

    Args:
        plan: The plan; all workers must see its data set under the same path or address.
        client_settings: Settings of the `Client` of each worker process, without anything secret;
            or a function that returns them, with `api_key` and others, and is called there. It must
            be one that a worker can import, since what a closure holds would travel.
        scheduler: The address of a scheduler, such as `tcp://scheduler:8786`, a
            `distributed.Client`, or a cluster.

    Raises:
        ConfigurationError: An argument is wrong, Dask is missing here or Pinstripe on a worker, the
            cluster cannot be reached, or a worker has no key or does not see the data set; nothing
            was sent to the API.
        IncompleteError: Parts failed; `errors` names each.
    """
    settings = _check_settings(client_settings)
    with _connected(scheduler) as dask:
        _check_workers(dask, check_plan(plan), settings)
        errors = _write_all(dask, plan, settings)
    if errors:
        raise incomplete(errors, plan)
    return join(plan)


def _check_settings(given: Any) -> Any:
    """Return the settings, or the name of the function that returns them."""
    if callable(given):
        module, name = getattr(given, "__module__", None), getattr(given, "__qualname__", "")
        found: Any = sys.modules.get(str(module))
        if module == "__main__" or getattr(found, name, None) is not given:
            problem = "must be a function of a module that workers can import, not of a script"
            raise ConfigurationError("client_settings", problem)
        return f"{module}:{name}"
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ConfigurationError("client_settings", f"must be a mapping, not {kind_of(given)}")
    settings = dict(cast("Mapping[str, Any]", given))
    for name in settings:
        if name not in _SETTINGS:
            problem = f"cannot have {name} here, which may be secret: set the environment of the"
            raise ConfigurationError("client_settings", f"{problem} workers, or give a function")
    if getattr(settings.get("rate_limit"), "shared", None) is not None:
        problem = "cannot have the address of a shared budget here: give a function"
        raise ConfigurationError("client_settings", problem)
    return settings


@contextmanager
def _connected(scheduler: object) -> Generator[Any, None, None]:
    """Give the Dask client of a scheduler, and close it if it was made here."""
    try:
        library: Any = import_module("distributed")
    except ImportError:
        problem = 'dask is not installed: pip install "pinstripe[dask]"'
        raise ConfigurationError("scheduler", problem) from None
    if isinstance(scheduler, library.Client):
        yield scheduler
        return
    try:
        client = library.Client(scheduler, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        problem = f"cannot be reached: {type(error).__name__}"
        raise ConfigurationError("scheduler", problem) from None
    try:
        yield client
    finally:
        client.close()


def _check_workers(dask: Any, plan: Plan, settings: Any) -> None:
    """Refuse a cluster on which the parts would fail, before any of them is sent there."""
    threads: Mapping[str, int] = dask.nthreads()
    if not threads:
        raise ConfigurationError("scheduler", "has no workers: start some first")
    # A function of Pinstripe could not be read by a worker without it; `eval` is everywhere.
    checks = [(eval, "__import__('pinstripe.dask').__version__ and ''"), (_problem, plan, settings)]
    for function, *arguments in checks:
        answers = dask.run(function, *arguments, on_error="return")
        for worker, answer in answers.items():
            if isinstance(answer, ImportError):
                problem = (
                    f"the worker {worker} cannot import {answer.name}: install pinstripe there"
                )
                raise ConfigurationError("scheduler", problem)
            if answer:
                raise ConfigurationError("scheduler", f"the worker {worker} says: {answer}")


def _write_all(dask: Any, plan: Plan, settings: Any) -> dict[str, Exception]:
    """Write all parts, a few ahead of the workers, and return the errors by the parts' names."""
    submitted: dict[str, str] = {}
    errors: dict[str, Exception] = {}
    this_run = uuid.uuid4().hex[:8]

    def submit(part: Part) -> Any:
        key = f"pinstripe-{this_run}-{part.name}"
        submitted[key] = part.name
        return dask.submit(_write, part, settings, key=key, retries=_RETRIES, pure=False)

    parts = iter(plan)
    ahead = _PARTS_A_THREAD * sum(dask.nthreads().values())
    first = [submit(part) for part in islice(parts, ahead)]
    running = import_module("distributed").as_completed(first, loop=dask.loop)
    for future in running:
        name, error = submitted.pop(future.key), future.exception()
        if error is not None:
            errors[name] = error
        future.release()
        for part in islice(parts, 1):
            running.add(submit(part))
    return errors


# --- on a worker ----------------------------------------------------------------------------------

_clients: dict[bytes, Client] = {}
_lock = Lock()


def _write(part: Part, settings: Any) -> int:
    """Write a part on a worker, and return its rows."""
    return write_part(_client_of(settings), part).rows


def _problem(plan: Plan, settings: Any) -> str:
    """Return what is wrong on this worker; nothing if its parts can be written."""
    try:
        _client_of(settings)
        check_data_set(plan)
    except (ConfigurationError, OSError) as error:
        return str(error)
    return ""


def _client_of(settings: Any) -> Client:
    """Return the client of this process, which lives as long as that."""
    key = pickle.dumps(settings)
    with _lock:
        if key not in _clients:
            if isinstance(settings, str):
                module, _, name = settings.partition(":")
                settings = getattr(import_module(module), name)()
            _clients[key] = Client(**settings)
        return _clients[key]
