"""The sandbox as a process: its options, what it says, and who may reach it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pinstripe.cli.sandbox import sandbox
from pinstripe.sandbox.__main__ import main
from pinstripe.sandbox._process import OPTIONS
from tests.support.counting import counted
from tests.support.sandbox_api import SESSIONS

QUIET = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def running(*arguments: str, said: list[str] | None = None) -> Iterator[dict[str, str]]:
    """Run a process, yield what it announces, and note what it wrote to standard error."""
    command = [sys.executable, "-W", "error", "-m", "pinstripe.sandbox", "--port", "0", *arguments]
    with subprocess.Popen(
        command, env=counted(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield dict(pair.split("=", 1) for pair in process.stdout.readline().split())
        process.terminate()
        _, err = process.communicate(timeout=20)
        (said if said is not None else []).append(err)
    assert process.returncode == 0


def ask(url: str, data: bytes | None = None, **headers: str) -> Any:
    """Return the status and the JSON of an answer."""
    sent = {"Authorization": "Bearer sk_test_any", **headers}
    request = urllib.request.Request(url, data, sent)
    try:
        with QUIET.open(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_other_machines_reach_it_by_the_names_that_were_given() -> None:
    said: list[str] = []
    names = ("--reachable-as", "Sandbox", "--reachable-as", "box.example")
    with running("--host", "0.0.0.0", *names, "--allow-host", "app", said=said) as facts:
        assert facts["url"].startswith("http://sandbox:")
        port = facts["url"].rpartition(":")[2]
        url = f"http://127.0.0.1:{port}{SESSIONS}"
        for host in (f"sandbox:{port}", "box.example", f"localhost:{port}"):
            assert ask(url, Host=host)[0] == 200
        for host in ("elsewhere.example", f"sandbox.example:{port}"):
            status, body = ask(url, Host=host)
            assert status == 403
            assert "--reachable-as" in body["error"]["message"]
        own = {"Host": f"sandbox:{port}", "Origin": f"http://sandbox:{port}"}
        assert ask(url, b"type=document", **own)[0] == 200
        assert ask(url, b"type=document", Host=f"sandbox:{port}", Origin="http://box")[0] == 403
    (warning,) = said
    assert warning.startswith("pinstripe.sandbox: warning: everybody who reaches 0.0.0.0 can read")
    assert "loopback and app." in warning


def test_a_sandbox_at_every_address_is_at_loopback() -> None:
    with running("--host", "0.0.0.0") as facts:
        assert facts["url"].startswith("http://127.0.0.1:")
        assert ask(facts["url"] + SESSIONS)[0] == 200


def test_loopback_is_no_reason_for_a_warning() -> None:
    said: list[str] = []
    with running("--host", "localhost", said=said) as facts:
        assert ask(facts["url"] + SESSIONS)[0] == 200
    assert said == [""]


def test_a_line_for_each_request() -> None:
    said: list[str] = []
    with running("-v", said=said) as facts:
        url = facts["url"] + SESSIONS
        assert ask(url, b"type=document", **{"Stripe-Account": "acct_1"})[0] == 200
        assert ask(f"{url}/vs_1?expand[]=secret")[0] == 400
    first, second = said[0].splitlines()
    assert f" POST {SESSIONS}: 200 in 0." in first
    assert first.endswith(", acct_1)")
    assert f" GET {SESSIONS}/vs_1: 400 in 0." in second
    assert " s (req_" in second
    assert "secret" not in second


def test_a_seed_file_is_there_from_the_first_request(tmp_path: Path) -> None:
    file = tmp_path / "seed.json"
    seeds = [
        {"kind": "climate.order", "count": 3, "status": "delivered"},
        {
            "kind": "identity.verification_session",
            "account": "acct_1",
            "params": {"type": "id_number"},
        },
    ]
    file.write_text(json.dumps(seeds), encoding="utf-8")
    with running("--seed-file", str(file)) as facts:
        orders = ask(facts["url"] + "/v1/climate/orders")[1]["data"]
        assert [order["status"] for order in orders] == ["delivered"] * 3
        account = {"Stripe-Account": "acct_1"}
        (session,) = ask(facts["url"] + SESSIONS, **account)[1]["data"]
        assert session["type"] == "id_number"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("{}", "must be a list of objects"),
        ("[1]", "must be a list of objects"),
        ('[{"kind": "file"}, {"kind": "nope"}]', "seed file, element 1: Invalid kind"),
        ('[{"kind": "file", "account": "acct_1", "nope": 1}]', "element 0: Received unknown"),
    ],
)
def test_seed_files_that_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    file = tmp_path / "seed.json"
    file.write_text(text, encoding="utf-8")
    assert main(["--port", "0", "--seed-file", str(file)]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("pinstripe.sandbox: ")
    assert said in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("time", ["nan", "inf", "-1", "1e12"])
def test_clocks_whose_times_do_not_fit_are_refused(
    capsys: pytest.CaptureFixture[str], time: str
) -> None:
    assert main([f"--clock={time}", "--port", "0"]) == 2
    assert "the year 9000" in capsys.readouterr().err


def test_both_commands_have_the_same_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    plain = capsys.readouterr().out
    shown = CliRunner().invoke(sandbox, ["--help"]).output
    assert shown.startswith("Usage: sandbox [OPTIONS]\n\n  Run a sandbox: ")
    for option in OPTIONS:
        assert f"--{option.name} " in plain.replace("\n", " ").replace("--verbose", "--verbose ")
        assert f"--{option.name} " in shown.replace("\n", " ")
        assert option.help.split(" ", 3)[0] in plain
    assert "[default: 12111]" in shown
