"""Plans: a list, or the same list of many accounts, cut into parts that are written apart.

What a data set has already is left out of a plan. So the plan of the next day adds what is new, a
plan after failures has what is missing, and an account that joined has all of its past. For this
the names of the files are read, one folder an account, and nothing else.

A plan has a fixed end. By default it is a minute ago, so that clocks that differ a little, and
objects that are still being created, leave no hole in front of the next plan.

The parts go to a file of the data set as they are found, so the memory does not grow with their
number; of each account, one number stays, to refuse an account that is named twice.
"""

from __future__ import annotations

import json
import math
import os
import re
import tempfile
import time
from collections.abc import AsyncIterable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final, cast

from attrs import define, evolve, field

from pinstripe._core.checks import check_flag, check_id, check_whole_number, kind_of
from pinstripe._core.errors import AuthenticationError, ConfigurationError, PinstripeError
from pinstripe._core.tracebacks import hide_frames
from pinstripe._resources.pager import ListReader, Pager, reader_of
from pinstripe._resources.walk import Created
from pinstripe.bulk import fan_out
from pinstripe.export._accounts import Accounts, ids_of
from pinstripe.export._columns import columns_of_list
from pinstripe.export._density import Density
from pinstripe.export._formats import Format, encoder_for, format_of
from pinstripe.export._part import (
    DATA_SET,
    FOLDER,
    VERSION,
    Plan,
    Window,
    check_plan,
    folder_of,
    holes,
    plain,
    time_of,
    windows_in,
)
from pinstripe.export._store import Store, address_of, read_json, store_at, write_json
from pinstripe.export._threads import finish_in_thread

MAX_PARTS: Final = 4_096

_SETTLED: Final = 60
"""Seconds before now that a plan ends by default."""

_PLAN: Final = re.compile(r"plan-([0-9]{1,9})\.json")

_ACCOUNTS_AT_ONCE = 8
_ROWS_AT_ONCE = 256


