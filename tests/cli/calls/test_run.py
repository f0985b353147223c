"""What a command sends, asks and prints, and how it says that a call failed."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pinstripe.sandbox import Sandbox
from tests.support.nonsense import http, nonsense

Command = Callable[..., int]
Captured = pytest.CaptureFixture[str]

SESSIONS = ("identity", "verification-sessions")
ORDER = ("climate", "orders", "create", "--product", "climsku_1", "--metric-tons", "1")


def planned(pinstripe: Command, capfd: Captured, *words: str | Path) -> dict[str, Any]:
    """The request that a command would send."""
    assert pinstripe(*words, "--dry-run", "--json") == 0
    request: dict[str, Any] = json.loads(capfd.readouterr().out)
    return request


def refused(pinstripe: Command, capfd: Captured, *words: str | Path) -> str:
    """What a command says of its usage."""
    assert pinstripe(*words) == 2
    out, err = capfd.readouterr()
    assert out == ""
    return err


# --- parameters ---------------------------------------------------------------------------------


def test_parameters_come_from_options_a_body_and_set(
    sandbox: Sandbox, pinstripe: Command, capfd: Captured, tmp_path: Path
) -> None:
    body = tmp_path / "body.json"
    body.write_text('{"type": "id_number", "options": {"document": {"require_id_number": true}}}')
    words = (
        *(*SESSIONS, "create", "--body", body, "--type", "document", "--reveal"),
        *("--options.document.require-matching-selfie", "--metadata", "user=4=2"),
        *("--no-options.document.require-live-capture", "--metadata", "plan="),
        *("--set", "options[document][allowed_types][]=passport"),
        *("--set", "options[document][allowed_types][]=id_card", "--related-person.account", "a"),
        *("--set", "related_person[person]=b", "--return-url", "https://a.example/?b=[c]"),
    )
    request = planned(pinstripe, capfd, *words)
    assert request["method"] == "POST"
    assert request["url"] == f"{sandbox.url}/v1/identity/verification_sessions"
    assert request["params"] == {
        "type": "document",
        "options[document][require_id_number]": "true",
        "options[document][require_matching_selfie]": "true",
        "options[document][require_live_capture]": "false",
        "options[document][allowed_types][0]": "passport",
        "options[document][allowed_types][1]": "id_card",
        "metadata[user]": "4=2",
        "metadata[plan]": "",
        "related_person[account]": "a",
        "related_person[person]": "b",
        "return_url": "https://a.example/?b=[c]",
    }
    assert sandbox.effects() == []


@pytest.mark.parametrize(
    ("words", "params"),
    [
        (["--created-gte", "2026-01-31"], {"created[gte]": "1769817600"}),
        (["--created", "2026-01-31T01:00+01:00"], {"created": "1769817600"}),
        (["--set", "created[lt]=2026-01-31"], {"created[lt]": "1769817600"}),
        (["--set", "created=2026-01-31"], {"created": "1769817600"}),
        (["--set", "delivery_success=true"], {"delivery_success": "true"}),
        (["--delivery-success", "--set", "limit=7"], {"delivery_success": "true", "limit": "7"}),
        (["--types", "a", "--types", "b"], {"types[0]": "a", "types[1]": "b"}),
    ],
)
def test_values_are_read_by_their_kind(
    *,
    sandbox: Sandbox,
    pinstripe: Command,
    capfd: Captured,
    words: list[str],
    params: dict[str, str],
) -> None:
    found = planned(pinstripe, capfd, "events", "list", *words)["params"]
    assert found == {"limit": "100", **params}


def test_a_body_has_times_as_numbers_and_comes_from_standard_input(
    sandbox: Sandbox, pinstripe: Command, capfd: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"file": "file_1", "expires_at": 1769817600}
    stdin = io.TextIOWrapper(io.BytesIO(json.dumps(given).encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    request = planned(pinstripe, capfd, "file-links", "create", "--body", "-")
    assert request["params"] == {"file": "file_1", "expires_at": "1769817600"}
    words = ("file-links", "update", "link_1", "--expires-at", "", "--metadata", "", "--reveal")
    assert planned(pinstripe, capfd, *words)["params"] == {"expires_at": "", "metadata": ""}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((*SESSIONS, "create"), "--type: is needed if --verification-flow is not given"),
        ((*SESSIONS, "retrieve", "a/b"), "SESSION: must be an id"),
        ((*SESSIONS, "retrieve"), "Missing argument 'SESSION'"),
        ((*SESSIONS, "list", "--limit", "0"), "--limit: must be"),
        ((*SESSIONS, "list", "--limit", "x"), "'--limit'"),
        ((*SESSIONS, "list", "--created-gte", "x"), "'--created-gte': must be a date or a time"),
        ((*SESSIONS, "list", "--created", "2026-01-01", "--created-lt", "2026-01-01"), "--created"),
        ((*SESSIONS, "list", "--set", "created[on]=2026-01-01"), "--created: must be a time, or"),
        ((*SESSIONS, "list", "--set", "created[gt]=x"), "--created: must be a time, or"),
        ((*SESSIONS, "list", "--set", "max_items=x"), "--max-items: must be a whole number"),
        ((*SESSIONS, "list", "--set", "colour=red"), "'colour' is no parameter of this call"),
        ((*SESSIONS, "list", "--set", "status"), "--set takes NAME=VALUE"),
        ((*SESSIONS, "list", "--set", "[a]=b"), "--set takes NAME=VALUE"),
        ((*SESSIONS, "list", "--status", "a", "--set", "status[b]=c"), "without parts"),
        ((*SESSIONS, "list", "--fields", "id,colour"), "--fields: there is no 'colour'"),
        ((*SESSIONS, "list", "--fields", "url"), "--fields: 'url' is private; add --reveal"),
        ((*SESSIONS, "list", "--body", "no.json"), "--body: no.json cannot be read"),
        ((*SESSIONS, "list", "--timeout", "-1"), "--timeout: "),
        ((*SESSIONS, "cancel", "vs_1", "--yes", "--idempotency-key", "a b"), "--idempotency-key: "),
        ((*SESSIONS, "create", "--metadata", "user"), "must be KEY=VALUE"),
        (("events", "list", "--set", "delivery_success=yes"), "must be true or false"),
        (("file-links", "create", "--set", "file=a", "--set", "expires_at=x"), "--expires-at: "),
        (("climate", "orders", "create", "--metric-tons", "1"), "Missing option '--product'"),
        ((*ORDER, "--metric-tons", "1,5"), "--metric-tons: must be a decimal number"),
        ((*ORDER, "--amount", "5"), "--metric-tons: give either --metric-tons or amount"),
        (("request", "GET", "v1"), "PATH: must look like"),
        (("request", "GET", "/v1/a/{b}"), "--id: must be those"),
        (("request", "GET", "/v1/a", "--sketch", "a b"), "--sketch: must be the name of a class"),
        (("events", "list", "--base-url", "nowhere"), "--base-url: must be an address"),
        (("events", "list", "--account", "a b"), "--account: must be"),
        (("events", "list", "--api-key-file", "no.key"), "--api-key-file: no.key cannot be read"),
        (("evnts", "list"), "No such command 'evnts'. Did you mean events?"),
        (("onramp-quotes",), "Did you mean crypto onramp-quotes?"),
        (("xyzzy",), "No such command 'xyzzy'.\n"),
        (("events", "list", "--typ", "a"), "--typ"),
    ],
)
def test_what_is_wrong_is_named_as_it_was_typed(
    *,
    sandbox: Sandbox,
    pinstripe: Command,
    capfd: Captured,
    words: tuple[str, ...],
    problem: str,
) -> None:
    assert problem in refused(pinstripe, capfd, *words)
    assert sandbox.effects() == []


@pytest.mark.parametrize("text", ["[]", "{", '"a"', "[" * 100_000])
def test_a_body_that_holds_no_parameters(
    sandbox: Sandbox, pinstripe: Command, capfd: Captured, tmp_path: Path, text: str
) -> None:
    body = tmp_path / "body.json"
    body.write_text(text)
    assert f"--body: {body} " in refused(pinstripe, capfd, "events", "list", "--body", body)


# --- what is printed ----------------------------------------------------------------------------


def test_private_fields_are_printed_only_if_asked_for(
    sandbox: Sandbox, pinstripe: Command, capfd: Captured
) -> None:
    words = (*SESSIONS, "create", "--type", "document", "--client-reference-id", "CANARY")
    assert pinstripe(*words) == 0
    plain = capfd.readouterr().out
    assert pinstripe(*words, "--json") == 0
    as_json = capfd.readouterr().out
    assert "CANARY" not in plain + as_json
    assert "client_secret" not in plain + as_json
    assert pinstripe(*words, "--reveal", "--json") == 0
    assert json.loads(capfd.readouterr().out)["client_reference_id"] == "CANARY"
    assert pinstripe(*words, "--dry-run") == 0
    assert "client_reference_id=(hidden)\n" in capfd.readouterr().out


def test_fields_are_those_that_were_asked_for(
    sandbox: Sandbox, pinstripe: Command, capfd: Captured
) -> None:
    words = ("--type", "document", "--options.document.require-id-number")
    assert pinstripe(*SESSIONS, "create", *words) == 0
    capfd.readouterr()
    fields = ("--fields", "status,options.document.require_id_number,redaction.status")
    assert pinstripe(*SESSIONS, "list", *fields) == 0
    assert capfd.readouterr().out == "requires_input\ttrue\t\n"
    assert pinstripe(*SESSIONS, "list", *fields, "--json") == 0
    assert json.loads(capfd.readouterr().out) == {
        "status": "requires_input",
        "options.document.require_id_number": True,
        "redaction.status": None,
    }


def test_a_list_is_printed_over_all_pages(
    sandbox: Sandbox, pinstripe: Command, capfd: Captured
) -> None:
    sandbox.identity.seed(250)
    assert pinstripe(*SESSIONS, "list", "--json") == 0
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert len({row["id"] for row in rows}) == 250
    assert pinstripe(*SESSIONS, "list", "--max-items", "120") == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == [row["id"] for row in rows[:120]]
    assert len({line.count("\t") for line in lines}) == 1


def test_any_endpoint_can_be_called(sandbox: Sandbox, pinstripe: Command, capfd: Captured) -> None:
    words = ("--set", "type=document", "--set", "metadata[user]=42", "--json")
    assert pinstripe("request", "POST", "/v1/identity/verification_sessions", *words) == 0
    made = json.loads(capfd.readouterr().out)
    assert made["metadata"] == {"user": "42"}
    path = "/v1/identity/verification_sessions/{session}"
    assert pinstripe("request", "get", path, "--id", f"session={made['id']}") == 0
    assert f"id\t{made['id']}\n" in capfd.readouterr().out
    assert "options\t" not in capfd.readouterr().out


def test_a_first_class_for_an_answer(sandbox: Sandbox, pinstripe: Command, capfd: Captured) -> None:
    sandbox.identity.seed(2)
    words = ("request", "GET", "/v1/identity/verification_sessions", "--sketch", "Session")
    assert pinstripe(*words) == 0
    source = capfd.readouterr().out
    scope: dict[str, Any] = {}
    exec(compile(source, "sketch", "exec", dont_inherit=True), scope)
    with sandbox.sync_client() as stripe:
        path = "/v1/identity/verification_sessions"
        ids = {one.id for one in stripe.list(path, into=scope["Session"])}
    assert len(ids) == 2
    assert not [id for id in ids if id in source]


# --- safety -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((*SESSIONS, "redact", "vs_1"), "this cannot be undone"),
        ((*SESSIONS, "cancel", "vs_1"), "this cannot be undone"),
        (("webhook-endpoints", "delete", "we_1"), "this cannot be undone"),
        (ORDER, "it is paid at once"),
    ],
)
def test_what_cannot_be_undone_wants_yes_if_nobody_can_be_asked(
    *,
    sandbox: Sandbox,
    pinstripe: Command,
    capfd: Captured,
    words: tuple[str, ...],
    reason: str,
) -> None:
    error = refused(pinstripe, capfd, *words)
    assert reason in error
    assert "add --yes" in error
    assert sandbox.effects() == []
    assert pinstripe(*words, "--yes") == 1  # there is no such object
    assert pinstripe(*words, "--dry-run") == 0


@pytest.mark.parametrize("words", [(*SESSIONS, "create", "--type", "document"), ORDER])
def test_a_live_key_asks_before_it_changes_anything(
    pinstripe: Command,
    capfd: Captured,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", "sk_live_CANARY")
    monkeypatch.setenv("PINSTRIPE_BASE_URL", "https://127.0.0.1:1")
    error = refused(pinstripe, capfd, *words)
    assert "the key is a live one; add --yes" in error
    assert pinstripe(*words, "--dry-run") == 0
    assert "CANARY" not in error + capfd.readouterr().out
    assert pinstripe("events", "list") == 3
    assert "CANARY" not in capfd.readouterr().err


def test_the_key_comes_from_a_file(
    sandbox: Sandbox,
    pinstripe: Command,
    capfd: Captured,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    file = tmp_path / "key"
    monkeypatch.delenv("STRIPE_API_KEY")
    monkeypatch.delenv("PINSTRIPE_BASE_URL")
    words = ("events", "list", "--base-url", f"{sandbox.url}/", "--api-key-file", file)
    file.write_text(f"{sandbox.api_key}\n")
    assert pinstripe(*words) == 0
    file.write_text("nonsense")
    assert "--api-key-file is not a key" in refused(pinstripe, capfd, *words)
    assert "STRIPE_API_KEY is not set" in refused(pinstripe, capfd, *words[:-2])


def test_an_account_is_a_world_of_its_own(
    sandbox: Sandbox, pinstripe: Command, capfd: Captured
) -> None:
    words = (*SESSIONS, "create", "--type", "document", "--account", "acct_1")
    assert pinstripe(*words) == 0
    capfd.readouterr()
    assert pinstripe(*SESSIONS, "list") == 0
    assert capfd.readouterr().out == ""
    assert pinstripe(*SESSIONS, "list", "--account", "acct_1") == 0
    assert capfd.readouterr().out != ""


# --- failures -----------------------------------------------------------------------------------


def failure(capfd: Captured) -> dict[str, Any]:
    """The one line of JSON on standard error."""
    out, err = capfd.readouterr()
    (line,) = err.splitlines()
    assert out == ""
    error: dict[str, Any] = json.loads(line)["error"]
    return error


def test_a_refusal_says_what_a_program_wants_to_know(
    sandbox: Sandbox, pinstripe: Command, capfd: Captured
) -> None:
    assert pinstripe(*SESSIONS, "retrieve", "vs_1", "--json") == 1
    error = failure(capfd)
    assert (error["error"], error["status"], error["code"], error["exit_status"]) == (
        *("NotFoundError", 404, "resource_missing", 1),
    )
    assert error["outcome"] == "rejected"
    assert error["request_id"].startswith("req_")
    assert pinstripe(*SESSIONS, "retrieve", "vs_1") == 1
    text = capfd.readouterr().err
    assert text.startswith("Error: GET /v1/identity/verification_sessions/{session}: No such ")
    assert "\nSee https://" in text


def test_usage_is_one_object_too(sandbox: Sandbox, pinstripe: Command, capfd: Captured) -> None:
    assert pinstripe(*SESSIONS, "list", "--json", "--limit", "0") == 2
    assert failure(capfd)["exit_status"] == 2
    assert pinstripe(*SESSIONS, "list", "--json", "--colour", "red") == 2
    assert "--colour" in failure(capfd)["message"]


def test_no_answer_has_a_status_of_its_own(
    pinstripe: Command, capfd: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_1")
    monkeypatch.setenv("PINSTRIPE_BASE_URL", "http://127.0.0.1:1")
    assert pinstripe(*SESSIONS, "retrieve", "vs_1", "--json") == 3
    error = failure(capfd)
    assert (error["error"], error["outcome"]) == ("ConnectError", "not_sent")
    with nonsense(http("<html>", "200 OK")) as server:
        words = ("--base-url", server.url, "--json")
        assert pinstripe(*SESSIONS, "retrieve", "vs_1", *words) == 3
    assert failure(capfd)["error"] == "DecodeError"


@pytest.mark.parametrize(
    ("more", "command"),
    [
        ([], "pinstripe climate orders create --product climsku_1 --metric-tons 1 --yes"),
        (["--metadata", "a=CANARY"], "the same command"),
        (["--idempotency-key", "key1"], None),
    ],
)
def test_an_unknown_outcome_says_how_to_finish_the_call(
    *,
    sandbox: Sandbox,
    pinstripe: Command,
    capfd: Captured,
    more: list[str],
    command: str | None,
) -> None:
    sandbox.faults.add(method="POST", cut=True)
    assert pinstripe(*ORDER, "--yes", *more) == 3
    error = capfd.readouterr().err
    assert "It is not certain whether the API has acted." in error
    assert "CANARY" not in error
    if command is None:
        whole = " ".join(["pinstripe", *ORDER, "--yes", "--idempotency-key", "key1"])
        assert error.endswith(f"run: {whole}\n")
        return
    key = error.rpartition("--idempotency-key ")[2].strip()
    assert error.endswith(f"run: {command} --idempotency-key {key}\n")
    assert f"idempotency key {key}, run" in error


def test_the_finishing_command_finishes_the_call(
    sandbox: Sandbox, pinstripe: Command, capfd: Captured
) -> None:
    words = (*SESSIONS, "create", "--type", "document", "--json")
    sandbox.faults.add(method="POST", cut=True, effect=True)
    assert pinstripe(*words) == 3
    key = failure(capfd)["idempotency_key"]
    sandbox.faults.clear()
    assert pinstripe(*words, "--idempotency-key", key) == 0
    assert len(sandbox.effects()) == 1


def test_a_list_that_breaks_off_says_where_to_continue(
    sandbox: Sandbox, pinstripe: Command, capfd: Captured
) -> None:
    sandbox.identity.seed(250)
    with sandbox.sync_client() as stripe:
        path = "/v1/identity/verification_sessions"
        first = stripe.request("GET", path, {"limit": 100}).body
    words = (*SESSIONS, "list", "--fields", "id")
    assert pinstripe(*words) == 0
    whole = capfd.readouterr().out
    no = '{"error": {"type": "invalid_request_error", "message": "no more"}}'

    def reply(target: str) -> bytes:
        more = "starting_after" in target
        return http(no, "400 Bad Request") if more else http(first, "200 OK")

    with nonsense(reply) as server:
        assert pinstripe(*words, "--base-url", server.url) == 1
    start, error = capfd.readouterr()
    assert start.count("\n") == 100
    cursor = error.rpartition("add --cursor ")[2].strip()
    assert pinstripe(*words, "--cursor", cursor) == 0
    assert start + capfd.readouterr().out == whole


def test_a_file_that_is_there_is_not_replaced(
    sandbox: Sandbox, pinstripe: Command, capfd: Captured, tmp_path: Path
) -> None:
    page, copy = tmp_path / "page.pdf", tmp_path / "copy"
    page.write_bytes(b"%PDF-1.4\n")
    words = ("--file", page, "--purpose", "dispute_evidence", "--json")
    assert planned(pinstripe, capfd, "files", "create", *words[:-1])["params"]["file"]
    assert pinstripe("files", "create", *words) == 0
    file = json.loads(capfd.readouterr().out)["id"]
    copy.write_text("mine")
    assert pinstripe("files", "download", file, copy) == 2
    assert str(copy) in capfd.readouterr().err
    assert pinstripe("files", "download", file, tmp_path / "no" / "copy") == 1
    assert pinstripe("files", "download", file, copy, "--overwrite") == 0
    assert copy.read_bytes() == page.read_bytes()


def test_images_that_fail_are_told_one_by_one(
    sandbox: Sandbox, pinstripe: Command, capfd: Captured, tmp_path: Path
) -> None:
    with sandbox.sync_client() as stripe:
        session = stripe.identity.verification_sessions.create(type="document")
        sandbox.identity.verify(session.id)
        report = stripe.identity.verification_reports.list().first().data[0].id
    # A secret key may not read them.
    assert pinstripe("files", "download-images", report, tmp_path / "images") == 1
    assert capfd.readouterr().err.startswith("Error: ")


def test_the_id_of_a_new_object_can_be_put_into_a_variable(
    sandbox: Sandbox, pinstripe: Command, capfd: Captured
) -> None:
    assert pinstripe(*SESSIONS, "create", "--type", "document", "--fields", "id,status") == 0
    id, status = capfd.readouterr().out.rstrip("\n").split("\t")
    assert id.startswith("vs_")
    assert status == "requires_input"
