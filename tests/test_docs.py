"""The documents and guides: programs run, commands and links exist, and claims hold."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import pytest
import stripe

import pinstripe
from pinstripe import PinstripeError, RequestOptions, ResponseInfo
from pinstripe._core.refusals import error_for
from pinstripe.cli._main import command as pinstripe_command
from pinstripe.sandbox import Sandbox
from pinstripe.webhooks import Webhook
from tests.support import warm
from tests.support.blocks import DOCUMENTS, ROOT, Block, blocks, public_sources

# --- the programs -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sandbox_environment() -> Iterator[dict[str, str]]:
    with Sandbox() as sandbox:
        yield {
            **os.environ,
            "STRIPE_API_KEY": sandbox.api_key,
            "PINSTRIPE_BASE_URL": sandbox.url,
        }


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.name)
def test_a_program_runs(block: Block, sandbox_environment: dict[str, str], tmp_path: Path) -> None:
    script = tmp_path / f"{block.name}.py"
    script.write_text(block.text, encoding="utf-8")
    done = warm.run(
        block.command(script),
        env=sandbox_environment,
        cwd=tmp_path,
        text=True,
        timeout=60,
        fresh=("pinstripe", "anyio"),  # pytest imports them in its own way
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr


def test_no_python_hides_in_a_block_of_another_language() -> None:
    for block in blocks("py", "python3", "pycon"):
        pytest.fail(f"{block.source} has a block of {block.language}, which nothing runs")


# --- the commands -------------------------------------------------------------------------------


def commands(*only: Block) -> list[tuple[str, list[str]]]:
    """Return every command of every document, with where it is from, as a list of words."""
    return [
        (block.source, shlex.split(command, comments=True))
        for block in only or blocks("sh")
        for line in block.text.replace("\\\n", " ").splitlines()
        for command in re.split(r"&&|\|", line.replace("=$(", " "))
    ]


# Commands that run until they are stopped: their options are checked, and they are not run.
ENDLESS = {"sandbox", "listen", "tail", "watch"}
# Commands with a bucket or an app of the reader's own: other tests run such ones.
OF_READERS = ("s3://", "app:router")


def command_of(words: list[str]) -> tuple[list[str], click.Command]:
    """Return the words of a shown command, and what they call."""
    start = words.index("pinstripe")
    found: click.Command = pinstripe_command()
    for end, word in enumerate(words[start + 1 :], start + 1):
        if not isinstance(found, click.Group):
            return words[end:], found
        below = found.get_command(click.Context(found), word)
        assert below is not None, words
        found = below
    return [], found


def test_a_command_has_the_options_that_it_is_shown_with() -> None:
    shown = [(source, words) for source, words in commands() if words[:1] == ["pinstripe"]]
    assert shown
    for source, words in shown:
        rest, command = command_of(words)
        known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
        used = {word.partition("=")[0] for word in rest if word.startswith("--")}
        assert used <= known, (source, words)


def runs(block: Block) -> bool:
    """Whether a block of shell commands is about the command, and ends by itself."""
    lines = [words for source, words in commands(block)]
    if any(word in block.text for word in OF_READERS):
        return False
    return any("pinstripe" in words for words in lines) and not any(
        {*words} & ENDLESS or words[:1] in (["curl"], ["pip"], ["python"]) for words in lines
    )


@pytest.mark.parametrize("block", [*filter(runs, blocks("sh"))], ids=lambda block: block.name)
def test_the_commands_of_a_block_run(
    block: Block, sandbox_environment: dict[str, str], tmp_path: Path
) -> None:
    if "jq" in block.text and shutil.which("jq") is None:
        pytest.skip("there is no jq here")
    command = tmp_path / "pinstripe"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -W error -m pinstripe.cli "$@"\n')
    command.chmod(0o755)
    done = subprocess.run(
        ["bash", "-euc", block.text],
        env={**sandbox_environment, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_the_sessions_of_nox_that_are_named_are_there() -> None:
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    sessions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    named = {w[w.index("-s") + 1] for _, w in commands() if "nox" in w and "-s" in w}
    for _, text in public_sources():
        named |= set(re.findall(r"nox -s (\w+)", text))
    assert {"demo", "tests", "docs", "bench"} <= named <= sessions


def test_the_benchmarks_that_are_named_are_there() -> None:
    tables = {path.stem for path in (ROOT / "benchmarks").glob("[!_]*.py")}
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    named = {name for names in re.findall(r"bench -- ([\w ]+)", text) for name in names.split()}
    assert named == tables


# --- the links ----------------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_link_to_a_file_leads_to_it(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if not urlsplit(target).scheme:
            assert (document.parent / target.partition("#")[0]).exists(), target


# --- what the guide "From the official SDK" says ------------------------------------------------

LIST = "/v1/identity/verification_sessions"


@pytest.fixture
def ours(sandbox: Sandbox) -> Iterator[pinstripe.Client]:
    fast = pinstripe.RetryPolicy(base=0)
    with sandbox.sync_client(retry=fast) as client:
        yield client


@pytest.fixture
def theirs(sandbox: Sandbox) -> stripe.StripeClient:
    return stripe.StripeClient(sandbox.api_key, base_addresses={"api": sandbox.url})


@pytest.fixture
def module_settings(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point the calls of the module `stripe` at the sandbox."""
    monkeypatch.setattr(stripe, "api_key", sandbox.api_key)
    monkeypatch.setattr(stripe, "api_base", sandbox.url)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe.HTTPClient, "_sleep_time_seconds", lambda *_: 0)


