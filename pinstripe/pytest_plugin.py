"""The pytest plugin: a sandbox, a client for it, and signed events, as fixtures.

pytest finds it wherever Pinstripe is installed; aiohttp and the sandbox are imported when a
fixture first needs them.

- `stripe_sandbox`: a running `Sandbox`, new for each test and in a thread of its own, so that
  tests that are not async have it too.
- `stripe_sandbox_options`: the arguments of that sandbox; override it for a seed or a clock.
- `stripe_client`: an `AsyncClient` for that sandbox. A client is made without an event loop and
  closes with the one that it was used in, so the fixture needs neither a loop nor a plugin: tests
  run by anyio, by pytest-asyncio or by `asyncio.run` use it alike, and none has to close it.
- `stripe_sync_client`: a blocking `Client` for that sandbox, closed with the test.
- `stripe_event`: builds events as they come to a webhook, signed.

Where `assert` finds two models unequal, the values of their private fields are not printed.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest
from attrs import field, frozen

from pinstripe._config.options import DEFAULT_API_VERSION
from pinstripe._core.errors import ConfigurationError
from pinstripe._event_samples import Sample, sample
from pinstripe._models.convert import to_dict
from pinstripe._models.record import Model, Record
from pinstripe._signature import sign

if TYPE_CHECKING:
    from pinstripe._client import AsyncClient
    from pinstripe.sandbox import Sandbox
    from pinstripe.sync import Client

__all__ = [
    "SECRET",
    "SignedEvent",
    "StripeEvent",
    "stripe_client",
    "stripe_event",
    "stripe_sandbox",
    "stripe_sandbox_options",
    "stripe_sync_client",
]

SECRET: Final = "whsec_pinstripe_pytest_plugin"  # noqa: S105 -- signs nothing but tests
"""The secret that events are signed with; give it to the code under test."""


def _named(event: Mapping[str, Any]) -> str:
    return f"<{event['type']} {event['id']}>"


@frozen(kw_only=True)
class SignedEvent:
    """An event as it comes to a webhook.

    Attributes:
        event: The event, as its body tells it.
        body: The body of the request.
        signature: The `Stripe-Signature` header.
        secret: The secret that it was signed with.
    """

    event: dict[str, Any] = field(repr=_named)
    body: bytes = field(repr=False)
    signature: str = field(repr=False)
    secret: str = field(repr=False)

    @property
    def id(self) -> str:
        """The id of the event."""
        value: str = self.event["id"]
        return value

    @property
    def type(self) -> str:
        """The type of the event."""
        value: str = self.event["type"]
        return value

    @property
    def data(self) -> dict[str, Any]:
        """The data of the event: its `object`, and the `previous_attributes` of an update."""
        value: dict[str, Any] = self.event["data"]
        return value

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the request."""
        return {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": self.signature,
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }


@frozen
class StripeEvent:
    """Builds signed events: what the fixture `stripe_event` gives.

        event = stripe_event("identity.verification_session.verified", metadata={"user": "42"})
        response = app.post("/webhook", content=event.body, headers=event.headers)

    Attributes:
        secret: The secret that events are signed with, unless the call names another.
    """

    secret: str = field(default=SECRET, repr=False)

    def __call__(
        self,
        type: str,
        /,
        *,
        object: Mapping[str, Any] | Model | None = None,
        previous_attributes: Mapping[str, Any] | None = None,
        event: Mapping[str, Any] | None = None,
        secret: str | None = None,
        timestamp: int | None = None,
        **fields: Any,
    ) -> SignedEvent:
        """Return an event that was just signed; every one has an id of its own.

        Args:
            type: The type of the event. Those of Pinstripe's resources tell of a sample; any
                other tells of an object with an `id` and an `object`, the type without its end.
            object: What the event tells of, in place of the sample: a model, or plain data such
                as the drivers of the sandbox return.
            previous_attributes: What an update replaced.
            event: Fields of the event itself, such as `{"account": "acct_1"}`.
            secret: The secret to sign with; another than the code under test knows makes an
                event that has to be refused.
            timestamp: When it is signed, in seconds since the Unix epoch; now by default. A
                delivery that is too old has an earlier one.
            fields: Fields of the object, in place of those of the sample.

        Raises:
            ConfigurationError: An argument is wrong.
        """
        now = int(time.time()) if timestamp is None else timestamp
        told = _told(type, object, now)
        replaced = told.previous_attributes if previous_attributes is None else previous_attributes
        data: dict[str, Any] = {"object": {**told.object, **fields}}
        if replaced is not None:
            data["previous_attributes"] = dict(replaced)
        whole = {**_envelope(type, data, now), **(event or {})}
        body = json.dumps(whole, indent=2, ensure_ascii=False).encode()
        key = self.secret if secret is None else secret
        return SignedEvent(event=whole, body=body, signature=sign(body, key, now), secret=key)


def _told(type: str, object: Mapping[str, Any] | Model | None, now: int) -> Sample:
    if not isinstance(type, str) or not type.rpartition(".")[0]:
        raise ConfigurationError("type", "must be the type of an event, such as file.created")
    if isinstance(object, Mapping):
        return Sample(dict(object))
    if object is not None:
        return Sample(to_dict(object))
    plain = {"id": f"obj_{_draw()}", "object": type.rpartition(".")[0]}
    return sample(type, now, _draw()) or Sample(plain)


def _envelope(type: str, data: Mapping[str, Any], now: int) -> dict[str, Any]:
    return {
        "id": f"evt_{_draw()}",
        "object": "event",
        "api_version": DEFAULT_API_VERSION,
        "created": now,
        "data": data,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": type,
    }


def _draw() -> str:
    return uuid.uuid4().hex[:24]


@pytest.hookimpl(tryfirst=True)
def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Say in which fields two models differ, without the values of private ones."""
    if op != "==" or not isinstance(left, Record) or type(left) is not type(right):
        return None
    told = [f"{left!r} == {right!r}"]
    for attribute in attrs.fields(type(left)):
        values = getattr(left, attribute.name), getattr(right, attribute.name)
        if values[0] != values[1]:
            shown = "{!r} != {!r}".format(*values) if attribute.repr else "differs (private)"
            told.append(f"{attribute.name}: {shown}")
    return told


@pytest.fixture
def stripe_sandbox_options() -> dict[str, Any]:
    """Return the arguments of `stripe_sandbox`: none, unless this fixture is overridden."""
    return {}


@pytest.fixture
def stripe_sandbox(stripe_sandbox_options: dict[str, Any]) -> Iterator[Sandbox]:
    """Run a sandbox, a new one for each test."""
    from pinstripe.sandbox import Sandbox  # noqa: PLC0415 -- slow, so only when asked for

    with Sandbox(**stripe_sandbox_options) as sandbox:
        yield sandbox


@pytest.fixture
def stripe_client(stripe_sandbox: Sandbox) -> AsyncClient:
    """Return a client for the sandbox of this test; nobody has to close it."""
    return stripe_sandbox.client()


@pytest.fixture
def stripe_sync_client(stripe_sandbox: Sandbox) -> Iterator[Client]:
    """Return a blocking client for the sandbox of this test."""
    with stripe_sandbox.sync_client() as client:
        yield client


@pytest.fixture
def stripe_event() -> StripeEvent:
    """Return what builds signed events: `stripe_event("climate.order.created")`."""
    return StripeEvent()
