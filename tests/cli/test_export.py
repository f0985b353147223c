"""`pinstripe export`: a list to a file, and what becomes of a run that is stopped."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import signal
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from pinstripe.cli._times import read_time
from pinstripe.cli.export import RESOURCES
from pinstripe.sandbox import Sandbox
from tests.support.cli_process import (
    SECONDS,
    GateClock,
    read_terminal,
    run,
    same_sandbox,
    start,
)
from tests.support.nonsense import http, nonsense

Command = Callable[..., int]
Captured = pytest.CaptureFixture[bytes]
SESSIONS = "identity.verification_sessions"
OBJECTS = 3000


def test_a_list_goes_to_a_file(
    sandbox: Sandbox, pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    sandbox.identity.seed(250, interval=86_400)
    out = tmp_path / "sessions.csv"
    assert pinstripe("export", SESSIONS, "-o", out, "--filter", "status=verified") == 0
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert {row["status"] for row in rows} == {"verified"}
    assert "client_secret" not in rows[0]
    assert capfdbinary.readouterr().err == f"{len(rows)} objects in {out}\n".encode()
    assert pinstripe("export", SESSIONS, "-o", out) == 2
    assert b"overwrite" in capfdbinary.readouterr().err
    assert pinstripe("export", SESSIONS, "-o", out, "--overwrite", "--reveal") == 0
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert len(rows) == 250
    assert rows[0]["client_secret"] or rows[1]["client_secret"]


def test_dates_and_a_number_bound_it(sandbox: Sandbox, pinstripe: Command, tmp_path: Path) -> None:
    sandbox.identity.seed(250, interval=86_400)
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    assert pinstripe("export", SESSIONS, "-o", whole) == 0
    times = [json.loads(line)["created"] for line in whole.read_text().splitlines()]
    since, until = times[200][:10], times[100][:10]
    dates = ("--since", since, "--until", until)
    assert pinstripe("export", SESSIONS, "-o", out, *dates) == 0
    found = [json.loads(line)["created"] for line in out.read_text().splitlines()]
    assert found == [time for time in times if since <= time < until]
    assert pinstripe("export", SESSIONS, "-o", out, "--max-items", "7", "--overwrite") == 0
    assert len(out.read_text().splitlines()) == 7


@pytest.mark.parametrize("resource", RESOURCES)
def test_every_list_can_be_exported(
    sandbox: Sandbox, pinstripe: Command, tmp_path: Path, resource: str
) -> None:
    assert pinstripe("export", resource, "-o", tmp_path / "out.jsonl") == 0
    assert (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--filter", "status"), "NAME=VALUE"),
        (("--filter", "limit=5"), "NAME=VALUE"),
        (("--filter", "colour=red"), "client_reference_id, related_customer"),
        (("--format", "xml"), "xml"),
    ],
)
@pytest.mark.usefixtures("sandbox")
def test_usage_that_is_wrong(
    pinstripe: Command,
    tmp_path: Path,
    capfdbinary: Captured,
    arguments: tuple[str, ...],
    problem: str,
) -> None:
    assert pinstripe("export", SESSIONS, "-o", tmp_path / "out.csv", *arguments) == 2
    assert problem in capfdbinary.readouterr().err.decode()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"STRIPE_API_KEY": ""}, b"STRIPE_API_KEY is not set"),
        ({"STRIPE_API_KEY": "pk_test_1"}, b"STRIPE_API_KEY is a publishable key"),
        ({"PINSTRIPE_BASE_URL": "nowhere"}, b"PINSTRIPE_BASE_URL: must be an address"),
    ],
)
def test_an_account_that_cannot_be_asked_reads_as_in_other_commands(
    *,
    setting: dict[str, str],
    problem: bytes,
    pinstripe: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: Captured,
) -> None:
    monkeypatch.delenv("PINSTRIPE_BASE_URL", raising=False)
    for name, value in {"STRIPE_API_KEY": "sk_test_1", **setting}.items():
        monkeypatch.setenv(name, value)
    assert pinstripe("export", SESSIONS, "-o", tmp_path / "out.csv") == 2
    ours = capfdbinary.readouterr()
    assert pinstripe("listen", "--forward-to", "http://127.0.0.1:1/hooks") == 2
    assert ours == capfdbinary.readouterr()
    assert ours.err.startswith(b"Error: " + problem)
    assert list(tmp_path.iterdir()) == []


def test_a_list_without_dates_refuses_them(
    sandbox: Sandbox, pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    out = tmp_path / "out.csv"
    assert pinstripe("export", "climate.products", "-o", out, "--since", "2026-01-01") == 2
    assert (
        b"since, until: is not a filter of climate.products; its filters are: none"
        in capfdbinary.readouterr().err
    )


def test_an_error_of_the_api_says_how_to_go_on(
    sandbox: Sandbox, pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    out = tmp_path / "out.csv"
    assert pinstripe("export", SESSIONS, "-o", out, "--filter", "status=odd") == 1
    assert b"--resume continues after 0 objects" in capfdbinary.readouterr().err


def test_objects_that_do_not_fit_end_it_or_are_left_out(
    pinstripe: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Captured
) -> None:
    links = [
        {
            "id": f"link_{n}",
            "object": "file_link",
            "created": 1700000000 - n,
            "livemode": False,
            "expired": False,
            "expires_at": None,
            "file": "file_1",
            "metadata": {},
            "url": None,
        }
        for n in range(5)
    ]
    del links[2]["metadata"]
    page = {"object": "list", "url": "/v1/file_links", "has_more": False, "data": links}
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_1")
    out, command = tmp_path / "out.jsonl", ("export", "file_links", "-o", tmp_path / "out.jsonl")
    with nonsense(http(json.dumps(page), "200 OK", "Request-Id: req_1")) as server:
        monkeypatch.setenv("PINSTRIPE_BASE_URL", server.url)
        assert pinstripe(*command) == 3
        assert b"metadata" in capfdbinary.readouterr().err
        assert pinstripe(*command, "--overwrite", "--skip-unfit") == 0
    left_out, summary = capfdbinary.readouterr().err.decode().splitlines()
    assert left_out.startswith("Left out: ")
    assert "metadata" in left_out
    assert "link_2" in left_out
    assert summary == f"4 objects in {out}; 1 left out"
    ids = [json.loads(line)["id"] for line in out.read_text().splitlines()]
    assert ids == ["link_0", "link_1", "link_3", "link_4"]


def ask(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the commands of this process ask a sandbox."""
    monkeypatch.setenv("STRIPE_API_KEY", sandbox.api_key)
    monkeypatch.setenv("PINSTRIPE_BASE_URL", sandbox.url)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_was_stopped_resumes_to_the_same_bytes(
    *,
    stop: signal.Signals,
    pinstripe: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: Captured,
) -> None:
    gate, out = GateClock(10**9), tmp_path / "out.csv"
    with same_sandbox(gate) as sandbox:
        ask(sandbox, monkeypatch)
        sandbox.identity.seed(OBJECTS)
        expected = whole(pinstripe, tmp_path, "csv")
        gate.hold_after(50)
        with start("export", SESSIONS, "-o", out, sandbox=sandbox) as process:
            assert gate.held.wait(SECONDS)
            process.send_signal(stop)
            _, err = process.communicate(timeout=SECONDS)
            gate.open()
        assert not out.exists()
        if stop is signal.SIGINT:
            assert process.returncode == 130
            assert b"The same command with --resume does the rest." in err
        capfdbinary.readouterr()
        assert pinstripe("export", SESSIONS, "-o", out, "--resume") == 0
        assert capfdbinary.readouterr().err == f"{OBJECTS:,} objects in {out}\n".encode()
    assert out.read_bytes() == expected
    assert sorted(tmp_path.iterdir()) == [out, tmp_path / "whole.csv"]


