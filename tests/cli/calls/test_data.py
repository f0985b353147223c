"""Objects as plain data, and what of them is in a cell."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import click
import pytest

from pinstripe.cli._calls.calls import Call, Param
from pinstripe.cli._calls.data import HIDDEN, cell, field_at, flat, plain
from pinstripe.cli._calls.execute import Job, asked_for
from pinstripe.cli._calls.show import fitting
from pinstripe.cli._calls.values import convert
from pinstripe.identity import VerificationSession

EAST = timezone(timedelta(hours=2))
SESSION = VerificationSession(
    id="vs_1",
    created=datetime(2026, 1, 31, 10, 0, tzinfo=EAST),
    livemode=False,
    status="verified",
    type="document",
    metadata={"user": "42"},
)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (datetime(2026, 1, 31, 10, 0, tzinfo=EAST), "2026-01-31T08:00:00Z"),
        (date(2026, 1, 31), "2026-01-31"),
        (Decimal("1E-3"), "0.001"),
        ((Decimal(1), {"a": None}), ["1", {"a": None}]),
    ],
)
def test_values_become_what_json_has(value: Any, data: Any) -> None:
    assert plain(value, reveal=False) == data


def test_private_fields_are_left_out_marked_or_shown() -> None:
    assert "metadata" not in plain(SESSION, reveal=False)
    marked = plain(SESSION, reveal=False, mark=True)
    assert marked["metadata"] is HIDDEN
    assert "client_secret" not in marked, "it has no value"
    assert plain(SESSION, reveal=True)["metadata"] == {"user": "42"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (7, "7"),
        (["a", 1], "a, 1"),
        ([{"a": HIDDEN}], '[{"a": "(hidden)"}]'),
        ({"a": HIDDEN}, '{"a": "(hidden)"}'),
        ("a\tb\n\x1b[2J", "a\\tb\\n\\u001b[2J"),
        ("Zoë", "Zoë"),
    ],
)
def test_a_cell_is_one_line_that_a_terminal_can_show(value: Any, text: str) -> None:
    assert cell(value) == text
    assert cell(value).isprintable()


def test_fields_are_found_by_their_path() -> None:
    data = {"a": {"b": 1, "c": None}, "d": []}
    assert field_at(data, "a.b") == 1
    assert field_at(data, "a.b.c") is None
    assert field_at(data, "e") is None
    assert dict(flat(data)) == {"a.b": 1}


def test_columns_are_taken_while_they_fit() -> None:
    widths = {"id": 28, "name": 30, "status": 14, "created": 20}
    assert list(fitting(widths, 80)) == ["id", "status", "created"]
    assert list(fitting(widths, 200)) == list(widths)
    assert list(fitting(widths, 10)) == ["id"]


def test_a_number_is_read() -> None:
    call = Call("a.b", "GET", "object", "", (Param("seconds", "number", "", "", ""),))
    params: dict[str, Any] = {"seconds": "1.5"}
    convert(call, params)
    assert params == {"seconds": 1.5}
    with pytest.raises(click.UsageError, match="--seconds: must be a number"):
        convert(call, {"seconds": "fast"})


@pytest.mark.parametrize("params", [{"created": True}, {"created": 10**30}])
def test_a_time_that_is_none(params: dict[str, Any]) -> None:
    call = Call("a.b", "GET", "list", "", (Param("created", "range", "", "", ""),))
    if params["created"] is True:
        convert(call, params)
        assert params == {"created": True}, "the client refuses it"
    else:
        with pytest.raises(click.UsageError, match="--created: must be a time"):
            convert(call, params)


@pytest.mark.anyio
async def test_a_job_has_to_say_what_it_sends() -> None:
    with pytest.raises(NotImplementedError):
        await Job(asked=asked_for({}), title="nothing").make(None)  # type: ignore[arg-type]
