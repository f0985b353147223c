"""Plans, parts and receipts: what an export in parts hands from one process to another.

A part is one account and one window of whole seconds, from `since` on and before `until`. Its file
is named by both, so that a part which is written twice has one file, and the names of a folder say
what is there and what is missing:

    sessions/part-0-1769904000.parquet
    sessions/account=acct_1/part-1769904000-1769990400.parquet

`account=...` is how Hive names the folders of a data set: DuckDB, polars, pandas and Dask make a
column of it. Beside the data, the folder `_pinstripe` has what the export itself needs, in files
that none of these reads, since their names begin with an underscore or are in such a folder.

Nothing here is secret: a key is never part of a plan, and a filter by a private parameter is
refused, since a part passes through queues, logs and dashboards.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Mapping
from datetime import datetime, timezone
from itertools import islice, pairwise
from typing import Any, Final, cast

from attrs import asdict, field, frozen

from pinstripe._core.checks import kind_of
from pinstripe._core.errors import ConfigurationError
from pinstripe.export._formats import Format
from pinstripe.export._store import store_at
from pinstripe.export._threads import finish_in_thread

VERSION: Final = 1
"""The version of plans, parts, and the files in `_pinstripe`."""

RESOURCES: Final = (
    "crypto.onramp_sessions",
    "events",
    "file_links",
    "files",
    "forwarding.requests",
    "identity.verification_reports",
    "identity.verification_sessions",
)
"""What can be exported in parts: the namespaces of a client whose list filters by `created`."""

FOLDER: Final = "_pinstripe"
"""Where a data set keeps what is no data."""

DATA_SET: Final = f"{FOLDER}/dataset.json"
"""The file that says what a data set is of."""

_BATCH = 256
"""Parts that a thread reads at once."""

_NAME = re.compile(r"part-([0-9]{1,12})-([0-9]{1,12})\.(?:jsonl|csv|parquet)")


@frozen(kw_only=True)
class Window:
    """Some whole seconds.

    Attributes:
        since: The first one.
        until: The one after the last one.
    """

    since: int
    until: int


@frozen(kw_only=True)
class Plan:
    """An export in parts: what is read, into which data set, and in how many parts.

    Iterate it for its parts, with `async for` or `for`; they are read from the data set, so a plan
    of any number of parts takes the same memory. `pinstripe.to_dict` makes JSON data of it, and
    `from_dict` reads that.

    Attributes:
        version: The version of this form.
        url: The data set: a folder, or an address such as `s3://bucket/sessions`.
        number: Which plan of the data set it is, from 1.
        resource: What is read, such as `identity.verification_sessions`.
        filters: The filters of the list.
        format: How it is written.
        reveal: Whether private fields are written too.
        since: Nothing created before this time is read.
        until: Nothing created at this time or after it is read.
        parts: How many parts are left to write.
    """

    version: int
    url: str
    number: int
    resource: str
    filters: Mapping[str, Any] = field(hash=False)
    format: Format
    reveal: bool
    since: datetime
    until: datetime
    parts: int

    @property
    def window(self) -> Window:
        """The seconds from `since` to `until`."""
        return Window(since=second_of(self.since), until=second_of(self.until))

    @property
    def content(self) -> dict[str, Any]:
        """What all plans of one data set have in common."""
        names = ("version", "resource", "filters", "format", "reveal")
        return {name: getattr(self, name) for name in names}

    @property
    def file(self) -> str:
        """The path, in the data set, of the file with the parts."""
        return f"{FOLDER}/plan-{self.number}.jsonl"

    def __iter__(self) -> Iterator[Part]:
        """Yield the parts, account by account, each from the oldest on."""
        try:
            lines = store_at(self.url).lines(self.file)
            for _, line in zip(range(self.parts), lines, strict=True):
                account, since, until = json.loads(line)
                yield Part(plan=self, account=account, since=time_of(since), until=time_of(until))
        except FileNotFoundError:
            raise _lost("is not there") from None
        except (ValueError, TypeError):
            raise _lost("is damaged, or of another plan") from None

    async def __aiter__(self) -> AsyncGenerator[Part, None]:
        """Yield the parts, account by account, each from the oldest on."""
        parts = iter(self)
        while batch := await finish_in_thread(list, islice(parts, _BATCH)):
            for part in batch:
                yield part


@frozen(kw_only=True)
class Part:
    """One account and one window of time of a plan; `write_part` writes its file.

    `pinstripe.to_dict` makes JSON data of it, and `from_dict(Part, ...)` reads that, in another
    process too. There is no secret in it.

    Attributes:
        plan: The plan.
        account: The connected account; None for the account of the client.
        since: Nothing created before this time is in it.
        until: Nothing created at this time or after it is in it.
    """

    plan: Plan
    account: str | None
    since: datetime
    until: datetime

    @property
    def name(self) -> str:
        """The path of its file in the data set."""
        return name_of(self.account, self.window, self.plan.format)

    @property
    def window(self) -> Window:
        """The seconds from `since` to `until`."""
        return Window(since=second_of(self.since), until=second_of(self.until))


@frozen(kw_only=True)
class PartReceipt:
    """What was written of a part.

    Attributes:
        name: The path of its file in the data set.
        rows: The objects in it.
        size: Its bytes.
    """

    name: str
    rows: int
    size: int


@frozen(kw_only=True)
class Manifest:
    """What a complete plan has written.

    Attributes:
        url: The data set.
        since: From which time on it is complete.
        until: Up to which time: the `since` of the next plan.
        accounts: How many accounts have parts in the plan; 1 if it names none.
        parts: How many files the plan has written.
        rows: The objects in them.
        size: Their bytes.
        name: The path, in the data set, of the file that lists them.
    """

    url: str
    since: datetime
    until: datetime
    accounts: int
    parts: int
    rows: int
    size: int
    name: str


def second_of(time: datetime) -> int:
    """Return a time as whole seconds since 1970."""
    return int(time.timestamp())


def time_of(second: int) -> datetime:
    """Return the time of a whole second since 1970."""
    return datetime.fromtimestamp(second, timezone.utc)


def folder_of(account: str | None) -> str:
    """Return the folder with the parts of an account."""
    return "" if account is None else f"account={account}"


def name_of(account: str | None, window: Window, format: Format) -> str:
    """Return the path of the file of a part."""
    file = f"part-{window.since}-{window.until}.{format}"
    return file if account is None else f"{folder_of(account)}/{file}"


def windows_in(names: Iterable[str]) -> dict[Window, str]:
    """Return the windows of the parts among some files of one folder, with their names."""
    found = ((_NAME.fullmatch(name), name) for name in names)
    return {Window(since=int(m[1]), until=int(m[2])): name for m, name in found if m is not None}


def holes(whole: Window, taken: Collection[Window]) -> Iterator[Window]:
    """Yield the windows of `whole` that none of `taken` covers, oldest first."""
    begin = whole.since
    for window in sorted(taken, key=lambda window: window.since):
        if begin < min(window.since, whole.until):
            yield Window(since=begin, until=min(window.since, whole.until))
        begin = max(begin, window.until)
    if begin < whole.until:
        yield Window(since=begin, until=whole.until)


def overlap(taken: Collection[Window]) -> tuple[Window, Window] | None:
    """Return two windows that have a second in common; None if there are none."""
    row = sorted(taken, key=lambda window: (window.since, window.until))
    for older, newer in pairwise(row):
        if newer.since < older.until:
            return older, newer
    return None


def _lost(fault: str) -> ConfigurationError:
    problem = f"its file in the data set {fault}: plan again, and let every process see that place"
    return ConfigurationError("plan", problem)


def check_plan(plan: Any, argument: str = "plan") -> Plan:
    """Return a plan that this release can carry out.

    Args:
        plan: What the caller passed.
        argument: The name to give in the error.

    Raises:
        ConfigurationError: It is something else, or of another version or resource.
    """
    if not isinstance(plan, Plan):
        raise ConfigurationError(
            argument, f"must be a Plan of pinstripe.export.plan, not {kind_of(plan)}"
        )
    if plan.version != VERSION:
        problem = (
            f"is of version {plan.version}, and this release has {VERSION}: plan again with it"
        )
        raise ConfigurationError(argument, problem)
    if plan.resource not in RESOURCES:
        raise ConfigurationError(
            argument,
            f"has the resource {plan.resource!r}, which is none of: {', '.join(RESOURCES)}",
        )
    return plan


def plain(value: Plan | PartReceipt | Manifest) -> dict[str, Any]:
    """Return a value as data for a file of JSON, with seconds in place of times."""
    data = asdict(value)
    times = {name: second_of(time) for name, time in data.items() if isinstance(time, datetime)}
    return cast("dict[str, Any]", {**data, **times})
