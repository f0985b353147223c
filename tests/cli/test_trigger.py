"""`pinstripe trigger`: every event, through the sandbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest

from pinstripe.cli._trigger import RECIPES
from pinstripe.events import Event, EventType
from pinstripe.pytest_plugin import SECRET
from pinstripe.sandbox import Sandbox
from pinstripe.webhooks import Router, Webhook
from tests.support.cli_process import run
from tests.support.hosts import wsgi_app, wsgiref

Command = Callable[..., int]


def test_every_type_of_event_comes_about_and_is_delivered(
    sandbox: Sandbox, pinstripe: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    known = set(get_args(get_args(EventType)[0])) - {"crypto.onramp_session_updated"}
    assert set(RECIPES) == known
    with sandbox.sync_client() as stripe:
        stripe.webhook_endpoints.create(url="http://127.0.0.1:9/", enabled_events=list(RECIPES))
        for type in RECIPES:
            assert pinstripe("trigger", type) == 0
            id = capsys.readouterr().out.strip()
            event = stripe.events.retrieve(id)
            assert event.type == type
            assert event.__class__ is not Event
            assert len(sandbox.webhooks.deliveries(event=id)) == 1


def test_the_object_has_what_was_overridden(
    sandbox: Sandbox, pinstripe: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["metadata[user]=42", "metadata[plan]=a=b", "client_reference_id=c"]
    options = ["options[document][require_id_number]=true", *words]
    arguments = [word for option in options for word in ("--override", option)]
    assert pinstripe("trigger", "identity.verification_session.verified", *arguments) == 0
    assert pinstripe("trigger", "climate.product.created", "--override", "prices[eur]=500") == 0
    first, second = capsys.readouterr().out.split()
    with sandbox.sync_client() as stripe:
        session = stripe.events.retrieve(first).data.object
        assert session.metadata == {"user": "42", "plan": "a=b"}
        assert session.client_reference_id == "c"
        assert session.options.document.require_id_number is True
        product = stripe.events.retrieve(second).data.object
        assert set(product.current_prices_per_metric_ton) == {"usd", "eur"}


@pytest.mark.parametrize(
    ("type", "override", "status", "problem"),
    [
        ("file.made", "a=b", 2, "cannot be triggered; the types are"),
        ("file.created", "metadata", 2, "--override takes NAME=VALUE"),
        ("file.created", "colour=red", 1, "colour"),
        ("climate.product.created", "suppliers[0]=nobody", 1, "nobody"),
        (
            "climate.product.pricing_updated",
            "prices[usd]=31234",
            1,
            "there is no event of this type",
        ),
    ],
)
def test_what_cannot_be_is_told(
    *,
    sandbox: Sandbox,
    pinstripe: Command,
    capsys: pytest.CaptureFixture[str],
    type: str,
    override: str,
    status: int,
    problem: str,
) -> None:
    assert pinstripe("trigger", type, "--override", override) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert problem in captured.err
    if type == "file.made":
        assert all(name in captured.err for name in RECIPES)
        assert sandbox.effects() == []


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("PINSTRIPE_BASE_URL", None, "PINSTRIPE_BASE_URL is not set"),
        ("PINSTRIPE_BASE_URL", "http://127.0.0.1:9", "cannot be reached: refused"),
        ("STRIPE_API_KEY", None, "STRIPE_API_KEY is not set"),
        ("STRIPE_API_KEY", "sk_live_canary51c0", "STRIPE_API_KEY is a live key"),
    ],
)
def test_an_environment_that_does_not_do(
    *,
    sandbox: Sandbox,
    pinstripe: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str | None,
    problem: str,
) -> None:
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    assert pinstripe("trigger", "file.created") == 2
    error = capsys.readouterr().err
    assert problem in error
    assert "canary" not in error
    assert sandbox.effects() == []


def test_what_is_no_sandbox_is_left_alone(
    sandbox: Sandbox,
    pinstripe: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with wsgiref(wsgi_app(Router(Webhook(SECRET)))) as url:
        monkeypatch.setenv("PINSTRIPE_BASE_URL", url)
        assert pinstripe("trigger", "file.created") == 2
    assert "not the address of a sandbox" in capsys.readouterr().err
    assert sandbox.effects() == []


def test_the_command_itself(sandbox: Sandbox) -> None:
    done = run("trigger", "climate.order.delayed", sandbox=sandbox)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"evt_")
