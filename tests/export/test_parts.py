"""Exports in parts: plans, parts that are written anywhere, and their end."""

from __future__ import annotations

import asyncio
import inspect
import json
import pickle
import stat
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

import pinstripe
from pinstripe import ConfigurationError, IncompleteError, PinstripeError
from pinstripe.export import Manifest, Part, Plan, join, plan, to_file, write_part
from pinstripe.export._density import MAX_PROBES, Density
from pinstripe.export._part import RESOURCES, Window, holes, overlap, time_of
from pinstripe.export._plan import latest_plan, resource_of
from pinstripe.identity import VerificationSessions
from tests.support.parts import NEWEST, UNTIL, Platform, platform_client

pytestmark = pytest.mark.anyio

LIST = "/v1/identity/verification_sessions"


def rows(folder: Path, account: str | None = None) -> list[str]:
    """The ids in a folder of JSON lines, in the order of one export: newest first."""
    paths = (folder if account is None else folder / f"account={account}").glob("part-*.jsonl")
    newest_first = sorted(paths, key=lambda path: -int(path.name.split("-")[1]))
    return [
        json.loads(line)["id"] for path in newest_first for line in path.read_text().splitlines()
    ]


async def written(client: pinstripe.AsyncClient, made: Plan) -> Manifest:
    async for part in made:
        await write_part(client, part)
    return await join(made)


# --- one account ----------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
async def test_parts_have_what_one_export_has(format, tmp_path) -> None:
    platform = Platform({None: 1_000})
    async with platform_client(platform) as client:
        sessions = client.identity.verification_sessions.list()
        made = await plan(sessions, tmp_path / "set", parts=4, until=UNTIL, format=format)
        assert made.parts == 4
        manifest = await written(client, made)
        await to_file(sessions, tmp_path / f"one.{format}")
    assert (manifest.rows, manifest.parts, manifest.accounts) == (1_000, 4, 1)
    paths = sorted((tmp_path / "set").glob("part-*"), reverse=True)
    assert manifest.size == sum(path.stat().st_size for path in paths)
    whole = tmp_path / f"one.{format}"
    if format == "parquet":
        tables = [pq.read_table(path) for path in paths]
        assert [row for table in tables for row in table.to_pylist()] == pq.read_table(
            whole
        ).to_pylist()
        assert pq.read_table(tmp_path / "set").num_rows == 1_000
    else:
        header = len(whole.read_bytes().splitlines(keepends=True)[0]) * (format == "csv")
        assert (
            b"".join(path.read_bytes()[header:] for path in paths) == (whole.read_bytes()[header:])
        )
    for path in [tmp_path / "set", *(tmp_path / "set").rglob("*")]:
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


async def test_parts_have_about_equal_sizes_by_a_few_probes(tmp_path) -> None:
    # Two thirds of the objects are in the newest tenth of the time.
    ages = [*range(0, 40_000, 20), *range(40_000, 400_000, 360)]
    platform = Platform({None: ages})
    async with platform_client(platform) as client:
        sessions = client.identity.verification_sessions.list()
        made = await plan(sessions, tmp_path, parts=8, until=UNTIL, format="jsonl")
        assert len(platform.asked) <= MAX_PROBES
        receipts = [await write_part(client, part) async for part in made]
    assert sum(receipt.rows for receipt in receipts) == len(ages)
    assert max(receipt.rows for receipt in receipts) < 2 * len(ages) / made.parts


async def test_a_list_that_fits_one_page_is_one_part_and_one_part_asks_nothing(tmp_path) -> None:
    platform = Platform({None: 100})
    async with platform_client(platform) as client:
        sessions = client.identity.verification_sessions.list()
        made = await plan(sessions, tmp_path / "a", parts=64, until=UNTIL)
        assert (made.parts, len(platform.asked)) == (1, 1)
        made = await plan(sessions, tmp_path / "b", parts=1, until=UNTIL)
        assert (made.parts, len(platform.asked)) == (1, 1)
        assert (await written(client, made)).rows == 100


async def test_an_empty_list_is_a_data_set_too(tmp_path) -> None:
    async with platform_client(Platform({None: 0})) as client:
        made = await plan(client.events.list(), tmp_path, until=UNTIL)
        manifest = await written(client, made)
    assert (manifest.parts, manifest.rows) == (1, 0)
    assert pq.read_table(tmp_path).num_rows == 0


