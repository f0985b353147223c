"""The end of an export in parts: what was written is checked, counted and listed.

Of each account one folder is read, and a receipt for each part, so the memory does not grow with
the number of accounts. Nothing reads the data itself: a file appears only when it is whole, and is
compared with its receipt by its size.
"""

from __future__ import annotations

import errno
import json
import tempfile
from collections.abc import AsyncGenerator, Sequence
from typing import IO

from attrs import define, evolve

from pinstripe._core.errors import ConfigurationError, IncompleteError
from pinstripe._core.tracebacks import hide_frames
from pinstripe.bulk import fan_out
from pinstripe.export._part import (
    DATA_SET,
    FOLDER,
    Manifest,
    Part,
    PartReceipt,
    Plan,
    check_plan,
    folder_of,
    holes,
    name_of,
    overlap,
    plain,
    windows_in,
)
from pinstripe.export._plan import check_content
from pinstripe.export._store import Store, read_json, store_at
from pinstripe.export._threads import finish_in_thread
from pinstripe.export._write import receipt_of

_ACCOUNTS_AT_ONCE = 16


@hide_frames
async def join(plan: Plan) -> Manifest:
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
    store = await finish_in_thread(store_at, check_plan(plan).url)
    found = await finish_in_thread(read_json, store, DATA_SET)
    check_content(plan, found, "plan")
    manifest = Manifest(
        url=plan.url,
        since=plan.since,
        until=plan.until,
        accounts=0,
        parts=0,
        rows=0,
        size=0,
        name=f"{FOLDER}/manifest-{plan.number}.jsonl",
    )
    errors: dict[str, Exception] = {}

    async def check(parts: list[Part]) -> _Checked:
        return await finish_in_thread(_check_account, store, parts)

    with await finish_in_thread(tempfile.TemporaryFile) as file:
        async for outcome in fan_out(check, _accounts_of(plan), concurrency=_ACCOUNTS_AT_ONCE):
            checked = outcome.unwrap()
            errors.update(checked.errors)
            manifest = evolve(
                manifest,
                accounts=manifest.accounts + 1,
                parts=manifest.parts + len(checked.receipts),
                rows=manifest.rows + sum(receipt.rows for receipt in checked.receipts),
                size=manifest.size + sum(receipt.size for receipt in checked.receipts),
            )
            await finish_in_thread(_write_lines, file, checked.receipts)
        if errors:
            raise incomplete(errors, plan)
        await finish_in_thread(_write_lines, file, [manifest])
        file.seek(0)
        await finish_in_thread(store.write, manifest.name, file)
    return manifest


def _write_lines(file: IO[bytes], values: Sequence[PartReceipt | Manifest]) -> None:
    file.write("".join(f"{json.dumps(plain(value))}\n" for value in values).encode())


def incomplete(errors: dict[str, Exception], plan: Plan) -> IncompleteError:
    """Return the error of a plan of which parts are missing.

    Args:
        errors: The error of each part, by its name.
        plan: The plan.
    """
    first, count = next(iter(errors)), len(errors)
    hint = "write them, or plan again for what is missing"
    problem = f"{count} parts of {plan.parts} are missing, such as {first}: {hint}"
    error = IncompleteError(problem)
    error.errors = errors
    return error


@define
class _Checked:
    """What an account has, and what it lacks."""

    receipts: list[PartReceipt]
    errors: dict[str, Exception]


async def _accounts_of(plan: Plan) -> AsyncGenerator[list[Part], None]:
    """Yield the parts of each account, which follow one another in a plan."""
    row: list[Part] = []
    async for part in plan:
        if row and row[-1].account != part.account:
            yield row
            row = []
        row.append(part)
    if row:
        yield row


def _check_account(store: Store, parts: list[Part]) -> _Checked:
    plan, account = parts[0].plan, parts[0].account
    files = store.files(folder_of(account))
    taken = windows_in(files)
    if (twice := overlap(taken)) is not None:
        names = " and ".join(name_of(account, window, plan.format) for window in twice)
        problem = f"{names} have the same time: remove one of them, and plan again"
        raise ConfigurationError("plan", problem)
    checked = _Checked([], {})
    for part in parts:
        file = taken.get(part.window)
        receipt = receipt_of(store, part)
        if file is None or receipt is None:
            checked.errors[part.name] = _error(errno.ENOENT, "was not written", part.name)
        elif files[file] != receipt.size:
            fault = f"has {files[file]} bytes, and was written with {receipt.size}"
            checked.errors[part.name] = _error(errno.EIO, fault, part.name)
        else:
            checked.receipts.append(receipt)
    planned = [part.window for part in parts]
    for window in holes(plan.window, [*taken, *planned]):
        name = name_of(account, window, plan.format)
        checked.errors[name] = _error(errno.ENOENT, "is in no file and in no part", name)
    return checked


def _error(number: int, fault: str, name: str) -> OSError:
    return OSError(number, fault, name)