def error_of(call: Callable[[], object]) -> Any:
    with pytest.raises((stripe.StripeError, PinstripeError)) as raised:
        call()
    return raised.value


def attempts(sandbox: Sandbox, call: Callable[[], object], **fault: Any) -> int:
    """Return how many requests a call costs that meets a fault each time."""
    sandbox.faults.clear()
    sandbox.faults.add(**fault)
    error_of(call)
    hits: int = sandbox.faults.list()[0]["hits"]
    return hits


@pytest.mark.usefixtures("no_pauses", "module_settings")
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"status": 503}, [1, 3, 3, 3]),
        ({"status": 429}, [1, 1, 1, 3]),
        ({"cut": True}, [1, 3, 3, 3]),
    ],
    ids=["503", "429", "cut"],
)
def test_attempts(sandbox, ours, theirs, fault, expected) -> None:
    addresses: Any = {"api": sandbox.url}
    twice = stripe.StripeClient(sandbox.api_key, base_addresses=addresses, max_network_retries=2)
    ours.climate.products.list().first()  # opens a connection
    calls: list[Callable[[], object]] = [
        theirs.v1.identity.verification_sessions.list,
        twice.v1.identity.verification_sessions.list,
        stripe.identity.VerificationSession.list,
        lambda: ours.identity.verification_sessions.list().first(),
    ]
    assert [attempts(sandbox, call, **fault) for call in calls] == expected


def test_one_key_for_all_attempts_of_both(sandbox, ours, theirs, no_pauses) -> None:
    options: Any = {"max_network_retries": 2}
    for call in (
        lambda: theirs.v1.identity.verification_sessions.create({"type": "document"}, options),
        lambda: ours.identity.verification_sessions.create(type="document"),
    ):
        before = len(sandbox.effects())
        sandbox.faults.add(method="POST", cut=True, effect=True, count=1)  # the answer is lost
        call()
        assert len(sandbox.effects()) == before + 1


def test_errors(sandbox, ours, theirs) -> None:
    sessions, identity = ours.identity.verification_sessions, theirs.v1.identity
    unknown = (
        error_of(lambda: identity.verification_sessions.retrieve("vs_unknown")),
        error_of(lambda: sessions.retrieve("vs_unknown")),
    )
    assert [type(error) for error in unknown] == [
        stripe.InvalidRequestError,
        pinstripe.NotFoundError,
    ]
    assert unknown[0].http_status == unknown[1].status == 404
    assert unknown[0].code == unknown[1].code == "resource_missing"
    assert all(error.request_id for error in unknown)

    sessions.create(type="document", request_options=RequestOptions(idempotency_key="same"))
    other: Any = {"type": "id_number"}
    key: Any = {"idempotency_key": "same"}
    for error, kind in (
        (
            error_of(lambda: identity.verification_sessions.create(other, key)),
            stripe.IdempotencyError,
        ),
        (
            error_of(lambda: sessions.create(**other, request_options=RequestOptions(**key))),
            pinstripe.IdempotencyError,
        ),
        (
            error_of(lambda: theirs.v1.climate.orders.create({"product": "climsku_1"})),
            stripe.InvalidRequestError,
        ),
        (error_of(lambda: ours.request("POST", LIST)), pinstripe.InvalidRequestError),
    ):
        assert type(error) is kind


def test_errors_without_a_server(free_port: int) -> None:
    url = f"http://127.0.0.1:{free_port}"
    theirs = stripe.StripeClient("sk_test_1", base_addresses={"api": url})
    error = error_of(theirs.v1.climate.products.list)
    assert type(error) is stripe.APIConnectionError
    once = pinstripe.RetryPolicy(max_attempts=1)
    with pinstripe.Client("sk_test_1", base_url=url, retry=once) as ours:
        error = error_of(lambda: ours.climate.products.list().first())
    assert type(error) is pinstripe.ConnectError


