"""Exports in parts without await: each step is one call on the event loop.

Only `accounts` of `plan` is read in the caller's thread, and goes to the loop in batches.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from pinstripe._concurrency.bridge import LoopBridge
from pinstripe._core.checks import kind_of
from pinstripe._core.errors import ConfigurationError, UnfitError
from pinstripe._core.forks import no_fork
from pinstripe._core.tracebacks import call_user_code, hide_frames
from pinstripe._disk.source import path_of
from pinstripe.sync._facade import ClientBase
from pinstripe.sync._generated import Client
from pinstripe.sync._pager import Pager

if TYPE_CHECKING:
    from pinstripe.export import Manifest, Part, PartReceipt, Plan
    from pinstripe.export._formats import Format

_ACCOUNTS_AT_ONCE = 256
"""Accounts that cross to the loop together."""


@hide_frames
def plan(
    pager: Pager[Any],
    url: str | os.PathLike[str],
    *,
    parts: int = 16,
    accounts: Iterable[str] | os.PathLike[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    format: Format = "parquet",
    reveal: bool = False,
) -> Plan:
    """Cut a list into parts, which any number of processes can write to one data set.

    See the guide "Exports in parts". What the data set has already is left out.

    Args:
        pager: The list, as `list(...)` of a `Client` gives it, without `created`.
        url: The data set: a folder, which is made, or an address such as `s3://bucket/sessions`.
        parts: Into how many windows of time each account is cut at most, up to 4,096, by a few
            requests that show where its objects are. With 1 nothing is asked.
        accounts: The connected accounts to read, as an iterable, which is read in this thread, or
            the path of a file with an id a line; by default the one account of the list.
        since: Only what was created at this time or later; by default everything.
        until: Only what was created before this time; by default a minute ago.
        format: "parquet", "jsonl" or "csv".
        reveal: Whether private fields are written too.

    Raises:
        ConfigurationError: An argument is wrong, or the data set is of another list, filter, format
            or version.
        PinstripeError: The one account of the list cannot be read. An account of `accounts` that
            cannot be read is one part, which reports it.
        OSError: The data set cannot be read or written.
    """
    with no_fork():
        from pinstripe.export._accounts import lines_of  # noqa: PLC0415 -- slow to import
        from pinstripe.export._plan import Planner  # noqa: PLC0415 -- as above

    if not isinstance(pager, Pager):
        problem = "must be what a list of a Client gives; for an AsyncClient use pinstripe.export"
        raise ConfigurationError("pager", problem)
    ids: Iterable[str | None] = [None]
    if isinstance(accounts, (str, os.PathLike)):
        ids = lines_of(path_of("accounts", accounts))
    elif accounts is not None:
        ids = accounts
    if not isinstance(ids, Iterable):
        problem = f"must be a plain iterable or the path of a file, not {kind_of(ids)}"
        raise ConfigurationError("accounts", problem)
    settings = {"parts": parts, "since": since, "until": until, "format": format, "reveal": reveal}
    run = pager._bridge.run  # noqa: SLF001 -- of this wing
    planner = Planner(pager._async, url, settings)  # noqa: SLF001 -- of this wing
    try:
        run(planner.begin)
        rest = iter(ids)
        while batch := call_user_code(lambda: list(islice(rest, _ACCOUNTS_AT_ONCE))):
            run(planner.add, batch)
        return run(planner.finish)
    finally:
        planner.close()


@hide_frames
def write_part(
    client: Client, part: Part, *, skip_unfit: Callable[[UnfitError], object] | None = None
) -> PartReceipt:
    """Write the file of a part, unless it is there, and return what is in it.

    However it ends, it can be called again, in any process, and does what is left to do.

    Args:
        client: A client with the key of the account, or of the platform of the accounts.
        part: The part, from a plan.
        skip_unfit: Called in this thread, when the part has ended, with the error of each object
            that does not fit its class and is left out; by default such an object ends the part
            with its error.

    Raises:
        ConfigurationError: An argument is wrong, the plan is of another version or another data
            set, or another process is writing the part; nothing was sent.
        DecodeError: A value does not fit into its column exactly.
        UnfitError: An object does not fit its class.
        PinstripeError: The list could not be read to its end.
        OSError: The file cannot be written or uploaded.
    """
    with no_fork():
        from pinstripe import export  # noqa: PLC0415 -- slow to import

    if not isinstance(client, ClientBase):
        raise ConfigurationError("client", f"must be a Client, not {kind_of(client)}")
    if skip_unfit is not None and not callable(skip_unfit):
        raise ConfigurationError("skip_unfit", "must be a function")
    left_out: list[UnfitError] = []
    report = None if skip_unfit is None else left_out.append
    try:
        return client._run(export.write_part, client._async, part, skip_unfit=report)  # noqa: SLF001 -- of this wing
    finally:
        for error in left_out:
            assert skip_unfit is not None
            call_user_code(skip_unfit, error)


@hide_frames
def join(plan: Plan) -> Manifest:
    """Check that every part of a plan is written, and write the list of their files.

    Each account must have every second of the plan in one file, and each file the size that it was
    written with. Nothing is sent to the API.

    Args:
        plan: The plan.

    Returns:
        What was written. `until` is where the next plan begins.

    Raises:
        IncompleteError: Parts are missing, cut off or removed; `errors` names each. Write them, or
            plan again for what is missing.
        ConfigurationError: The plan is of another version, resource or data set, or two files of
            an account have the same time.
        OSError: The data set cannot be read or written.
    """
    with no_fork():
        from pinstripe import export  # noqa: PLC0415 -- slow to import

    bridge = LoopBridge("join")
    try:
        return bridge.run(export.join, plan)
    finally:
        bridge.close(_nothing)


async def _nothing() -> None:
    """Do what there is to close."""
