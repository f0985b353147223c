"""Commands against servers that are neither Stripe nor a sandbox: one line, and the exit status."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pinstripe.cli._trigger import RECIPES
from tests.support.cli_process import amounts
from tests.support.nonsense import http, nonsense

Command = Callable[..., int]
Captured = pytest.CaptureFixture[bytes]

JSON = "Content-Type: application/json"
ANSWERS = {
    "html": http("<html>hello</html>"),
    "html 404": http("<html>no</html>", "404 Not Found"),
    "redirect": http("", "302 Found", "Location: http://127.0.0.1:1/"),
    "closed": b"",
    "garbage": b"\x00\xff\x1b[2J\r\n\r\n",
    "not chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "cut": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
    "not gzip": http("x", "200 OK", JSON, "Content-Encoding: gzip"),
    "not UTF-8": http(b'{"id":"\xff"}', "200 OK", JSON),
    "list": http("[]", "200 OK", JSON),
    "object": http("{}", "200 OK", JSON),
    "null": http("null", "200 OK", JSON),
    "deep": http("[" * 100_000, "200 OK", JSON),
    "empty list": http('{"object":"list","data":[],"has_more":false,"id":5}', "200 OK", JSON),
    "another list": http('{"object":"list","data":[5],"has_more":false}', "200 OK", JSON),
    "error that is text": http('{"error":"no\\u001b[2J"}', "400 Bad Request", JSON),
    "error of null": http('{"error":{"message":null}}', "400 Bad Request", JSON),
    "id that is a path": http('{"id":"../x","error":5}', "200 OK", JSON),
    "id of a terminal": http('{"id":"evt_\\u001b[2J"}', "200 OK", JSON),
}
# The API answers with an error, or a server that may be the API; any other answer is none.
REFUSALS = ("html 404", "error that is text", "error of null")
CLOCK = http('{"now": 1}', "200 OK", JSON)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes the commands ask an address."""

    def use(url: str) -> None:
        monkeypatch.setenv("STRIPE_API_KEY", "sk_test_1")
        monkeypatch.setenv("PINSTRIPE_BASE_URL", url)

    return use


def ended(capfdbinary: Captured) -> str:
    """Return the one line that a command said, after nothing on standard output."""
    out, err = capfdbinary.readouterr()
    (line,) = err.decode().splitlines()
    assert (out, line.isprintable(), line.startswith("Error: ")) == (b"", True, True)
    return line


@pytest.mark.parametrize("kind", ANSWERS)
def test_trigger_needs_a_sandbox(
    pinstripe: Command, account: Callable[[str], None], capfdbinary: Captured, kind: str
) -> None:
    with nonsense(ANSWERS[kind]) as server:
        account(server.url)
        assert pinstripe("trigger", "file.created") == 2
    assert "PINSTRIPE_BASE_URL" in ended(capfdbinary)


@pytest.mark.uncounted
@pytest.mark.parametrize("kind", ANSWERS)
def test_trigger_with_a_sandbox_that_turns_into_something_else(
    pinstripe: Command, account: Callable[[str], None], capfdbinary: Captured, kind: str
) -> None:
    types = {recipe.make.path: type for type, recipe in RECIPES.items()}  # one of each first call
    for type in ("file.created", "climate.order.product_substituted", *types.values()):
        with nonsense(lambda path: CLOCK if "clock" in path else ANSWERS[kind]) as server:
            account(server.url)
            status = pinstripe("trigger", type)
        ended(capfdbinary)
        # An empty list is an answer of an API, which has not what some recipes need.
        assert status == (1 if kind in REFUSALS else 3) or (kind, status) == ("empty list", 1)


@pytest.mark.parametrize("kind", [kind for kind in ANSWERS if kind != "empty list"])
def test_export_ends(
    pinstripe: Command, account: Callable[[str], None], capfdbinary: Captured, kind: str
) -> None:
    with nonsense(ANSWERS[kind]) as server:
        account(server.url)
        assert pinstripe("export", "events", "-o", "-") == (1 if kind in REFUSALS else 3)
    assert "stopped after 0 objects" in ended(capfdbinary)


@pytest.mark.uncounted
@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("count", [3, 100])
def test_quotes_stop_when_nothing_answers_and_can_be_resumed(
    *,
    pinstripe: Command,
    account: Callable[[str], None],
    capfdbinary: Captured,
    tmp_path: Path,
    kind: str,
    count: int,
) -> None:
    out = tmp_path / "out.jsonl"
    words = ("quotes", "batch", amounts(tmp_path / "q.csv", count), "-o", out, "--concurrency", "2")
    with nonsense(ANSWERS[kind]) as server:
        account(server.url)
        assert pinstripe(*words) == 3
        assert len(server.targets) < 100
    message = ended(capfdbinary)
    assert message.startswith(
        "Error: no query has an answer of the API: "
        if count == 3
        else "Error: 10 queries in a row have no answer of the API: "
    )
    hint = "; the same command with --resume does the rest"
    assert message.endswith(f"Stopped: 0 of {count} queries are written{hint}")
    assert out.read_bytes() == b""


FINAL = ["html", "html 404", "redirect", "not UTF-8", "list", "object", "deep", "another list"]


@pytest.mark.parametrize("kind", FINAL)
def test_listen_ends(
    pinstripe: Command, account: Callable[[str], None], capfdbinary: Captured, kind: str
) -> None:
    with nonsense(ANSWERS[kind]) as server:
        account(server.url)
        words = ("--forward-to", "http://127.0.0.1:1/", "--secret", "whsec_" + "a" * 32)
        assert pinstripe("listen", *words) == (1 if kind in REFUSALS else 3)
    ended(capfdbinary)