def test_the_same_command_with_resume_does_the_rest_of_one_that_overwrites(
    pinstripe: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Captured
) -> None:
    gate, out = GateClock(10**9), tmp_path / "out.csv"
    out.write_text("mine")
    command = ("export", SESSIONS, "-o", out, "--overwrite")
    with same_sandbox(gate) as sandbox:
        ask(sandbox, monkeypatch)
        sandbox.identity.seed(OBJECTS)
        gate.hold_after(50)
        with start(*command, sandbox=sandbox) as process:
            assert gate.held.wait(SECONDS)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=SECONDS)
            gate.open()
        assert process.returncode == 130
        assert out.read_text() == "mine"
        assert pinstripe(*command, "--resume") == 0
        assert capfdbinary.readouterr().err == f"{OBJECTS:,} objects in {out}\n".encode()
    assert list(tmp_path.iterdir()) == [out]


def test_a_second_run_to_an_output_is_refused(
    pinstripe: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Captured
) -> None:
    gate, out = GateClock(10**9), tmp_path / "out.csv"
    command = ("export", SESSIONS, "-o", out)
    with same_sandbox(gate) as sandbox:
        ask(sandbox, monkeypatch)
        sandbox.identity.seed(OBJECTS)
        gate.hold_after(50)
        with start(*command, sandbox=sandbox) as process:
            assert gate.held.wait(SECONDS)
            for words in ((), ("--resume",), ("--overwrite",)):
                assert pinstripe(*command, *words) == 2
                problem = b"Error: output: is being written by another export\n"
                assert capfdbinary.readouterr().err == problem
            gate.open()
            process.communicate(timeout=SECONDS)
        assert process.returncode == 0
    assert len(out.read_text().splitlines()) == OBJECTS + 1
    assert list(tmp_path.iterdir()) == [out]