async def test_the_next_plan_adds_only_what_is_new(tmp_path) -> None:
    platform = Platform({None: 300})
    async with platform_client(platform) as client:
        sessions = client.identity.verification_sessions.list(status="verified")
        first = await plan(sessions, tmp_path, parts=2, until=time_of(NEWEST - 98), format="jsonl")
        manifest = await written(client, first)
        assert manifest.rows == 300 - 99
        assert manifest.until == time_of(NEWEST - 98)
        second = await plan(
            sessions, tmp_path, parts=1, since=manifest.until, until=UNTIL, format="jsonl"
        )
        manifest = await written(client, second)
        assert (manifest.rows, manifest.parts) == (99, 1)
        # Without `since`, what is there is left out as well: nothing is missing now.
        third = await plan(sessions, tmp_path, until=UNTIL, format="jsonl")
        assert third.parts == 0
        assert (await join(third)).rows == 0
    assert len(rows(tmp_path)) == len(set(rows(tmp_path))) == 300
    assert all(query["status"] == "verified" for _, query in platform.asked)


async def test_a_part_is_plain_data_without_a_secret(tmp_path) -> None:
    async with platform_client(Platform({"acct_1": 1})) as client:
        sessions = client.identity.verification_sessions.list(status="verified")
        made = await plan(sessions, tmp_path, accounts=["acct_1"], until=UNTIL)
    (part,) = made
    text = json.dumps(pinstripe.to_dict(part))
    assert pinstripe.from_dict(Part, json.loads(text)) == part
    assert pickle.loads(pickle.dumps(part)) == part
    assert len({part, pinstripe.from_dict(Part, json.loads(text))}) == 1
    assert "sk_test" not in text + repr(part) + str(pickle.dumps(part))
    assert part.name == f"account=acct_1/part-0-{NEWEST + 1}.parquet"
    assert latest_plan(str(tmp_path)) == made


async def test_a_part_that_is_written_sends_nothing_and_a_damaged_one_is_written_again(
    tmp_path,
) -> None:
    platform = Platform({None: 150})
    async with platform_client(platform) as client:
        sessions = client.identity.verification_sessions.list()
        made = await plan(sessions, tmp_path, parts=1, until=UNTIL, format="jsonl")
        (part,) = made
        receipt = await write_part(client, part)
        asked = len(platform.asked)
        assert await write_part(client, part) == receipt
        assert len(platform.asked) == asked
        path = tmp_path / part.name
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.raises(IncompleteError, match="1 parts of 1 are missing") as raised:
            await join(made)
        assert "has" in str(raised.value.errors[part.name])
        assert await write_part(client, part) == receipt
        assert (await join(made)).rows == 150


async def test_a_part_resumes_where_its_rows_are(tmp_path) -> None:
    platform = Platform({None: 3_000})
    async with platform_client(platform) as client:
        sessions = client.identity.verification_sessions.list()
        made = await plan(sessions, tmp_path, parts=1, until=UNTIL, format="jsonl")
        (part,) = made
        platform.fail_after = 12
        with pytest.raises(PinstripeError):
            await write_part(client, part)
        before = len(platform.asked)
        platform.fail_after = None
        assert (await write_part(client, part)).rows == 3_000
        assert len(platform.asked) - before < 30 + 16
        # A checkpoint of another release, or a damaged one, is dropped.
        (tmp_path / part.name).unlink()
        (tmp_path / f".{part.name}.mark").write_text("{}")
        assert (await write_part(client, part)).rows == 3_000
    assert len(set(rows(tmp_path))) == 3_000
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


async def test_two_writers_of_one_part(tmp_path) -> None:
    async with platform_client(Platform({None: 150})) as client:
        sessions = client.identity.verification_sessions.list()
        made = await plan(sessions, tmp_path, parts=1, until=UNTIL)
        (part,) = made
        ends = await asyncio.gather(
            *(write_part(client, part) for _ in range(2)), return_exceptions=True
        )
        refused = [end for end in ends if isinstance(end, ConfigurationError)]
        assert all("is being written by another export" in str(error) for error in refused)
        assert len(refused) < 2
        assert (await join(made)).rows == 150


