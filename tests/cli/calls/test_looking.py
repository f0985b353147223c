"""`watch`, `events tail` and `quotes compare`."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

import pytest

from pinstripe.cli import _main
from pinstripe.cli._calls.calls import call_of
from pinstripe.cli._compare import bar
from pinstripe.cli.watch import ENDS
from pinstripe.sandbox import Sandbox
from tests.support.cli_process import SECONDS, start
from tests.support.nonsense import http, nonsense

Command = Callable[..., int]
Captured = pytest.CaptureFixture[str]

SESSIONS = ("identity", "verification-sessions")


def test_watch_shows_the_life_of_a_session(sandbox: Sandbox) -> None:
    with sandbox.sync_client() as stripe:
        session = stripe.identity.verification_sessions.create(type="document")
        words = ("watch", *SESSIONS, session.id, "--interval", "0.01")
        with start(*words, sandbox=sandbox) as process:
            assert process.stdout is not None
            seen = [process.stdout.readline().decode()]
            sandbox.identity.fail(session.id, code="document_expired")
            seen.append(process.stdout.readline().decode())
            sandbox.identity.verify(session.id)
            rest, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (0, b"")
    assert seen[0].split()[1:] == ["requires_input", "id", session.id]
    assert "last_error.code document_expired" in seen[1]
    last = rest.decode().splitlines()[-1]
    assert last.split()[1] == "verified"
    assert "last_error.code none" in rest.decode()


def test_watch_gives_json_and_ends_at_once(
    sandbox: Sandbox, pinstripe: Command, capfd: Captured
) -> None:
    with sandbox.sync_client() as stripe:
        session = stripe.identity.verification_sessions.create(type="document")
        stripe.identity.verification_sessions.cancel(session.id)
    assert pinstripe("watch", *SESSIONS, session.id, "--json") == 0
    assert json.loads(capfd.readouterr().out)["status"] == "canceled"
    assert pinstripe("watch", *SESSIONS, "vs_1") == 1
    assert pinstripe("watch", *SESSIONS, "a b") == 2
    assert pinstripe("watch", "crypto", "-h") == 0


@pytest.mark.parametrize("path", ENDS)
def test_the_ends_are_statuses_of_the_resource(path: str) -> None:
    words = {word for param in call_of(f"{path}.list").params for word in param.words}
    if words:  # orders have no filter by status
        assert set(ENDS[path]) <= words


def test_watch_waits_out_what_is_temporary(
    sandbox: Sandbox, pinstripe: Command, capfd: Captured
) -> None:
    with sandbox.sync_client() as stripe:
        order = stripe.climate.orders.create(
            product=stripe.climate.products.list().first().data[0].id, metric_tons=1
        )
        sandbox.climate.deliver(order.id)
    sandbox.faults.add(method="GET", status=500, count=4)
    assert pinstripe("watch", "climate", "orders", order.id, "--interval", "0.01") == 0
    out, err = capfd.readouterr()
    assert "delivered" in out
    assert f"{order.id} cannot be read, for now: " in err


def test_tail_begins_with_the_last_events_and_follows(sandbox: Sandbox) -> None:
    with sandbox.sync_client() as stripe:
        made = [stripe.identity.verification_sessions.create(type="document").id for _ in range(4)]
        words = ("events", "tail", "--last", "2", "--interval", "0.01", "--events", "identity.*")
        with start(*words, sandbox=sandbox) as process:
            assert process.stdout is not None
            seen = [process.stdout.readline().decode().split() for _ in range(2)]
            made.append(stripe.identity.verification_sessions.create(type="document").id)
            stripe.crypto.onramp_sessions.create()  # its events are not wanted
            seen.append(process.stdout.readline().decode().split())
            process.kill()
    assert [line[3] for line in seen] == made[2:]
    assert {line[1] for line in seen} == {"identity.verification_session.created"}
    assert {line[4] for line in seen} == {"requires_input"}


def test_tail_gives_json_without_what_is_private(sandbox: Sandbox) -> None:
    with sandbox.sync_client() as stripe:
        stripe.identity.verification_sessions.create(type="document")
    words = ("events", "tail", "--last", "99", "--json")
    shown: dict[str, str] = {}
    for more in ((), ("--reveal",)):
        with start(*words, *more, sandbox=sandbox) as process:
            assert process.stdout is not None
            shown[" ".join(more)] = process.stdout.readline().decode()
            process.kill()
    assert "client_secret" not in shown[""]
    assert json.loads(shown[""])["type"] == "identity.verification_session.created"
    assert json.loads(shown["--reveal"])["data"]["object"]["client_secret"]


def test_compare_ranks_networks_by_the_cost_of_a_unit(
    sandbox: Sandbox, pinstripe: Command, capfd: Captured
) -> None:
    words = ("quotes", "compare", "--source-amount", "100", "--currency", "usdc")
    assert pinstripe(*words, "--json") == 0
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    costs = [Decimal(row["unit_cost"]) for row in rows]
    assert costs == sorted(costs)
    assert len(rows) > 2
    assert pinstripe(*words) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == [row["network"] for row in rows]
    assert pinstripe("quotes", "compare", "--source-amount", "x", "--currency", "usdc") == 2
    assert "--source-amount: " in capfd.readouterr().err
    assert pinstripe("quotes", "compare", "--source-amount", "1", "--currency", "a b") == 2
    assert "--currency: " in capfd.readouterr().err


def test_compare_says_if_no_network_has_the_currency(
    sandbox: Sandbox, pinstripe: Command, capfd: Captured
) -> None:
    with sandbox.sync_client() as stripe:
        answer = stripe.request("GET", "/v1/crypto/onramp/quotes", {"source_amount": "5"}).json()
    answer["destination_network_quotes"] = {}
    with nonsense(http(json.dumps(answer))) as server:
        words = ("--source-amount", "5", "--currency", "usdc", "--base-url", server.url)
        assert pinstripe("quotes", "compare", *words) == 1
    assert "no network has usdc" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("share", "drawn"), [(0, ""), (1, "████"), (0.5, "██"), (0.53, "██▏"), (1 / 32, "▏")]
)
def test_a_bar_is_drawn_to_an_eighth(share: float, drawn: str) -> None:
    assert bar(share, 4) == drawn


@pytest.mark.parametrize(
    "words",
    [
        [],
        *([name] for name in ("watch", "quotes", "request", "export", "trigger", "listen")),
        *(["watch", "identity"], ["quotes", "batch"], ["quotes", "compare"], ["events", "tail"]),
        *([name] for name in ("sandbox", "demo", "completion")),
    ],
)
def test_every_help_names_what_it_reads_and_its_exit_status(
    pinstripe: Command, capfd: Captured, words: list[str]
) -> None:
    assert pinstripe(*words, "-h") == 0
    out = " ".join(capfd.readouterr().out.split())
    assert "STRIPE_API_KEY" in out or "reads nothing from the environment" in out
    assert "exit status is" in out or "COMMAND [ARGS]" in out


def test_without_a_command_it_shows_its_help(
    monkeypatch: pytest.MonkeyPatch, capfd: Captured
) -> None:
    monkeypatch.setattr("sys.argv", ["pinstripe"])
    assert _main.run() in (0, 2)  # before click 8.2, and since
    assert "Resources:" in "".join(capfd.readouterr())