def test_a_run_that_reached_nobody_can_be_run_again(
    pinstripe: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Captured
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_1")
    monkeypatch.setenv("PINSTRIPE_BASE_URL", "http://127.0.0.1:1")  # where nobody answers
    for _ in range(2):
        assert pinstripe("export", SESSIONS, "-o", tmp_path / "out.csv") == 3
        assert list(tmp_path.iterdir()) == []


def test_a_terminal_shows_how_far_it_is(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with same_sandbox() as sandbox:
        sandbox.identity.seed(1000, interval=86_400)
        arguments = ("-o", tmp_path / "out.csv", "--since", "2000-01-01")
        with start("export", SESSIONS, *arguments, sandbox=sandbox, stderr=theirs) as process:
            os.close(theirs)
            shown = read_terminal(ours)
            assert process.wait(SECONDS) == 0
    os.close(ours)
    assert b"1,000 objects, " in shown
    assert b" a second" in shown
    assert re.search(rb"a second (\x1b\[\S+?m)*0:00:\d\d", shown)


def whole(pinstripe: Command, tmp_path: Path, form: str) -> bytes:
    path = tmp_path / f"whole.{form}"
    assert pinstripe("export", SESSIONS, "-o", path) == 0
    return path.read_bytes()


@pytest.mark.parametrize(("output", "form"), [("-", "csv"), ("/dev/stdout", "jsonl")])
def test_standard_output(
    *, output: str, form: str, sandbox: Sandbox, pinstripe: Command, tmp_path: Path
) -> None:
    sandbox.identity.seed(20)
    words = ("export", SESSIONS, "-o", output, "--format", form, "--overwrite")
    done = run(*words, sandbox=sandbox)
    expected = whole(pinstripe, tmp_path, form)
    assert (done.returncode, done.stdout) == (0, expected)
    name = "to standard output" if output == "-" else "in /dev/stdout"
    assert done.stderr == f"20 objects {name}\n".encode()
    with (tmp_path / "out").open("wb", buffering=0) as out:
        out.write(b"before\n")
        assert run(*words, sandbox=sandbox, stdout=out).returncode == 0
        out.write(b"after\n")
    assert (tmp_path / "out").read_bytes() == b"before\n" + expected + b"after\n"


def test_standard_output_has_json_lines_by_default(
    sandbox: Sandbox, pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    sandbox.identity.seed(2)
    assert pinstripe("export", SESSIONS, "-o", "-") == 0
    assert capfdbinary.readouterr().out == whole(pinstripe, tmp_path, "jsonl")


def test_a_reader_that_stops_ends_it_quietly(sandbox: Sandbox) -> None:
    sandbox.identity.seed(3000)
    with start("export", SESSIONS, "-o", "-", sandbox=sandbox) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"id":"vs_')
        process.stdout.close()
        assert process.wait(SECONDS) == 141
        assert process.stderr.read() == b""


def test_a_stream_cannot_be_resumed(
    sandbox: Sandbox, pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    os.mkfifo(tmp_path / "fifo")
    for output in ("-", tmp_path / "fifo", "/dev/null"):
        assert pinstripe("export", SESSIONS, "-o", output, "--format", "csv", "--resume") == 2
        out, err = capfdbinary.readouterr()
        assert (out, err[:50]) == (b"", b"Error: resume: a pipe or a device keeps nothing of")


def test_a_link_stays(sandbox: Sandbox, pinstripe: Command, tmp_path: Path) -> None:
    sandbox.identity.seed(3)
    out, target = tmp_path / "out.csv", tmp_path / "rows"
    out.symlink_to(target)
    target.write_text("old")
    assert pinstripe("export", SESSIONS, "-o", out) == 2
    assert pinstripe("export", SESSIONS, "-o", out, "--overwrite") == 0
    assert (out.is_symlink(), target.read_text().count("\n")) == (True, 4)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-31", "2026-01-31T00:00:00+00:00"),
        ("2026-01-31T08:00", "2026-01-31T08:00:00+00:00"),
        ("2026-01-31 08:00:01", "2026-01-31T08:00:01+00:00"),
        ("2026-01-31T08:00:00Z", "2026-01-31T08:00:00+00:00"),
        ("2026-01-31T08:00:00+02:00", "2026-01-31T06:00:00+00:00"),
        ("2026-01-31T23:30:00-0530", "2026-02-01T05:00:00+00:00"),
        ("2026-01-31T00:30+01", "2026-01-30T23:30:00+00:00"),
        ("2026-01-31T08:00:00.25Z", "2026-01-31T08:00:00.250000+00:00"),
    ],
)
def test_a_time_is_read_with_its_offset(text: str, time: str) -> None:
    assert read_time(text).isoformat() == time


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2026-02-30",
        "2026-01-31T25:00",
        "2026-01-31T08:00+24:00",
        "2026-01-31T08:00+02:60",
        "2026-01-31+02:00",
        "٢٠٢٦-01-31",
        "0001-01-01T00:00+14:00",
        "1767225600",
        "\x1b[2J",
    ],
)
@pytest.mark.usefixtures("sandbox")
def test_what_is_no_time_is_refused(
    pinstripe: Command, tmp_path: Path, capfdbinary: Captured, text: str
) -> None:
    for option in ("--since", "--until"):
        assert pinstripe("export", SESSIONS, "-o", tmp_path / "out.csv", option, text) == 2
        err = capfdbinary.readouterr().err.decode()
        assert f"Invalid value for '{option}': must be a date or a time, such as 2026-01-31" in err
        assert "\x1b" not in err