async def test_what_is_missing_is_named_and_planned_again(tmp_path) -> None:
    async with platform_client(Platform({None: 1_000})) as client:
        sessions = client.identity.verification_sessions.list()
        made = await plan(sessions, tmp_path, parts=4, until=UNTIL, format="jsonl")
        oldest, second, third, newest = list(made)
        for part in (oldest, third):
            await write_part(client, part)
        with pytest.raises(IncompleteError, match="2 parts of 4 are missing") as raised:
            await join(made)
        assert set(raised.value.errors) == {second.name, newest.name}
        rest = await plan(sessions, tmp_path, parts=2, until=UNTIL, format="jsonl")
        assert [part.window for part in rest] == [second.window, newest.window]
        await written(client, rest)
        assert (await join(made)).rows == 1_000
        # A file of an earlier plan that was removed is a hole, which a later plan names.
        late = await plan(
            sessions, tmp_path, since=made.since, until=UNTIL + timedelta(1), format="jsonl"
        )
        await written(client, late)
        (tmp_path / third.name).unlink()
        with pytest.raises(IncompleteError) as raised:
            await join(late)
        assert "is in no file and in no part" in str(raised.value.errors[third.name])


async def test_parts_written_twice_are_named(tmp_path) -> None:
    async with platform_client(Platform({None: 10})) as client:
        sessions = client.identity.verification_sessions.list()
        made = await plan(sessions, tmp_path, until=UNTIL, format="jsonl")
        await written(client, made)
    (part,) = made
    (tmp_path / f"part-5-{NEWEST}.jsonl").write_text("")
    with pytest.raises(ConfigurationError, match=f"{part.name} and part-5-.* have the same time"):
        await join(made)


# --- many accounts --------------------------------------------------------------------------------


async def test_accounts_from_a_file_with_one_that_fails_for_a_while(tmp_path) -> None:
    platform = Platform({f"acct_{n}": 120 for n in range(5)})
    (tmp_path / "accounts.txt").write_text("".join(f"acct_{n}\n\n" for n in range(5)))
    platform.broken = {"acct_3"}
    async with platform_client(platform) as client:
        sessions = client.identity.verification_sessions.list()
        folder, accounts = tmp_path / "set", tmp_path / "accounts.txt"
        made = await plan(sessions, folder, parts=2, accounts=accounts, until=UNTIL, format="jsonl")
        assert made.parts == 4 * 2 + 1  # nothing is known of the broken one
        outcomes = pinstripe.bulk.fan_out(lambda part: write_part(client, part), made)
        assert [o.input.account async for o in outcomes if o.error is not None] == ["acct_3"]
        with pytest.raises(IncompleteError) as raised:
            await join(made)
        assert list(raised.value.errors) == [f"account=acct_3/part-0-{NEWEST + 1}.jsonl"]
        # The next plan has it alone, and it has all of its past.
        platform.broken = set()
        asked = len(platform.asked)
        rest = await plan(sessions, folder, parts=2, accounts=accounts, until=UNTIL, format="jsonl")
        assert {part.account for part in rest} == {"acct_3"}
        manifest = await written(client, rest)
        assert {account for account, _ in platform.asked[asked:]} == {"acct_3"}
    assert (manifest.rows, manifest.accounts) == (120, 1)
    for account, count in platform.counts.items():
        assert len(set(rows(folder, account))) == count


async def test_accounts_are_read_as_they_come(tmp_path) -> None:
    async def ids() -> AsyncIterator[str]:
        for n in range(3):
            yield f"acct_{n}"

    platform = Platform({f"acct_{n}": 1 for n in range(3)})
    async with platform_client(platform) as client:
        made = await plan(client.events.list(), tmp_path / "a", accounts=ids(), until=UNTIL)
        assert [part.account for part in made] == ["acct_0", "acct_1", "acct_2"]
        none = await plan(client.events.list(), tmp_path / "b", accounts=[], until=UNTIL)
        assert (none.parts, list(none)) == (0, [])