@pytest.fixture
def free_port() -> int:
    with Sandbox() as sandbox:
        return int(sandbox.url.rpartition(":")[2])


@pytest.mark.parametrize(
    ("status", "theirs", "ours"),
    [
        (401, stripe.AuthenticationError, pinstripe.AuthenticationError),
        (402, stripe.CardError, pinstripe.InvalidRequestError),
        (403, stripe.PermissionError, pinstripe.PermissionDeniedError),
        (409, stripe.APIError, pinstripe.ConflictError),
        (429, stripe.RateLimitError, pinstripe.RateLimitError),
        (500, stripe.APIError, pinstripe.ServerError),
    ],
)
def test_the_class_of_a_status(status, theirs, ours) -> None:
    from stripe._api_requestor import _APIRequestor

    from pinstripe._core.refusals import error_for

    requestor = _APIRequestor._global_instance()
    assert type(requestor.specific_v1_api_error("", status, {}, {}, {})) is theirs
    assert type(error_for(status, {}, b"{}")) is ours


def test_values_and_reprs(ours, theirs) -> None:
    made = theirs.v1.identity.verification_sessions.create({"type": "document"})
    read = ours.identity.verification_sessions.retrieve(made.id)
    assert made.created == read.created.timestamp()
    assert read.created.tzinfo is not None
    assert made.client_secret in repr(made)
    assert read.client_secret not in repr(read)
    assert made.last_response.request_id != pinstripe.response_of(read).request_id
    assert made.to_dict()["id"] == pinstripe.to_dict(read)["id"]
    assert not hasattr(stripe, "crypto")


def test_pages(sandbox, theirs) -> None:
    requests: list[ResponseInfo] = []
    hooks = pinstripe.Hooks(on_response=requests.append)
    sandbox.identity.seed(250)
    sandbox.faults.add(path=LIST, latency=1e-4)  # counts requests
    with sandbox.sync_client(hooks=hooks) as ours:
        pager = ours.identity.verification_sessions.list()
        assert not requests
        assert len(list(pager)) == 250
    assert len(requests) == 3
    counted = sandbox.faults.list()[0]["hits"]
    assert len(list(theirs.v1.identity.verification_sessions.list().auto_paging_iter())) == 250
    assert sandbox.faults.list()[0]["hits"] - counted == 25


def test_a_signature_from_the_future() -> None:
    body = b'{"id": "evt_1", "object": "event"}'
    late = Webhook("whsec_1", clock=lambda: 4e9).sign(body)
    assert stripe.Webhook.construct_event(body, late, "whsec_1").id == "evt_1"
    with pytest.raises(pinstripe.SignatureError) as refused:
        Webhook("whsec_1").parse(body, late)
    assert refused.value.reason == "too_new"
    assert stripe.Webhook.DEFAULT_TOLERANCE == Webhook("whsec_1").tolerance == 300


# --- what the guide "Errors and retries" says ---------------------------------------------------


def test_every_error_is_in_the_table() -> None:
    text = (ROOT / ".docs" / "guides" / "errors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[A-Z].*?) \| .*? \| (.*?) \|$", text, re.MULTILINE)
    names = {name: said for heads, said in rows for name in re.findall(r"`([A-Z]\w+)`", heads)}
    bases = {"PinstripeError", "TransportError", "ResponseError", "APIError", "WaitError"}
    public = {
        name
        for name in pinstripe.__all__
        if isinstance(kind := getattr(pinstripe, name), type) and issubclass(kind, PinstripeError)
    }
    assert names.keys() | bases >= public
    for name, said in names.items():
        if re.fullmatch(r"`\w+`", said) and name in public:
            assert outcome_of(name) == said.strip("`"), name


def outcome_of(name: str) -> str:
    """The outcome of an error as the API itself causes it."""
    body = b'{"error": {"type": "invalid_request_error", "message": "no"}}'
    for status in (400, 401, 403, 404, 409, 429, 500):
        error = error_for(status, {"Request-Id": "req_1"}, body)
        if type(error).__name__ == name:
            return error.outcome
    return str(getattr(pinstripe, name).outcome)


def test_the_defaults_that_are_told() -> None:
    policy, timeout = pinstripe.RetryPolicy(), pinstripe.Timeout()
    assert (policy.max_attempts, policy.max_retry_after, policy.budget) == (3, 60, 500)
    assert timeout.total == 30
