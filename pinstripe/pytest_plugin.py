"""The pytest plugin: a sandbox, clients for it, and signed events, as fixtures.

pytest loads it wherever Pinstripe is installed. The fixtures work with whatever runs your async
tests: anyio, pytest-asyncio or `asyncio.run`.

```python
import pytest
from pinstripe import AsyncClient, SignatureError
from pinstripe.pytest_plugin import StripeEvent
from pinstripe.sandbox import Sandbox
from pinstripe.webhooks import Webhook


async def test_a_verified_person_may_enter(
    stripe_sandbox: Sandbox, stripe_client: AsyncClient
) -> None:
    session = await stripe_client.identity.verification_sessions.create(type="document")
    stripe_sandbox.identity.verify(session.id)
    session = await stripe_client.identity.verification_sessions.retrieve(session.id)
    assert session.status == "verified"


def test_only_what_stripe_signed_is_accepted(stripe_event: StripeEvent) -> None:
    webhook = Webhook(stripe_event.secret)
    event = stripe_event("identity.verification_session.verified", metadata={"user": "42"})
    assert webhook.parse(event.body, event.signature).id == event.id
    forged = stripe_event("identity.verification_session.verified", secret="whsec_not_yours")
    with pytest.raises(SignatureError):
        webhook.parse(forged.body, forged.signature)
```

| fixture | value |
|---|---|
| `stripe_sandbox` | a running `Sandbox`, new for each test, in a thread of its own |
| `stripe_sandbox_options` | the arguments of that sandbox; override it for a seed or a clock |
| `stripe_client` | an `AsyncClient` for that sandbox; you need not close it |
| `stripe_sync_client` | a blocking `Client` for that sandbox, closed after the test |
| `stripe_event` | builds signed events, as a webhook receives them |

**Your own settings.** Override `stripe_sandbox_options` in a `conftest.py`:

```python
from typing import Any
import pytest
from pinstripe.sandbox import ManualClock


@pytest.fixture
def stripe_sandbox_options() -> dict[str, Any]:
    return {"seed": 7, "clock": ManualClock(1_790_000_000)}
```

**Events.** `stripe_event(type, **fields)` builds an event of any type. Give the code under test the
secret `stripe_event.secret`.

**Deliveries.** The sandbox delivers events over HTTP to the endpoints on this machine that a test
creates with `stripe_client.webhook_endpoints.create(url=...)`. `await
stripe_sandbox.webhooks.flush()` returns when no delivery is under way.

**Private values.** If an `assert` compares two models that differ, the report names the fields and
does not print the values of private ones.
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


@frozen(kw_only=True)
class SignedEvent:
    """An event as a webhook receives it.

    Attributes:
        event: The event, as plain data.
        body: The body of the request.
        signature: The `Stripe-Signature` header.
        secret: The secret that signed it.
    """

    event: dict[str, Any] = field(repr=lambda event: f"<{event['type']} {event['id']}>")
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
    """Builds signed events; the value of the fixture `stripe_event`.

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
        """Return a new signed event; each has an id of its own.

        Args:
            type: The type of the event. An event of one of Pinstripe's resources has a sample as
                its object. Any other has an object with only an `id` and an `object`, which is the
                type without its last part.
            object: The object of the event, in place of the sample: a model, or plain data such as
                the drivers of the sandbox return.
            previous_attributes: The values that an update replaced.
            event: Fields of the event itself, such as `{"account": "acct_1"}`.
            secret: The secret to sign with. The code under test must refuse an event that is
                signed with a secret it does not know.
            timestamp: When the event is signed, in seconds since the Unix epoch; now by default.
                Give an early one for a delivery that is too old.
            fields: Fields of the object, in place of those of the sample.

        Raises:
            ConfigurationError: An argument is wrong.
        """
        if not isinstance(type, str) or not type.rpartition(".")[0]:
            raise ConfigurationError("type", "must be the type of an event, such as file.created")
        now = int(time.time()) if timestamp is None else timestamp
        # The object comes from the caller, or from the samples, or is as small as an object can be.
        if object is not None:
            about = Sample(dict(object) if isinstance(object, Mapping) else to_dict(object))
        else:
            plain = {"id": f"obj_{_random_id()}", "object": type.rpartition(".")[0]}
            about = sample(type, now, _random_id()) or Sample(plain)
        replaced = about.previous_attributes if previous_attributes is None else previous_attributes
        data: dict[str, Any] = {"object": {**about.object, **fields}}
        if replaced is not None:
            data["previous_attributes"] = dict(replaced)
        # https://docs.stripe.com/api/events/object
        whole = {
            "id": f"evt_{_random_id()}",
            "object": "event",
            "api_version": DEFAULT_API_VERSION,
            "created": now,
            "data": data,
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": type,
            **(event or {}),
        }
        # Stripe sends its events indented, so code that parses and writes them again fails here.
        body = json.dumps(whole, indent=2, ensure_ascii=False).encode()
        key = self.secret if secret is None else secret
        return SignedEvent(event=whole, body=body, signature=sign(body, key, now), secret=key)


def _random_id() -> str:
    return uuid.uuid4().hex[:24]


# First, since the hook of pytest itself would print every value.
@pytest.hookimpl(tryfirst=True)
def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Say in which fields two models differ, without the values of private ones."""
    if op != "==" or not isinstance(left, Record) or type(left) is not type(right):
        return None
    lines = [f"{left!r} == {right!r}"]
    for attribute in attrs.fields(type(left)):
        values = getattr(left, attribute.name), getattr(right, attribute.name)
        if values[0] != values[1]:
            shown = "{!r} != {!r}".format(*values) if attribute.repr else "differs (private)"
            lines.append(f"{attribute.name}: {shown}")
    return lines


@pytest.fixture
def stripe_sandbox_options() -> dict[str, Any]:
    """Return the arguments of `stripe_sandbox`: none, unless this fixture is overridden."""
    return {}


@pytest.fixture
def stripe_sandbox(stripe_sandbox_options: dict[str, Any]) -> Iterator[Sandbox]:
    """Run a sandbox, a new one for each test."""
    from pinstripe.sandbox import Sandbox  # noqa: PLC0415 -- slow, so only when needed

    with Sandbox(**stripe_sandbox_options) as sandbox:
        yield sandbox


@pytest.fixture
def stripe_client(stripe_sandbox: Sandbox) -> AsyncClient:
    """Return a client for the sandbox of this test; you need not close it."""
    # A client is made without an event loop and closes with the loop that it was used in. So this
    # fixture needs neither a loop nor a plugin for async tests.
    return stripe_sandbox.client()


@pytest.fixture
def stripe_sync_client(stripe_sandbox: Sandbox) -> Iterator[Client]:
    """Return a blocking client for the sandbox of this test."""
    with stripe_sandbox.sync_client() as client:
        yield client


@pytest.fixture
def stripe_event() -> StripeEvent:
    """Return a builder of signed events: `stripe_event("climate.order.created")`."""
    return StripeEvent()
