"""`pinstripe listen`: a real app gets the events of the sandbox, each once, in order, signed."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pinstripe.cli._event_log import EventLog
from pinstripe.events import Event
from pinstripe.pytest_plugin import SECRET
from pinstripe.sandbox import Sandbox
from pinstripe.sync import Client
from pinstripe.webhooks import Router, Webhook
from tests.support.cli_process import SECONDS, start
from tests.support.hosts import wsgi_app, wsgiref
from tests.support.warm import Child

pytestmark = pytest.mark.usefixtures("loop_thread_ends")


class App:
    """An app with a webhook, which keeps the events that it took."""

    def __init__(self) -> None:
        self.router = Router(Webhook(SECRET))
        self.taken: list[str] = []
        self.failures = 0
        self.router.on(Event)(self.take)

    def take(self, event: Event) -> None:
        if self.failures:
            self.failures -= 1
            raise ValueError("not today")
        self.taken.append(event.id)


class Listening:
    """The running command."""

    def __init__(self, process: Child) -> None:
        self.process = process

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().rstrip("\n")

    def attempts(self, count: int) -> list[tuple[str, ...]]:
        """Return type, id and outcome of the next attempts."""
        return [tuple(self.line().split()[1:]) for _ in range(count)]

    def stop(self, *, refused: bool = False) -> str:
        """Stop it, and return what it says; before that it says of no more attempts, or of refused
        ones only.
        """
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=SECONDS)
        assert self.process.returncode == 130
        assert all(refused and line.endswith(b" refused") for line in out.splitlines())
        return err.decode()


@contextmanager
def listening(sandbox: Sandbox, url: str, *options: str, **more: Any) -> Iterator[Listening]:
    words = ("listen", "--forward-to", url, "--interval", "0.02", *options)
    with start(*words, sandbox=sandbox, **more) as process:
        try:
            yield Listening(process)
        finally:
            process.kill()


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def url(app: App) -> Iterator[str]:
    with wsgiref(wsgi_app(app.router)) as url:
        yield f"{url}/webhook"


@pytest.fixture
def stripe(sandbox: Sandbox) -> Iterator[Client]:
    with sandbox.sync_client() as stripe:
        yield stripe


def verify(stripe: Client, sandbox: Sandbox) -> list[tuple[str, str]]:
    """Verify somebody, and return type and id of what happened, oldest first."""
    session = stripe.identity.verification_sessions.create(type="id_number")
    sandbox.identity.verify(session.id)
    found = [event for event in stripe.events.list() if event.data.object.id == session.id]
    return [(event.type, event.id) for event in reversed(found)]


def test_events_are_delivered_in_order_and_once(
    sandbox: Sandbox, stripe: Client, app: App, url: str
) -> None:
    verify(stripe, sandbox)  # before the command begins: not its business
    with listening(sandbox, url) as command:
        signing, secret = command.line().rsplit(" ", 1)
        assert signing == "Signing with"
        app.router.webhook = Webhook(secret)
        assert command.line() == f"Listening; events go to {url} until Ctrl-C"
        happened = [*verify(stripe, sandbox), *verify(stripe, sandbox)]
        assert command.attempts(6) == [(*event, "200") for event in happened]
        happened += verify(stripe, sandbox)
        assert command.attempts(3) == [(*event, "200") for event in happened[6:]]
        assert command.stop() == "Stopped: 9 events delivered, 0 refused.\n"
    assert app.taken == [id for _, id in happened]


def test_only_wanted_events_are_delivered_and_refused_ones_sent_again(
    sandbox: Sandbox, stripe: Client, app: App, url: str
) -> None:
    wanted = ("--secret", SECRET, "--events", "identity.*.verified, *.processing")
    with listening(sandbox, url, *wanted) as command:
        assert command.line().startswith("Listening")
        app.failures = 4
        _, processing, verified = verify(stripe, sandbox)
        assert command.attempts(3) == [(*processing, "500")] * 3
        assert command.attempts(2) == [(*verified, "500"), (*verified, "200")]
        assert command.stop() == "Stopped: 1 events delivered, 1 refused.\n"
    assert app.taken == [verified[1]]


def test_an_app_that_is_not_there_or_does_not_answer(sandbox: Sandbox, stripe: Client) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with listening(sandbox, url, "--secret", SECRET) as command:
            assert command.line().startswith("Listening")
            created, *_ = verify(stripe, sandbox)
            assert command.attempts(1) == [(*created, "refused")]
            silent.listen()
            accepted, _ = silent.accept()  # and no answer: Ctrl-C ends the wait for it
            with accepted:
                assert accepted.recv(4) == b"POST"
                assert command.stop(refused=True).startswith("Stopped: 0 events delivered, ")


def test_a_log_that_cannot_be_read_is_read_later(
    sandbox: Sandbox, stripe: Client, app: App, url: str
) -> None:
    secret = {"STRIPE_WEBHOOK_SECRET": SECRET}
    with monkeypatched(secret), listening(sandbox, url) as command:
        assert command.line().startswith("Listening")
        sandbox.faults.add(path="/v1/events", status=500, count=3)
        assert command.process.stderr is not None
        problem = command.process.stderr.readline()
        assert problem.startswith(b"the log cannot be read, for now: ")
        happened = verify(stripe, sandbox)
        assert command.attempts(3) == [(*event, "200") for event in happened]
        command.stop()
    assert app.taken == [id for _, id in happened]


def test_an_api_that_refuses_ends_the_command(
    sandbox: Sandbox,
    url: str,
    pinstripe: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PINSTRIPE_BASE_URL", url.removesuffix("/webhook"))
    assert pinstripe("listen", "--forward-to", url, "--secret", SECRET) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Error: ")


@contextmanager
def monkeypatched(variables: dict[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


@pytest.mark.parametrize(
    ("options", "key", "problem"),
    [
        (["--forward-to", "here"], None, "must be an http or https address"),
        (["--forward-to", "http://localhost:99999/"], None, "must be an http or https address"),
        (["--forward-to", "http://localhost/a b"], None, "must be an http or https address"),
        (["--forward-to", "https://shop.example/"], None, "--allow-host shop.example"),
        (["--forward-to", "http://127.0.0.1.example/"], None, "--allow-host 127.0.0.1.example"),
        (["--forward-to", "http://192.0.2.1/"], None, "--allow-host 192.0.2.1"),
        (["--secret", "canary-51c0"], None, "--secret: "),
        ([], "sk_live_canary51c0", "test keys only"),
        ([], "", "STRIPE_API_KEY is not set"),
        (["--interval", "0"], None, "--interval"),
    ],
)
def test_bad_usage_sends_nothing(
    *,
    sandbox: Sandbox,
    pinstripe: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    key: str | None,
    problem: str,
) -> None:
    if key is not None:
        monkeypatch.setenv("STRIPE_API_KEY", key)
    assert pinstripe("listen", "--forward-to", "http://localhost:1/", *options) == 2
    captured = capsys.readouterr()
    assert problem in captured.err
    assert "canary" not in captured.err
    assert "Listening" not in captured.out


@pytest.mark.anyio
async def test_the_log_is_read_whole_from_any_beginning(sandbox: Sandbox) -> None:
    async with sandbox.client() as stripe:
        log = EventLog(stripe)
        await log.find_end()
        assert [event async for event in log.new_events()] == []
        for count in (120, 230):  # more than a page, from an empty log and from a known event
            made = [
                (await stripe.identity.verification_sessions.create(type="document")).id
                for _ in range(count)
            ]
            found = [event["data"]["object"]["id"] async for _, event in log.new_events()]
            assert found == made
        assert [event async for event in log.new_events()] == []