@pytest.mark.parametrize(
    ("accounts", "problem"),
    [
        (["acct_1", "acct_1"], "accounts: names acct_1 twice"),
        (["../x"], "accounts: must be an id"),
        ([7], "accounts: must be an id"),
        (7, "accounts: must be ids of accounts"),
        ("nowhere.txt", "accounts: must be a text file"),
    ],
)
async def test_accounts_that_are_refused(accounts, problem, tmp_path) -> None:
    async with platform_client(Platform({"acct_1": 1})) as client:
        with pytest.raises(ConfigurationError, match=problem):
            await plan(client.events.list(), tmp_path, accounts=accounts, until=UNTIL)


async def test_a_key_that_is_refused_ends_the_plan(tmp_path) -> None:
    platform = Platform({"acct_1": 1}, status=401)
    async with platform_client(platform) as client:
        with pytest.raises(pinstripe.AuthenticationError):
            await plan(client.events.list(), tmp_path, accounts=["acct_1"], until=UNTIL)
        platform.status = 500
        with pytest.raises(pinstripe.ServerError):
            await plan(client.events.list(), tmp_path, until=UNTIL)


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"parts": 0}, "parts: must be a whole number from 1 to 4096"),
        ({"parts": 4_097}, "parts: must be a whole number"),
        ({"format": "xml"}, "format: must be one of"),
        ({"reveal": "yes"}, "reveal: must be True or False"),
        (
            {"since": datetime.fromisoformat("2026-01-01")},
            "since: must be a datetime with a time zone",
        ),
        ({"until": "2026"}, "until: must be a datetime"),
        ({"until": datetime(3000, 1, 1, tzinfo=timezone.utc)}, "until: is in the future"),
        ({"since": UNTIL, "until": UNTIL}, "since: must be before until"),
    ],
)
async def test_arguments_that_are_refused(arguments, problem, tmp_path) -> None:
    platform = Platform({None: 1})
    async with platform_client(platform) as client:
        with pytest.raises(ConfigurationError, match=problem):
            await plan(client.events.list(), tmp_path / "set", **arguments)
    assert not platform.asked
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("pager", "problem"),
    [
        (lambda c: c.climate.orders.list(), "has no filter by created"),
        (lambda c: c.events.list(created=UNTIL), "must be without created"),
        (lambda c: c.events.list(max_items=3), "must be a whole list"),
        (lambda c: c.events.list(starting_after="evt_1"), "must be a whole list"),
        (
            lambda c: c.events.list(request_options=pinstripe.RequestOptions(timeout=1)),
            "must be without request_options",
        ),
        (lambda c: c.events.list().skip_unfit(print), "must be without skip_unfit"),
        (
            lambda c: c.identity.verification_sessions.list(client_reference_id="x"),
            "must be without client_reference_id: it is private",
        ),
        (lambda _: "sessions", "must be what a list call returns, not a str"),
    ],
)
async def test_lists_that_are_refused(pager, problem, tmp_path) -> None:
    async with platform_client(Platform({None: 1})) as client:
        with pytest.raises(ConfigurationError, match=f"pager: {problem}"):
            await plan(pager(client), tmp_path, until=UNTIL)


async def test_another_list_is_no_part_of_a_data_set(tmp_path) -> None:
    platform = Platform({None: 1})
    async with platform_client(platform) as client:
        sessions = client.identity.verification_sessions
        made = await plan(sessions.list(), tmp_path, until=UNTIL)
        asked = len(platform.asked)
        with pytest.raises(ConfigurationError, match="url: the data set is of another resource"):
            await plan(client.events.list(), tmp_path, until=UNTIL)
        with pytest.raises(ConfigurationError, match="of another filters, format"):
            await plan(sessions.list(status="verified"), tmp_path, until=UNTIL, format="csv")
        (part,) = made
        other = evolve(part, plan=evolve(made, resource="events"))
        with pytest.raises(ConfigurationError, match="part: the data set is of another resource"):
            await write_part(client, other)
        (tmp_path / "_pinstripe" / "dataset.json").write_text("[]")
        with pytest.raises(ConfigurationError, match="plan: the data set is of another"):
            await join(made)
        (tmp_path / "_pinstripe" / "dataset.json").unlink()
        with pytest.raises(ConfigurationError, match="part: there is no data set at its url"):
            await write_part(client, part)
        assert len(platform.asked) == asked