def test_an_offset_bounds_the_list(sandbox: Sandbox, pinstripe: Command, tmp_path: Path) -> None:
    sandbox.identity.seed(48, interval=3600)
    files = [tmp_path / name for name in ("all.jsonl", "utc.jsonl", "offset.jsonl")]
    assert pinstripe("export", SESSIONS, "-o", files[0]) == 0
    times = [json.loads(line)["created"] for line in files[0].read_text().splitlines()]
    edge = datetime.fromisoformat(times[20].replace("Z", "+00:00"))
    east = edge.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat()
    assert pinstripe("export", SESSIONS, "-o", files[1], "--since", times[20]) == 0
    assert pinstripe("export", SESSIONS, "-o", files[2], "--since", east) == 0
    assert files[1].read_bytes() == files[2].read_bytes()
    assert len(files[1].read_text().splitlines()) == 21


def test_formulas_are_guarded_if_that_is_asked_for(
    sandbox: Sandbox, pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    with sandbox.sync_client() as stripe:
        for name in ("=1+1", "@SUM(A1)", "\t=1", "\r=1", "plain"):
            stripe.identity.verification_sessions.create(type="document", client_reference_id=name)
    found: dict[str, list[str]] = {}
    for option in ((), ("--escape-formulas",)):
        out = tmp_path / f"out{len(option)}.csv"
        assert pinstripe("export", SESSIONS, "-o", out, "--reveal", *option) == 0
        with out.open(newline="", encoding="utf-8") as file:
            found[out.name] = [row["client_reference_id"] for row in csv.DictReader(file)]
    assert found["out0.csv"] == ["plain", "\r=1", "\t=1", "@SUM(A1)", "=1+1"]
    assert found["out1.csv"] == ["plain", "'\r=1", "'\t=1", "'@SUM(A1)", "'=1+1"]
    jsonl = ("-o", tmp_path / "out.jsonl", "--escape-formulas")
    assert pinstripe("export", SESSIONS, *jsonl) == 2
    assert b"escape_formulas: is for csv alone" in capfdbinary.readouterr().err


def test_a_terminal_gets_no_control_character(
    sandbox: Sandbox, pinstripe: Command, capfdbinary: Captured
) -> None:
    with sandbox.sync_client() as stripe:
        stripe.identity.verification_sessions.create(
            type="document", client_reference_id="\x1b]0;title\x07\x9b31m"
        )
    words = ("export", SESSIONS, "-o", "-", "--format", "csv", "--reveal")
    ours, theirs = pty.openpty()
    with start(*words, sandbox=sandbox, stdout=theirs) as process:
        os.close(theirs)
        shown = read_terminal(ours)
        assert process.wait(SECONDS) == 0
    os.close(ours)
    assert rb"\x1b]0;title\x07\x9b31m" in shown
    assert b"\x1b" not in shown
    assert pinstripe(*words) == 0
    assert "\x1b]0;title\x07\x9b31m".encode() in capfdbinary.readouterr().out


@pytest.mark.usefixtures("sandbox")
def test_what_was_typed_is_shown_escaped(
    pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    bad = "\x1b[31m\x9b2J"
    for words in (
        (bad,),
        (f"--{bad}",),
        ("export", bad, "-o", "x"),
        ("export", SESSIONS, "-o", f"x{bad}"),
        ("export", SESSIONS, "-o", "-", "--filter", f"{bad}=1"),
        ("export", SESSIONS, "-o", "-", "--max-items", bad),
        ("quotes", "batch", bad),
        ("quotes", "batch", "-", "--format", bad),
        ("listen", "--forward-to", bad),
        ("listen", "--forward-to", f"http://{bad}.example/"),
        ("trigger", bad),
        ("trigger", "file.created", "--override", bad),
        ("sandbox", f"--{bad}"),
        ("sandbox", "--host", bad),
    ):
        assert pinstripe(*words) == 2, words
        out, err = capfdbinary.readouterr()
        assert err
        assert not set((out + err).decode()) & set("\x1b\x9b"), words
