from __future__ import annotations

import csv
import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from yarl import URL

from pinstripe.cli._quotes.rows import CSV_COLUMNS
from pinstripe.sandbox import Sandbox
from tests.support.cli_process import (
    COMMAND,
    SECONDS,
    amounts,
    environment,
    json_rows,
    lines,
    numbers,
    read_terminal,
    run,
    start,
)
from tests.support.nonsense import http, nonsense

Command = Callable[..., int]
Captured = pytest.CaptureFixture[bytes]


def mixed(path: Path) -> Path:
    """Write queries of which the third is refused by the API."""
    path.write_bytes(
        lines(
            "source_amount,source_currency,destination_amount,destination_currencies,"
            "destination_networks",
            "100,usd,,,",
            ",,0.5,eth,base",
            "",
            "5,xyz,,,",
            "7.25,eur,,usdc btc,base bitcoin",
        )
    )
    return path


def test_json_lines_to_standard_output(
    sandbox: Sandbox, pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    assert pinstripe("quotes", "batch", mixed(tmp_path / "q.csv")) == 1
    out, err = capfdbinary.readouterr()
    first, second, refused, last = json_rows(out)
    assert numbers([first, second, refused, last]) == [2, 3, 5, 6]
    assert first["quotes"]["source_amount"] == "100.00"
    (eth,) = second["quotes"]["destination_network_quotes"]["base"]
    assert eth["destination_amount"].startswith("0.5")
    assert refused["error"]["class"] == "InvalidRequestError"
    assert refused["error"]["request_id"].startswith("req_")
    assert refused["error"]["outcome"] == "rejected"
    assert last["quotes"]["source_currency"] == "eur"
    assert err == b"4 queries to standard output, 1 failed\n"
    assert first["quotes"]["rate_fetched_at"].endswith("Z")


def test_csv_to_a_file_by_its_name(sandbox: Sandbox, pinstripe: Command, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert pinstripe("quotes", "batch", mixed(tmp_path / "q.csv"), "-o", out) == 1
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert tuple(rows[0]) == CSV_COLUMNS
    last = [row for row in rows if row["line"] == "6"]
    assert [(row["destination_network"], row["destination_currency"]) for row in last] == [
        ("base", "usdc"),
        ("bitcoin", "btc"),
    ]
    assert [row["error"] for row in rows if row["line"] == "5"] == ["InvalidRequestError"]


def test_the_real_command_from_standard_input_with_the_embedded_sandbox() -> None:
    queries = lines('{"source_amount": 1.10}', '{"destination_networks": ["base"]}')
    done = run("quotes", "batch", "-", "--sandbox", stdin=queries)
    assert (done.returncode, done.stderr) == (0, b"2 queries to standard output\n")
    rows = json_rows(done.stdout)
    assert numbers(rows) == [1, 2]
    assert rows[0]["quotes"]["source_amount"] == "1.10"


@pytest.mark.usefixtures("sandbox")
def test_the_format_of_the_input_can_be_given(pinstripe: Command, tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_bytes(b'{"source_amount": 5}\n')
    assert pinstripe("quotes", "batch", tmp_path / "q.csv") == 2
    assert pinstripe("quotes", "batch", tmp_path / "q.csv", "--input-format=jsonl") == 0


def test_a_named_pipe_can_be_the_input_and_the_output(sandbox: Sandbox, tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out.csv"
    os.mkfifo(source)
    os.mkfifo(target)
    with start("quotes", "batch", source, "-o", target, sandbox=sandbox) as process:
        source.write_bytes(b"destination_networks\nbitcoin\n")
        out = target.read_bytes()
    assert process.returncode == 0
    assert out.splitlines()[0].decode() == ",".join(CSV_COLUMNS)
    assert out.splitlines()[1].startswith(b"2,bitcoin,btc,")


def test_an_interpreter_without_click_says_what_to_install() -> None:
    code = "import sys; sys.modules['rich'] = None; from pinstripe.cli import main; main()"
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=environment(None), capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr == b'pinstripe: the command needs rich: pip install "pinstripe[cli]"\n'


def refused(
    pinstripe: Command, capfdbinary: Captured, *arguments: str | Path, status: int = 2
) -> str:
    """Run a command that must end without a word on standard output; return its last line."""
    assert pinstripe(*arguments) == status
    out, err = capfdbinary.readouterr()
    assert out == b""
    return err.decode().splitlines()[-1]


def test_a_missing_key(
    pinstripe: Command, tmp_path: Path, capfdbinary: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STRIPE_API_KEY", raising=False)
    out = tmp_path / "out.jsonl"
    out.write_bytes(b"precious")
    queries = amounts(tmp_path / "q.csv", 1)
    message = refused(pinstripe, capfdbinary, "quotes", "batch", queries, "-o", out, "--overwrite")
    assert message == "Error: STRIPE_API_KEY is not set; with --sandbox no key is needed"
    assert out.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("STRIPE_API_KEY", "pk_test_1", "STRIPE_API_KEY is a publishable key"),
        ("PINSTRIPE_BASE_URL", "http://example.com", "PINSTRIPE_BASE_URL: plain http"),
    ],
)
def test_settings_that_are_wrong(
    *,
    name: str,
    value: str,
    message: str,
    sandbox: Sandbox,
    pinstripe: Command,
    tmp_path: Path,
    capfdbinary: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(name, value)
    queries = amounts(tmp_path / "q.csv", 1)
    assert message in refused(pinstripe, capfdbinary, "quotes", "batch", queries)


def test_input_that_is_wrong_is_found_before_anything_is_sent(
    pinstripe: Command, tmp_path: Path, capfdbinary: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_1")
    monkeypatch.setenv("PINSTRIPE_BASE_URL", "http://127.0.0.1:1")  # where nobody answers
    queries, out = amounts(tmp_path / "q.csv", 500), tmp_path / "out.csv"
    with queries.open("a") as file:
        file.write("-5\n")
    message = refused(pinstripe, capfdbinary, "quotes", "batch", queries, "-o", out)
    assert message.startswith(f"Error: {queries}:502:1: source_amount: must be a decimal number")
    assert message.endswith("; it is '-5'")
    assert not out.exists()


def test_standard_input_is_named(tmp_path: Path) -> None:
    done = run("quotes", "batch", "-", "--sandbox", stdin=b"colour\nred\n")
    assert done.returncode == 2
    assert done.stderr.startswith(b"Error: <stdin>:1:1: unknown column 'colour'")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume"], "Error: --resume needs --output."),
        (["--overwrite"], "Error: --overwrite needs --output."),
        (["-o", "{out}"], "exists already: use --resume or --overwrite."),
        (["-o", "{queries}", "--overwrite"], "Error: --output is the file of the queries."),
        (
            ["-o", "/dev/null", "--resume"],
            "Error: --resume needs an --output that is a plain file.",
        ),
        (["-o", "{folder}/no/such.csv"], "Error: the output cannot be opened: "),
        (["--concurrency", "0"], "Error: Invalid value for '--concurrency'"),
        (["--format", "xml"], "Error: Invalid value for '--format'"),
        (["--colour"], "Error: No such option"),
    ],
)
def test_usage_that_is_wrong(
    *,
    arguments: list[str],
    message: str,
    sandbox: Sandbox,
    pinstripe: Command,
    tmp_path: Path,
    capfdbinary: Captured,
) -> None:
    queries, out = amounts(tmp_path / "q.csv", 1), tmp_path / "out.jsonl"
    before = queries.read_bytes()
    out.write_bytes(b"precious")
    words = [word.format(out=out, queries=queries, folder=tmp_path) for word in arguments]
    assert message in refused(pinstripe, capfdbinary, "quotes", "batch", queries, *words)
    assert (queries.read_bytes(), out.read_bytes()) == (before, b"precious")


def test_a_missing_input_and_no_command(pinstripe: Command, capfdbinary: Captured) -> None:
    assert "does not exist" in refused(
        pinstripe, capfdbinary, "quotes", "batch", "no.csv", "--sandbox"
    )
    assert "No such command" in refused(pinstripe, capfdbinary, "dance")


def test_an_empty_file_may_be_the_output(
    sandbox: Sandbox, pinstripe: Command, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    out.touch()
    assert pinstripe("quotes", "batch", amounts(tmp_path / "q.csv", 2), "-o", out) == 0
    assert numbers(json_rows(out.read_bytes())) == [2, 3]


def test_overwrite(sandbox: Sandbox, pinstripe: Command, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_bytes(b"old\n" * 10_000)
    assert (
        pinstripe("quotes", "batch", amounts(tmp_path / "q.csv", 2), "-o", out, "--overwrite") == 0
    )
    assert numbers(json_rows(out.read_bytes())) == [2, 3]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_resume_does_the_rest(
    form: str, sandbox: Sandbox, pinstripe: Command, tmp_path: Path
) -> None:
    queries, out = amounts(tmp_path / "q.csv", 5), tmp_path / f"out.{form}"
    command = ("quotes", "batch", queries, "-o", out, "--resume")
    assert pinstripe(*command) == 0
    whole = out.read_bytes()
    assert pinstripe(*command) == 0
    assert out.read_bytes() == whole
    for size in (0, 7, len(whole) // 2, len(whole) - 1):
        out.write_bytes(whole[:size])
        assert pinstripe(*command) == 0
        assert out.read_bytes() == whole


def test_a_resumed_run_remembers_failures(
    sandbox: Sandbox, pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    queries, out = mixed(tmp_path / "q.csv"), tmp_path / "out.jsonl"
    assert pinstripe("quotes", "batch", queries, "-o", out) == 1
    out.write_bytes(out.read_bytes()[:-5])
    assert pinstripe("quotes", "batch", queries, "-o", out, "--resume") == 1
    summary = f"4 queries in {out}, 1 failed: --retry-failed asks again\n"
    assert capfdbinary.readouterr().err.decode() == summary * 2


def test_resume_refuses_another_file(
    sandbox: Sandbox, pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    queries, out = amounts(tmp_path / "q.csv", 2), tmp_path / "out.jsonl"
    for content in (
        b"notes\n",
        b'{"line":9,"query_digest":"q","quotes":{}}\n',
        b'{"line":2,"quotes":{}}\n',
    ):
        out.write_bytes(content)
        for words in (["--resume"], ["--resume", "--overwrite"]):
            message = refused(pinstripe, capfdbinary, "quotes", "batch", queries, "-o", out, *words)
            assert message.startswith(f"Error: {out}:")
            assert "; nothing was changed: " in message
            assert message.endswith("use --overwrite without --resume")
            assert out.read_bytes() == content


def test_a_full_disk(sandbox: Sandbox, pinstripe: Command, tmp_path: Path, capfdbinary: Captured):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no device that is always full")
    queries = amounts(tmp_path / "q.csv", 2)
    message = refused(
        pinstripe, capfdbinary, "quotes", "batch", queries, "-o", "/dev/full", status=1
    )
    assert message.startswith("Error: 0 of 2 queries are written, and no more can be: No space")


def test_a_reader_that_stops_ends_it_quietly(sandbox: Sandbox, tmp_path: Path) -> None:
    with start("quotes", "batch", amounts(tmp_path / "q.csv", 3000), sandbox=sandbox) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"line":2,')
        process.stdout.close()
        assert process.wait(SECONDS) == 141
        assert process.stderr.read() == b""


def test_a_slow_reader_gets_everything(sandbox: Sandbox, tmp_path: Path) -> None:
    """The pipe fills, the command waits for its reader, and nothing is lost."""
    with start("quotes", "batch", amounts(tmp_path / "q.csv", 300), sandbox=sandbox) as process:
        assert process.stdout is not None
        rows = json_rows(b"".join(iter(lambda: process.stdout.read(100), b"")))
    assert process.returncode == 0
    assert numbers(rows) == list(range(2, 302))
    assert all("quotes" in row for row in rows)


@pytest.mark.parametrize("to_file", [True, False])
def test_progress_is_shown_on_a_terminal(sandbox: Sandbox, tmp_path: Path, to_file: bool) -> None:
    """It is not where the rows themselves go to the terminal."""
    master, slave = pty.openpty()
    queries = amounts(tmp_path / "q.csv", 30)
    arguments = ["-o", tmp_path / "out.jsonl"] if to_file else []
    seen: list[bytes] = []
    reader = threading.Thread(target=lambda: seen.append(read_terminal(master)))
    reader.start()
    with start(
        "quotes", "batch", queries, *arguments, sandbox=sandbox, stdout=slave, stderr=slave
    ) as process:
        os.close(slave)
    reader.join(SECONDS)
    os.close(master)
    assert process.returncode == 0
    assert (b"30/30" in seen[0]) is to_file


def test_failures_show_in_the_progress(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    seen: list[bytes] = []
    reader = threading.Thread(target=lambda: seen.append(read_terminal(master)))
    reader.start()
    with start("quotes", "batch", mixed(tmp_path / "q.csv"), "--sandbox", stderr=slave) as process:
        os.close(slave)
        process.communicate(timeout=SECONDS)
    reader.join(SECONDS)
    os.close(master)
    assert process.returncode == 1
    assert b"1 failed" in seen[0]


def test_version_help_and_the_sandbox(pinstripe: Command, capfdbinary: Captured) -> None:
    assert pinstripe("--version") == 0
    assert capfdbinary.readouterr().out.startswith(b"pinstripe 0.")
    assert pinstripe("quotes", "batch", "--help") == 0
    assert b"STRIPE_API_KEY" in capfdbinary.readouterr().out
    assert pinstripe("sandbox", "--host", "192.0.2.1") == 2
    assert b"pinstripe sandbox: " in capfdbinary.readouterr().err


def test_the_sandbox_command_serves(
    pinstripe: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Captured
) -> None:
    with start("sandbox", "--port", "0", "--seed", "7") as process:
        assert process.stdout is not None
        facts = dict(part.split("=", 1) for part in process.stdout.readline().decode().split())
        monkeypatch.setenv("STRIPE_API_KEY", facts["api_key"])
        monkeypatch.setenv("PINSTRIPE_BASE_URL", facts["url"])
        assert pinstripe("quotes", "batch", amounts(tmp_path / "q.csv", 2)) == 0
        process.terminate()
        process.communicate(timeout=SECONDS)
    assert numbers(json_rows(capfdbinary.readouterr().out)) == [2, 3]
    assert process.returncode == 0


def peak_of(queries: Path, sandbox: Sandbox, out: Path) -> int:
    """Return the most memory, in KiB, that the command held."""
    command = [*COMMAND, "quotes", "batch", str(queries), "-o", str(out)]
    process = subprocess.Popen(command, env=environment(sandbox))
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss if sys.platform != "darwin" else usage.ru_maxrss // 1024


@pytest.mark.uncounted
def test_three_thousand_queries_take_no_more_memory_than_three_hundred(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    few = peak_of(amounts(tmp_path / "few.csv", 300), sandbox, tmp_path / "few.jsonl")
    many = peak_of(amounts(tmp_path / "many.csv", 3_000), sandbox, tmp_path / "many.jsonl")
    size = (tmp_path / "many.jsonl").stat().st_size
    assert size > 10 * 2**20
    assert many - few < 2 * 1024


def test_a_temporary_copy_is_not_left(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    env = {**environment(sandbox), "TMPDIR": str(spool)}
    assert run("quotes", "batch", "-", stdin=b"source_amount\n5\n", env=env).returncode == 0
    assert list(spool.iterdir()) == []


# --- what is wrong with an input -----------------------------------------------------------------


def test_all_lines_that_are_wrong_are_reported_at_once(
    pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    queries, out = tmp_path / "q.csv", tmp_path / "out.csv"
    queries.write_text("source_amount\n" + "".join(f"bad{n}\n{n}.00\n" for n in range(1, 51)))
    assert pinstripe("quotes", "batch", queries, "-o", out, "--sandbox") == 2
    first, *middle, last = capfdbinary.readouterr().err.decode().splitlines()
    assert first == f"Error: 50 faults in {queries}, nothing was sent:"
    assert [line.partition(": ")[0] for line in middle] == [
        f"{queries}:{n}:1" for n in range(2, 42, 2)
    ]
    assert "'bad1'" in middle[0]
    assert last == "... and 30 more"
    assert not out.exists()


def test_columns_are_passed_through(
    sandbox: Sandbox, pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    queries = tmp_path / "q.csv"
    queries.write_text("ref,source_amount,source_currency\nA-1,5,usd\n=1+1,7,xyz\n")
    out, rows = tmp_path / "out.csv", tmp_path / "out.jsonl"
    assert pinstripe("quotes", "batch", queries, "-o", out) == 2
    assert (
        pinstripe("quotes", "batch", queries, "-o", out, "--keep-columns", "--escape-formulas") == 1
    )
    found = list(csv.DictReader(out.read_text().splitlines()))
    assert tuple(found[0]) == (*CSV_COLUMNS, "ref")
    assert {(row["line"], row["ref"]) for row in found} == {("2", "A-1"), ("3", "'=1+1")}
    assert pinstripe("quotes", "batch", queries, "-o", rows, "--keep-columns") == 1
    assert [row["columns"]["ref"] for row in json_rows(rows.read_bytes())] == ["A-1", "=1+1"]
    assert pinstripe("quotes", "batch", queries, "-o", rows, "--resume") == 2  # other options
    assert (
        pinstripe("quotes", "batch", queries, "-o", rows, "--escape-formulas", "--overwrite") == 2
    )
    capfdbinary.readouterr()


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ('{"line": 1, "source_amount": 5}', "the output has its own columns line: rename yours"),
        ('{"ref": "a\\nb", "source_amount": 5}', ":1:1: the line break in 'ref' fits into no row"),
    ],
)
def test_what_csv_cannot_hold_is_refused(
    *, query: str, problem: str, pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    queries = tmp_path / "q.jsonl"
    queries.write_text(f"{query}\n")
    words = ("quotes", "batch", queries, "--sandbox", "--keep-columns")
    assert pinstripe(*words, "--format", "csv") == 2
    out, err = capfdbinary.readouterr()
    assert (out, problem in err.decode()) == (b"", True)
    assert pinstripe(*words) == 0
    assert json_rows(capfdbinary.readouterr().out)[0]["columns"]


# --- outputs of other inputs, and of runs that had no use ----------------------------------------


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("option", ["--resume", "--retry-failed"])
def test_the_output_of_another_input_is_refused(
    *,
    form: str,
    option: str,
    sandbox: Sandbox,
    pinstripe: Command,
    tmp_path: Path,
    capfdbinary: Captured,
) -> None:
    out, theirs = tmp_path / f"out.{form}", tmp_path / "theirs.csv"
    assert pinstripe("quotes", "batch", amounts(tmp_path / "q.csv", 5), "-o", out) == 0
    whole = out.read_bytes()
    theirs.write_text("source_amount\n" + "".join(f"{n}.50\n" for n in range(1, 9)))
    for size in (len(whole), len(whole) * 2 // 3):
        out.write_bytes(whole[:size])
        capfdbinary.readouterr()
        message = refused(pinstripe, capfdbinary, "quotes", "batch", theirs, "-o", out, option)
        assert "the row is of another query than line 2" in message
        assert out.read_bytes() == whole[:size]
    words = ("quotes", "batch", tmp_path / "q.csv", "-o", out, option, "--sandbox")
    assert "other options" in refused(pinstripe, capfdbinary, *words)


def test_an_input_may_grow_and_be_written_in_another_way(
    sandbox: Sandbox, pinstripe: Command, tmp_path: Path
) -> None:
    queries, out = amounts(tmp_path / "q.csv", 3), tmp_path / "out.jsonl"
    assert pinstripe("quotes", "batch", queries, "-o", out) == 0
    before = out.read_bytes()
    queries.write_text('"source_amount"\n1.00\n 2.00 \n"3.00"\n4.00\n')
    assert pinstripe("quotes", "batch", queries, "-o", out, "--resume") == 0
    assert out.read_bytes().startswith(before)
    assert numbers(json_rows(out.read_bytes())) == [2, 3, 4, 5]


class Api:
    """An API that refuses the next calls with these statuses, and has a quote for all others."""

    def __init__(self) -> None:
        self.refusals: list[int] = []
        self.asked = 0

    def reply(self, target: str) -> bytes:
        self.asked += 1
        headers = ("Content-Type: application/json", f"Request-Id: req_{self.asked}")
        if self.refusals:
            error = {"error": {"message": "no", "type": "invalid_request_error"}}
            return http(json.dumps(error), f"{self.refusals.pop(0)} No", *headers)
        amount = URL(target).query["source_amount"]
        quote = {
            "destination_amount": amount,
            "destination_currency": "eth",
            "destination_network": "base",
            "fees": {"network_fee_monetary": "0", "transaction_fee_monetary": "0"},
            "source_total_amount": amount,
        }
        quotes = {
            "id": "q",
            "object": "crypto.onramp.quotes",
            "destination_network_quotes": {"base_network": [quote]},
            "livemode": False,
            "rate_fetched_at": 1_790_000_000.5,
            "source_amount": amount,
            "source_currency": "usd",
        }
        return http(json.dumps(quotes), "200 OK", *headers)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    api = Api()
    with nonsense(api.reply) as server:
        monkeypatch.setenv("STRIPE_API_KEY", "sk_test_1")
        monkeypatch.setenv("PINSTRIPE_BASE_URL", server.url)
        yield api


@pytest.mark.parametrize("status", [401, 403])
def test_a_run_stops_when_its_key_is_refused_and_resumes_with_a_good_one(
    *, status: int, api: Api, pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    queries, out = amounts(tmp_path / "q.csv", 100), tmp_path / "out.jsonl"
    words = ("quotes", "batch", queries, "-o", out, "--concurrency", "4")
    api.refusals = [400, *[status] * 1000]
    assert pinstripe(*words) == 1
    assert api.asked <= 1 + 2 * 4
    (message,) = capfdbinary.readouterr().err.decode().splitlines()
    assert message.startswith("Error: the API refuses the key: ")
    assert message.endswith(" queries are written; the same command with --resume does the rest")
    assert numbers(json_rows(out.read_bytes())) in ([], [2], [2, 3], [2, 3, 4])
    api.refusals = []
    assert pinstripe(*words, "--resume") in (0, 1)
    assert numbers(json_rows(out.read_bytes())) == list(range(2, 102))


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_failed_queries_are_asked_again_and_no_others(
    *, form: str, api: Api, pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    queries, out = amounts(tmp_path / "q.csv", 6), tmp_path / f"out.{form}"
    words = ("quotes", "batch", queries, "-o", out, "--concurrency", "1")
    assert pinstripe(*words) == 0
    good, api.refusals = out.read_bytes(), [400, 422]
    assert pinstripe(*words, "--overwrite") == 1
    summary = f"6 queries in {out}, 2 failed: --retry-failed asks again\n"
    assert capfdbinary.readouterr().err.decode().endswith(summary)
    bad, api.refusals, api.asked = out.read_bytes(), [400], 0
    assert pinstripe(*words, "--retry-failed") == 1
    last = form == "csv"  # nothing shows that the rows of the last query are complete
    assert (out.read_bytes() in (bad, good), api.asked) == (False, 2 + last)
    assert pinstripe(*words, "--resume", "--retry-failed") == 0
    assert (out.read_bytes(), api.asked) == (good, 3 + 2 * last)
    assert pinstripe(*words, "--retry-failed") == 0
    assert (out.read_bytes(), api.asked) == (good, 3 + 3 * last)
    assert sorted(tmp_path.iterdir()) == sorted([queries, out])


@pytest.mark.parametrize("status", [401, 403])
def test_a_retry_that_is_stopped_keeps_every_row(
    *, status: int, api: Api, pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    queries, out = amounts(tmp_path / "q.csv", 4), tmp_path / "out.jsonl"
    words = ("quotes", "batch", queries, "-o", out, "--concurrency", "1")
    api.refusals = [400] * 4
    assert pinstripe(*words) == 1
    before, api.refusals = out.read_bytes(), [status] * 9
    assert pinstripe(*words, "--retry-failed") == 1
    assert b"the API refuses the key: " in capfdbinary.readouterr().err
    assert out.read_bytes() == before
    api.refusals = []
    assert pinstripe(*words, "--retry-failed") == 0
    assert all("quotes" in row for row in json_rows(out.read_bytes()))


def test_a_retry_does_the_rest_too(api: Api, pinstripe: Command, tmp_path: Path) -> None:
    queries, out = amounts(tmp_path / "q.csv", 4), tmp_path / "out.jsonl"
    api.refusals = [400]
    assert pinstripe("quotes", "batch", queries, "-o", out, "--concurrency", "1") == 1
    out.write_bytes(b"".join(out.read_bytes().splitlines(keepends=True)[:2]) + b'{"line":4,"qu')
    assert pinstripe("quotes", "batch", queries, "-o", out, "--retry-failed") == 0
    rows = json_rows(out.read_bytes())
    assert numbers(rows) == [2, 3, 4, 5]
    assert all("quotes" in row for row in rows)


def test_a_few_queries_without_an_answer_are_rows_with_an_error(
    api: Api, pinstripe: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer of the API after them shows that it can be reached."""
    queries, out = amounts(tmp_path / "q.csv", 20), tmp_path / "out.jsonl"
    silent = [f"source_amount={n}.00" for n in (*range(2, 11), 20)]

    def reply(target: str) -> bytes:
        return b"" if target.rpartition("?")[2] in silent else api.reply(target)

    with nonsense(reply) as server:
        monkeypatch.setenv("PINSTRIPE_BASE_URL", server.url)
        assert pinstripe("quotes", "batch", queries, "-o", out) == 1
    failed = [row["line"] for row in json_rows(out.read_bytes()) if "error" in row]
    assert failed == [*range(3, 12), 21]


# --- where the output goes -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_standard_output_by_its_names(
    *, name: str, sandbox: Sandbox, pinstripe: Command, tmp_path: Path
) -> None:
    queries = amounts(tmp_path / "q.csv", 2)
    words = ("quotes", "batch", queries, "-o", name)
    done = run(*words, sandbox=sandbox)
    assert (done.returncode, numbers(json_rows(done.stdout))) == (0, [2, 3])
    with (tmp_path / "out").open("wb", buffering=0) as out:
        out.write(b"before\n")
        assert run(*words, "--overwrite", sandbox=sandbox, stdout=out).returncode == 0
        out.write(b"after\n")
    written = (tmp_path / "out").read_bytes()
    assert (written[:7], written[-6:], written.count(b"\n")) == (b"before\n", b"after\n", 4)
    assert pinstripe(*words, "--resume") == 2


def test_the_output_is_for_its_owner_and_a_link_to_it_stays(
    api: Api, pinstripe: Command, tmp_path: Path
) -> None:
    link, target = tmp_path / "link.csv", tmp_path / "rows"
    link.symlink_to(target)
    words = ("quotes", "batch", amounts(tmp_path / "q.csv", 2), "-o", link)
    api.refusals = [400]
    assert pinstripe(*words) == 1
    assert target.stat().st_mode & 0o777 == 0o600
    assert pinstripe(*words, "--retry-failed") == 0
    assert (link.is_symlink(), target.stat().st_mode & 0o777) == (True, 0o600)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.csv", "q.csv", "rows"]


def test_a_link_in_the_place_of_the_lock_is_refused(
    sandbox: Sandbox, pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    out, theirs = tmp_path / "out.csv", tmp_path / "theirs"
    (tmp_path / ".out.csv.lock").symlink_to(theirs)
    message = refused(
        pinstripe, capfdbinary, "quotes", "batch", amounts(tmp_path / "q.csv", 1), "-o", out
    )
    assert message.startswith("Error: the output cannot be opened: ")
    assert not theirs.exists()


def test_a_terminal_gets_no_control_character(
    pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    queries = tmp_path / "q.csv"
    queries.write_text("ref,destination_networks\n\x9b31mred\u202e,bitcoin\n")
    master, slave = pty.openpty()
    seen: list[bytes] = []
    reader = threading.Thread(target=lambda: seen.append(read_terminal(master)))
    reader.start()
    words = ("quotes", "batch", queries, "--sandbox", "--keep-columns", "--format", "csv")
    with start(*words, stdout=slave) as process:
        os.close(slave)
    reader.join(SECONDS)
    os.close(master)
    assert process.returncode == 0
    assert rb"\x9b31mred\u202e" in seen[0]
    assert pinstripe(*words) == 0
    assert "\x9b31mred\u202e".encode() in capfdbinary.readouterr().out


def test_an_exit_status_needs_no_reader_of_messages(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    words = ("quotes", "batch", amounts(tmp_path / "q.csv", 1), "--sandbox")
    assert run(*words, stderr=writer).returncode == 0
    assert run("quotes", "batch", "missing", stderr=writer).returncode == 2
    os.close(writer)
