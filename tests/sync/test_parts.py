"""Exports in parts by the blocking client."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import pinstripe
from pinstripe import ConfigurationError, IncompleteError, UnfitError
from pinstripe.sync import join, plan, write_part
from tests.support.parts import UNTIL, Platform


def client_of(platform: Platform) -> pinstripe.Client:
    fast = pinstripe.RetryPolicy(max_attempts=1)
    return pinstripe.Client("sk_test_x", transport=platform, retry=fast, rate_limit=None)


def test_parts_without_await(tmp_path) -> None:
    with client_of(Platform({None: 250})) as client:
        made = plan(
            client.identity.verification_sessions.list(),
            tmp_path,
            parts=3,
            until=UNTIL,
            format="jsonl",
        )
        with pytest.raises(IncompleteError):
            join(made)
        rows = [write_part(client, part).rows for part in made]
    assert join(made).rows == sum(rows) == 250
    assert len(rows) == 3


def test_accounts_are_read_in_the_thread_of_the_caller(tmp_path) -> None:
    threads = set()

    def ids() -> Iterator[str]:
        for n in range(300):  # more than cross to the loop together
            threads.add(threading.current_thread())
            yield f"acct_{n}"

    with client_of(Platform({f"acct_{n}": 1 for n in range(300)})) as client:
        made = plan(client.events.list(), tmp_path / "a", parts=1, accounts=ids(), until=UNTIL)
        assert made.parts == 300
        (tmp_path / "ids").write_text("acct_1\nacct_2\n")
        named = tmp_path / "ids"
        made = plan(client.events.list(), tmp_path / "b", accounts=named, until=UNTIL)
        assert [part.account for part in made] == ["acct_1", "acct_2"]
        with pytest.raises(ConfigurationError, match="accounts: must be a plain iterable"):
            plan(client.events.list(), tmp_path, accounts=7, until=UNTIL)  # type: ignore[arg-type]
    assert threads == {threading.current_thread()}


def test_what_does_not_fit_is_left_out_and_reported(tmp_path) -> None:
    platform = Platform({None: 5})
    platform.unfit = {3}
    left_out: list[UnfitError] = []
    with client_of(platform) as client:
        made = plan(client.identity.verification_sessions.list(), tmp_path, until=UNTIL)
        (part,) = made
        with pytest.raises(UnfitError):
            write_part(client, part)
        with pytest.raises(ConfigurationError, match="skip_unfit: must be a function"):
            write_part(client, part, skip_unfit=7)  # type: ignore[arg-type]
        assert write_part(client, part, skip_unfit=left_out.append).rows == 4
    assert [error.id for error in left_out] == ["vs_own_3"]


def test_arguments_of_the_other_client(tmp_path) -> None:
    client = pinstripe.AsyncClient("sk_test_x")
    with pytest.raises(ConfigurationError, match="pager: must be what a list of a Client gives"):
        plan(client.events.list(), tmp_path, until=UNTIL)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="client: must be a Client, not a pinstripe"):
        write_part(client, None)  # type: ignore[arg-type]