@hide_frames
async def plan(
    pager: Pager[Any],
    url: str | os.PathLike[str],
    *,
    parts: int = 16,
    accounts: Accounts | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    format: Format = "parquet",
    reveal: bool = False,
) -> Plan:
    """Cut a list into parts, which any number of processes can write to one data set.

    See the guide "Exports in parts". What the data set has already is left out.

    Args:
        pager: The list, as `list(...)` returns it, without `created`.
        url: The data set: a folder, which is made, or an address such as `s3://bucket/sessions`.
        parts: Into how many windows of time each account is cut at most, up to 4,096, by a few
            requests that show where its objects are. With 1 nothing is asked.
        accounts: The connected accounts to read, as an iterable, an async iterable, or the path of
            a file with an id a line; by default the one account of the list.
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
    settings = {"parts": parts, "since": since, "until": until, "format": format, "reveal": reveal}
    # In a thread, since it opens a file and since the import of pyarrow takes long.
    planner = await finish_in_thread(Planner, pager, url, settings)
    try:
        await planner.begin()
        await planner.add([None] if accounts is None else ids_of(accounts))
        return await planner.finish()
    finally:
        planner.close()


@define(eq=False)
class Planner:
    """A plan that is being made: `begin`, `add` accounts, `finish`; and `close` in any case.

    Args:
        pager: As of `plan`.
        url: As of `plan`.
        settings: The other arguments of `plan`.

    Raises:
        ConfigurationError: An argument is wrong.
    """

    pager: Pager[Any]
    url: str | os.PathLike[str]
    settings: Mapping[str, Any]
    _reader: ListReader[Any] = field(init=False)
    _plan: Plan = field(init=False)
    _parts: int = field(init=False)
    _store: Store = field(init=False)
    _continues: bool = field(default=False, init=False)
    _file: IO[bytes] = field(init=False)
    _seen: set[int] = field(factory=set[int], init=False)
    _rows: list[tuple[str | None, int, int]] = field(
        factory=list[tuple[str | None, int, int]], init=False
    )

    def __attrs_post_init__(self) -> None:
        self._reader = check_pager(self.pager)
        self._parts = check_whole_number("parts", self.settings["parts"], maximum=MAX_PARTS)
        form = format_of(self.settings["format"], Path())
        reveal = check_flag("reveal", self.settings["reveal"])
        encoder_for(form, columns_of_list(self._reader, reveal=reveal))
        since, until = _range_of(self.settings["since"], self.settings["until"])
        walk = self._reader.walk
        filters = {k: v for k, v in walk.params.items() if v is not None and k != "created"}
        self._plan = check_plan(
            Plan(
                version=VERSION,
                url=address_of(self.url),
                number=1,
                resource=resource_of(walk.endpoint.template),
                filters=json.loads(json.dumps(filters)),
                format=form,
                reveal=reveal,
                since=time_of(since),
                until=time_of(until),
                parts=0,
            ),
            "pager",
        )
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 -- `close` closes it

    async def begin(self) -> None:
        """Look at the data set, or begin one.

        Raises:
            ConfigurationError: It is of something else, or cannot be opened.
            OSError: It cannot be read or written.
        """
        self._store = await finish_in_thread(store_at, self._plan.url)
        self._continues = await finish_in_thread(self._begin_data_set)

    def _begin_data_set(self) -> bool:
        found = read_json(self._store, DATA_SET)
        if found is None:
            write_json(self._store, DATA_SET, self._plan.content)
            return False
        check_content(self._plan, found, "url")
        self._plan = evolve(self._plan, number=_latest_in(self._store) + 1)
        return True

    async def add(self, accounts: Iterable[str | None] | AsyncIterable[str]) -> None:
        """Add the parts of some accounts.

        Args:
            accounts: Their ids; None for the one account of the list.

        Raises:
            ConfigurationError: One is no id, or is named twice.
            PinstripeError: The one account of the list cannot be read.
        """
        inputs = cast("Iterable[str | None]", accounts)
        async for outcome in fan_out(self._parts_of, inputs, concurrency=_ACCOUNTS_AT_ONCE):
            self._rows += [(account, row.since, row.until) for account, row in outcome.unwrap()]
            if len(self._rows) >= _ROWS_AT_ONCE:
                await finish_in_thread(self._write_rows)

    async def finish(self) -> Plan:
        """Write the parts to the data set, and return the plan."""
        await finish_in_thread(self._write)
        return self._plan

    def _write(self) -> None:
        self._write_rows()
        self._file.seek(0)
        self._store.write(self._plan.file, self._file)
        # After its parts: a plan is found by this file. Another machine may see the data set under
        # another path, so that is not in it.
        data = {name: value for name, value in plain(self._plan).items() if name != "url"}
        write_json(self._store, _file_of(self._plan.number), data)

    def close(self) -> None:
        """Drop what was not written."""
        self._file.close()

    def _write_rows(self) -> None:
        rows, self._rows = self._rows, []
        self._file.write("".join(f"{json.dumps(row)}\n" for row in rows).encode())
        self._plan = evolve(self._plan, parts=self._plan.parts + len(rows))

    async def _parts_of(self, given: str | None) -> list[tuple[str | None, Window]]:
        account = None if given is None else self._check_account(given)
        return [(account, window) for window in await self._cut(account)]

    async def _cut(self, account: str | None) -> list[Window]:
        """Return the windows of an account that the data set does not have."""
        taken: dict[Window, str] = {}
        if self._continues:
            taken = windows_in(await finish_in_thread(self._store.files, folder_of(account)))
        missing = list(holes(self._plan.window, taken))
        if self._parts == 1:
            return missing
        try:
            known = [await self._probe(window, account) for window in missing]
        except PinstripeError as error:
            if account is None or isinstance(error, (AuthenticationError, ConfigurationError)):
                raise
            return missing  # the part will meet the error again, and report it
        total = sum(density.objects for density in known) or 1
        windows: list[Window] = []
        for density in known:
            share = max(1, round(self._parts * density.objects / total))
            windows += density.cut(1 if density.is_one_page else share)
        return windows

    def _check_account(self, given: str) -> str:
        account = check_id("accounts", given.strip() if isinstance(given, str) else given)
        if hash(account) in self._seen:
            raise ConfigurationError("accounts", f"names {account} twice")
        self._seen.add(hash(account))
        return account

    async def _probe(self, window: Window, account: str | None) -> Density:
        """Ask for pages of a window until its density is known."""
        density = Density(window, self._parts)
        while (at := density.next_second()) is not None:
            created = Created(gte=time_of(window.since), lte=time_of(at))
            reader = reader_of(self._reader.within(created, account))
            _, page = await reader_of(reader.without_bodies()).fetch_first()
            times = [item.created.timestamp() for item in page.data if item.created is not None]
            density.record(at, [int(time) for time in times], has_more=page.has_more)
        return density


def _file_of(number: int) -> str:
    return f"{FOLDER}/plan-{number}.json"


def _latest_in(store: Store) -> int:
    """Return the number of the latest plan of a data set; 0 if it has none."""
    found = map(_PLAN.fullmatch, store.files(FOLDER))
    return max((int(match[1]) for match in found if match is not None), default=0)


def latest_plan(url: str | os.PathLike[str]) -> Plan:
    """Return the latest plan of a data set.

    Args:
        url: The data set.

    Raises:
        ConfigurationError: It has none, or one of another version.
        OSError: It cannot be read.
    """
    address = address_of(url)
    store = store_at(address)
    data = read_json(store, _file_of(_latest_in(store)))
    try:
        times = {name: time_of(data[name]) for name in ("since", "until")}
        known: dict[str, Any] = {**data, **times, "url": address}
        found = Plan(**known)
    except (TypeError, KeyError):
        raise ConfigurationError("url", "has no plan: make one first") from None
    return check_plan(found, "url")


def resource_of(template: str) -> str:
    """Return the namespace of a client whose list has an address, such as `/v1/files`.

    Args:
        template: The address.
    """
    return template.removeprefix("/v1/").replace("/", ".")


def check_pager(pager: Any) -> ListReader[Any]:
    """Return what is behind a list that can be cut into parts.

    Args:
        pager: What the caller passed.

    Raises:
        ConfigurationError: It is no such list.
    """
    if not isinstance(pager, Pager):
        raise ConfigurationError("pager", f"must be what a list call returns, not {kind_of(pager)}")
    reader: ListReader[Any] = reader_of(cast("Pager[Any]", pager))
    walk = reader.walk
    problem = ""
    if "created" not in walk.params:
        problem = "has no filter by created, so it cannot be cut: use to_file"
    elif walk.params["created"] is not None:
        problem = "must be without created: give the times as since and until"
    elif walk.after_id is not None or walk.remaining is not None:
        problem = "must be a whole list, without a cursor and max_items"
    elif walk.options is not None:
        problem = "must be without request_options: give accounts, and the rest to the client"
    elif walk.on_unfit is not None:
        problem = "must be without skip_unfit: give it to write_part"
    private = walk.endpoint.private_paths() or ()
    for name in private:
        if walk.params.get(name) is not None:
            problem = f"must be without {name}: it is private, and parts are shown and passed on"
    if problem:
        raise ConfigurationError("pager", problem)
    return reader


def check_content(plan: Plan, found: Any, argument: str) -> None:
    """Refuse a data set that is of something else.

    Args:
        plan: The plan.
        found: The content that its description names.
        argument: The name to give in the error.

    Raises:
        ConfigurationError: It is.
    """
    if found == plan.content:
        return
    known = cast("Mapping[str, Any]", found if isinstance(found, dict) else {})
    names = [name for name, value in plan.content.items() if known.get(name) != value]
    problem = f"the data set is of another {', '.join(names)}: give another folder"
    raise ConfigurationError(argument, problem)


def _range_of(since: Any, until: Any) -> tuple[int, int]:
    """Return the seconds of a plan."""
    now = int(time.time())
    begin = 0 if since is None else _second("since", since)
    end = now - _SETTLED if until is None else _second("until", until)
    if end > now:
        problem = "is in the future: what is created before then would be missing"
        raise ConfigurationError("until", problem)
    if not 0 <= begin < end:
        raise ConfigurationError("since", "must be before until, and not before 1970")
    return begin, end


def _second(argument: str, time: Any) -> int:
    if not isinstance(time, datetime) or time.tzinfo is None:
        raise ConfigurationError(argument, "must be a datetime with a time zone")
    return math.ceil(time.timestamp())