async def test_parts_that_are_refused(tmp_path) -> None:
    platform = Platform({None: 1})
    async with platform_client(platform) as client:
        made = await plan(client.events.list(), tmp_path, parts=1, until=UNTIL)
        (part,) = made
        wrong: list[tuple[Any, str]] = [
            ("part", "must be a Part of a plan, not a str"),
            (evolve(part, plan=evolve(made, version=2)), "is of version 2"),
            (evolve(part, plan=evolve(made, resource="__class__")), "has the resource '__class__'"),
            (evolve(part, plan="plan"), "must be a Plan"),
            (evolve(part, account="../x"), "must be an id"),
        ]
        for value, problem in wrong:
            with pytest.raises(ConfigurationError, match=f"part: {problem}"):
                await write_part(client, value)
        with pytest.raises(ConfigurationError, match="client: must be an AsyncClient, not None"):
            await write_part(None, part)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="plan: must be a Plan"):
            await join(part)  # type: ignore[arg-type]
    assert not platform.asked


async def test_a_plan_whose_file_is_lost_or_damaged(tmp_path) -> None:
    async with platform_client(Platform({None: 1})) as client:
        made = await plan(client.events.list(), tmp_path, parts=1, until=UNTIL)
    path = tmp_path / "_pinstripe" / "plan-1.jsonl"
    for text in ("", "{}\n", "nothing\n"):
        path.write_text(text)
        with pytest.raises(ConfigurationError, match="plan: its file in the data set is damaged"):
            list(made)
    path.unlink()
    with pytest.raises(ConfigurationError, match="plan: its file in the data set is not there"):
        list(made)
    path.with_suffix(".json").unlink()
    with pytest.raises(ConfigurationError, match="url: has no plan"):
        latest_plan(tmp_path)


def test_the_resources_are_those_with_a_filter_by_time() -> None:
    client: Any = pinstripe.AsyncClient("sk_test_x")
    namespaces = [
        name
        for first in vars(type(client))
        if isinstance(getattr(type(client), first), pinstripe._core.forks.fork_safe_property)
        for name in (first, *(f"{first}.{n}" for n in dir(getattr(client, first))))
    ]
    dated = []
    for name in namespaces:
        function = getattr(attrgetter(name)(client), "list", None) if "._" not in name else None
        if function is not None and "created" in inspect.signature(function).parameters:
            pager = function()
            assert resource_of(pager._reader.walk.endpoint.template) == name
            dated.append(name)
    assert sorted(dated) == sorted(RESOURCES)


def test_the_list_has_the_private_filter_that_is_refused() -> None:
    assert "client_reference_id" in VerificationSessions._LIST.private_paths()


# --- pure parts -----------------------------------------------------------------------------------

WINDOWS = st.tuples(st.integers(0, 60), st.integers(1, 9)).map(
    lambda pair: Window(since=pair[0], until=pair[0] + pair[1])
)


@given(WINDOWS, st.lists(WINDOWS, max_size=8))
def test_holes_and_windows_cover_the_whole_once(whole, taken) -> None:
    def seconds(windows: Iterator[Window] | list[Window]) -> list[int]:
        return [n for window in windows for n in range(window.since, window.until)]

    missing = seconds(holes(whole, taken))
    assert len(missing) == len(set(missing))
    assert set(missing) == set(seconds([whole])) - set(seconds(taken))
    twice = len(seconds(taken)) != len(set(seconds(taken)))
    assert (overlap(taken) is not None) == twice


@given(
    st.lists(st.integers(0, 5_000), max_size=600),
    st.integers(0, 4_000),
    st.integers(1, 1_000),
    st.integers(1, 12),
)
def test_any_list_is_cut_into_windows_that_cover_it(seconds, since, length, parts) -> None:
    window = Window(since=since, until=since + length)
    inside = sorted((n for n in seconds if since <= n < since + length), reverse=True)
    density = Density(window, parts)
    probes = 0
    while (at := density.next_second()) is not None:
        assert window.since <= at < window.until
        below = [n for n in inside if n <= at]
        density.record(at, below[:100], has_more=len(below) > 100)
        probes += 1
        assert probes <= MAX_PROBES
    cut = density.cut(parts)
    assert len(cut) <= parts
    assert (cut[0].since, cut[-1].until) == (window.since, window.until)
    assert all(older.until == newer.since for older, newer in pairwise(cut))
