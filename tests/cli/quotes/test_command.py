from __future__ import annotations

import csv
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

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
    run,
    start,
)

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
    assert pinstripe("quotes", mixed(tmp_path / "q.csv")) == 1
    out, err = capfdbinary.readouterr()
    first, second, refused, last = json_rows(out)
    assert numbers([first, second, refused, last]) == [2, 3, 5, 6]
    assert first["quotes"]["source_amount"] == "100.00"
    (eth,) = second["quotes"]["destination_network_quotes"]["base_network"]
    assert eth["destination_amount"].startswith("0.5")
    assert refused["error"]["class"] == "InvalidRequestError"
    assert refused["error"]["request_id"].startswith("req_")
    assert refused["error"]["outcome"] == "rejected"
    assert last["quotes"]["source_currency"] == "eur"
    assert err == b"1 of 4 queries failed.\n"


def test_csv_to_a_file_by_its_name(sandbox: Sandbox, pinstripe: Command, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert pinstripe("quotes", mixed(tmp_path / "q.csv"), "-o", out) == 1
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
    done = run("quotes", "-", "--sandbox", stdin=queries)
    assert (done.returncode, done.stderr) == (0, b"")
    rows = json_rows(done.stdout)
    assert numbers(rows) == [1, 2]
    assert rows[0]["quotes"]["source_amount"] == "1.10"


def test_the_format_of_the_input_can_be_given(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_bytes(b'{"source_amount": 5}\n')
    assert run("quotes", tmp_path / "q.csv", sandbox=sandbox).returncode == 2
    assert (
        run("quotes", tmp_path / "q.csv", "--input-format=jsonl", sandbox=sandbox).returncode == 0
    )


def test_a_named_pipe_can_be_the_input_and_the_output(sandbox: Sandbox, tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out.csv"
    os.mkfifo(source)
    os.mkfifo(target)
    with start("quotes", source, "-o", target, sandbox=sandbox) as process:
        source.write_bytes(b"destination_networks\nbitcoin\n")
        out = target.read_bytes()
    assert process.returncode == 0
    assert out.splitlines()[0].decode() == ",".join(CSV_COLUMNS)
    assert out.splitlines()[1].startswith(b"2,bitcoin,btc,")


def test_an_interpreter_without_click_says_what_to_install() -> None:
    code = "import sys; sys.modules['rich'] = None; from pinstripe.cli import main; main()"
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, check=False)
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
    message = refused(pinstripe, capfdbinary, "quotes", queries, "-o", out, "--overwrite")
    assert message == "Error: STRIPE_API_KEY is not set; with --sandbox no key is needed"
    assert out.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("STRIPE_API_KEY", "pk_test_1", "STRIPE_API_KEY is a publishable key"),
        ("PINSTRIPE_BASE_URL", "http://example.com", "base_url: plain http"),
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
    assert message in refused(pinstripe, capfdbinary, "quotes", queries)


def test_input_that_is_wrong_is_found_before_anything_is_sent(
    pinstripe: Command, tmp_path: Path, capfdbinary: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_1")
    monkeypatch.setenv("PINSTRIPE_BASE_URL", "http://127.0.0.1:1")  # where nobody answers
    queries, out = amounts(tmp_path / "q.csv", 500), tmp_path / "out.csv"
    with queries.open("a") as file:
        file.write("-5\n")
    message = refused(pinstripe, capfdbinary, "quotes", queries, "-o", out)
    assert message.startswith(f"Error: {queries}:502:1: source_amount: must be a decimal number")
    assert not out.exists()


def test_standard_input_is_named(tmp_path: Path) -> None:
    done = run("quotes", "-", "--sandbox", stdin=b"colour\nred\n")
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
    assert message in refused(pinstripe, capfdbinary, "quotes", queries, *words)
    assert (queries.read_bytes(), out.read_bytes()) == (before, b"precious")


def test_a_missing_input_and_no_command(pinstripe: Command, capfdbinary: Captured) -> None:
    assert "does not exist" in refused(pinstripe, capfdbinary, "quotes", "no.csv", "--sandbox")
    assert "No such command" in refused(pinstripe, capfdbinary, "dance")


def test_an_empty_file_may_be_the_output(
    sandbox: Sandbox, pinstripe: Command, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    out.touch()
    assert pinstripe("quotes", amounts(tmp_path / "q.csv", 2), "-o", out) == 0
    assert numbers(json_rows(out.read_bytes())) == [2, 3]


def test_overwrite(sandbox: Sandbox, pinstripe: Command, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_bytes(b"old\n" * 10_000)
    assert pinstripe("quotes", amounts(tmp_path / "q.csv", 2), "-o", out, "--overwrite") == 0
    assert numbers(json_rows(out.read_bytes())) == [2, 3]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_resume_does_the_rest(
    form: str, sandbox: Sandbox, pinstripe: Command, tmp_path: Path
) -> None:
    queries, out = amounts(tmp_path / "q.csv", 5), tmp_path / f"out.{form}"
    command = ("quotes", queries, "-o", out, "--resume")
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
    assert pinstripe("quotes", queries, "-o", out) == 1
    out.write_bytes(out.read_bytes()[:-5])
    assert pinstripe("quotes", queries, "-o", out, "--resume") == 1
    assert capfdbinary.readouterr().err == b"1 of 4 queries failed.\n" * 2


def test_resume_refuses_another_file(
    sandbox: Sandbox, pinstripe: Command, tmp_path: Path, capfdbinary: Captured
) -> None:
    queries, out = amounts(tmp_path / "q.csv", 2), tmp_path / "out.jsonl"
    for content in (b"notes\n", b'{"line":9,"quotes":{}}\n', b'{"line":2,"quotes":{}}\n{}\n'):
        out.write_bytes(content)
        for words in (["--resume"], ["--resume", "--overwrite"]):
            message = refused(pinstripe, capfdbinary, "quotes", queries, "-o", out, *words)
            assert message.startswith(f"Error: {out}:")
            assert "; nothing was changed: " in message
            assert message.endswith("use --overwrite without --resume")
            assert out.read_bytes() == content


def test_a_full_disk(sandbox: Sandbox, pinstripe: Command, tmp_path: Path, capfdbinary: Captured):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no device that is always full")
    queries = amounts(tmp_path / "q.csv", 2)
    message = refused(pinstripe, capfdbinary, "quotes", queries, "-o", "/dev/full", status=1)
    assert message.startswith("Error: 0 of 2 queries are written, and no more can be: No space")


def test_a_reader_that_stops_ends_it_quietly(sandbox: Sandbox, tmp_path: Path) -> None:
    with start("quotes", amounts(tmp_path / "q.csv", 3000), sandbox=sandbox) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"line":2,')
        process.stdout.close()
        assert process.wait(SECONDS) == 141
        assert process.stderr.read() == b""


def test_a_slow_reader_gets_everything(sandbox: Sandbox, tmp_path: Path) -> None:
    """The pipe fills, the command waits for its reader, and nothing is lost."""
    with start("quotes", amounts(tmp_path / "q.csv", 300), sandbox=sandbox) as process:
        assert process.stdout is not None
        rows = json_rows(b"".join(iter(lambda: process.stdout.read(100), b"")))
    assert process.returncode == 0
    assert numbers(rows) == list(range(2, 302))
    assert all("quotes" in row for row in rows)


def watch(master: int) -> bytes:
    seen = b""
    try:
        while chunk := os.read(master, 65536):
            seen += chunk
    except OSError:  # the other side is closed
        pass
    return seen


@pytest.mark.parametrize("to_file", [True, False])
def test_progress_is_shown_on_a_terminal(sandbox: Sandbox, tmp_path: Path, to_file: bool) -> None:
    """It is not where the rows themselves go to the terminal."""
    master, slave = pty.openpty()
    queries = amounts(tmp_path / "q.csv", 30)
    arguments = ["-o", tmp_path / "out.jsonl"] if to_file else []
    seen: list[bytes] = []
    reader = threading.Thread(target=lambda: seen.append(watch(master)))
    reader.start()
    with start(
        "quotes", queries, *arguments, sandbox=sandbox, stdout=slave, stderr=slave
    ) as process:
        os.close(slave)
    reader.join(SECONDS)
    os.close(master)
    assert process.returncode == 0
    assert (b"30/30" in seen[0]) is to_file


def test_failures_show_in_the_progress(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    seen: list[bytes] = []
    reader = threading.Thread(target=lambda: seen.append(watch(master)))
    reader.start()
    with start("quotes", mixed(tmp_path / "q.csv"), "--sandbox", stderr=slave) as process:
        os.close(slave)
        process.communicate(timeout=SECONDS)
    reader.join(SECONDS)
    os.close(master)
    assert process.returncode == 1
    assert b"1 failed" in seen[0]


def test_version_help_and_the_sandbox(pinstripe: Command, capfdbinary: Captured) -> None:
    assert pinstripe("--version") == 0
    assert capfdbinary.readouterr().out.startswith(b"pinstripe 0.")
    assert pinstripe("quotes", "--help") == 0
    assert b"STRIPE_API_KEY" in capfdbinary.readouterr().out
    assert pinstripe("sandbox", "--host", "example.com") == 2
    assert b"loopback" in capfdbinary.readouterr().err


def test_the_sandbox_command_serves(tmp_path: Path) -> None:
    with start("sandbox", "--port", "0", "--seed", "7") as process:
        assert process.stdout is not None
        facts = dict(part.split("=", 1) for part in process.stdout.readline().decode().split())
        env = {
            **environment(None),
            "STRIPE_API_KEY": facts["api_key"],
            "PINSTRIPE_BASE_URL": facts["url"],
        }
        done = run("quotes", amounts(tmp_path / "q.csv", 2), env=env)
        process.terminate()
        process.communicate(timeout=SECONDS)
    assert (done.returncode, numbers(json_rows(done.stdout))) == (0, [2, 3])
    assert process.returncode == 0


def peak_of(queries: Path, sandbox: Sandbox, out: Path) -> int:
    """Return the most memory, in KiB, that the command held."""
    command = [*COMMAND, "quotes", str(queries), "-o", str(out)]
    process = subprocess.Popen(command, env=environment(sandbox))
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss if sys.platform != "darwin" else usage.ru_maxrss // 1024


def test_ten_thousand_queries_take_no_more_memory_than_one_thousand(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    few = peak_of(amounts(tmp_path / "few.csv", 1_000), sandbox, tmp_path / "few.jsonl")
    many = peak_of(amounts(tmp_path / "many.csv", 10_000), sandbox, tmp_path / "many.jsonl")
    size = (tmp_path / "many.jsonl").stat().st_size
    assert size > 30 * 2**20
    assert many - few < 8 * 1024


def test_a_temporary_copy_is_not_left(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    env = {**environment(sandbox), "TMPDIR": str(spool)}
    assert run("quotes", "-", stdin=b"source_amount\n5\n", env=env).returncode == 0
    assert list(spool.iterdir()) == []
