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
| `stripe_sandbox_env` | points the app under test at that sandbox by its environment |
| `stripe_client` | an `AsyncClient` for that sandbox; you need not close it |
| `stripe_sync_client` | a blocking `Client` for that sandbox, closed after the test |
| `stripe_event` | builds signed events, as a webhook receives them |
| `stripe_no_network` | nothing: clients refuse every host but this machine's; see below |
| `module_stripe_sandbox`, `session_stripe_sandbox` | a `Sandbox` for a module or for all tests |
| `shared_stripe_sandbox_options` | the arguments of these two |

**Your own settings.** Override `stripe_sandbox_options` in a `conftest.py`:

```python
from typing import Any
import pytest
from pinstripe.sandbox import ManualClock


@pytest.fixture
def stripe_sandbox_options() -> dict[str, Any]:
    return {"seed": 7, "clock": ManualClock(1_790_000_000)}
```

**The app under test.** While a test has `stripe_sandbox_env`, the variables `STRIPE_API_KEY` and
`PINSTRIPE_BASE_URL` are those of its sandbox, so that `AsyncClient()` and `Client()` of the app
use it. Its value is a `dict` of them, for another process.

**One sandbox for many tests.** A `Sandbox` starts in milliseconds, so a new one for each test is
the best choice. Where the app under test keeps running, `module_stripe_sandbox` or
`session_stripe_sandbox` keeps running too: `reset()` forgets everything between two tests. Tests
that run at the same time take an account each, which is a world of its own:

```python
from uuid import uuid4
from pinstripe.sandbox import Sandbox


def test_an_account_is_a_world(session_stripe_sandbox: Sandbox) -> None:
    with session_stripe_sandbox.sync_client(account=f"acct_{uuid4().hex}") as stripe:
        stripe.identity.verification_sessions.create(type="document")
        assert len(list(stripe.identity.verification_sessions.list())) == 1
```

**Events.** `stripe_event(type, **fields)` builds an event, and refuses a type or a field that it
does not know. Give the code under test the secret `stripe_event.secret`.

**Deliveries.** The sandbox delivers events over HTTP to the endpoints on this machine that a test
creates with `stripe_client.webhook_endpoints.create(url=...)`. `await
stripe_sandbox.webhooks.flush()` returns when no delivery is under way. A `Webhook` with the secret
of the endpoint accepts them, also if the clock of the sandbox is a `ManualClock`.

**No network.** In a test that uses any of these fixtures, a client refuses to send anything to
another machine, so that a forgotten setting cannot reach the real API. Other tests ask for it with
`@pytest.mark.usefixtures("stripe_no_network")`; `pinstripe.testing` has a fake for them.

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
from pinstripe._core.checks import check_field_names
from pinstripe._core.errors import ConfigurationError
from pinstripe._event_samples import SAMPLED, Sample, sample
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
    "module_stripe_sandbox",
    "session_stripe_sandbox",
    "shared_stripe_sandbox_options",
    "stripe_client",
    "stripe_event",
    "stripe_no_network",
    "stripe_sandbox",
    "stripe_sandbox_env",
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
                its object; any other needs an `object`.
            object: The object of the event, in place of the sample: a model, or plain data such as
                the drivers of the sandbox return.
            previous_attributes: The values that an update replaced.
            event: Fields of the event itself, such as `{"account": "acct_1"}`.
            secret: The secret to sign with. The code under test must refuse an event that is
                signed with a secret it does not know.
            timestamp: When the event is signed, in seconds since the Unix epoch; now by default.
                Give an early one for a delivery that is too old.
            fields: Fields of the object, in place of those of the sample or of `object`.

        Raises:
            ConfigurationError: An argument is wrong, such as an unknown type or field.
        """
        if not isinstance(type, str) or not type.rpartition(".")[0]:
            raise ConfigurationError("type", "must be the type of an event, such as file.created")
        now = int(time.time()) if timestamp is None else timestamp
        about = _object_of(type, object, now)
        _check_fields(about.object, fields)
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


def _object_of(type: str, given: Mapping[str, Any] | Model | None, now: int) -> Sample:
    """Return the object of an event: the one that is given, or the sample of the type."""
    if given is not None:
        return Sample(dict(given) if isinstance(given, Mapping) else to_dict(given))
    found = sample(type, now, _random_id())
    if found is None:
        known = ", ".join(sorted(SAMPLED))
        problem = (
            f"is not a type with a sample; give its object with object=, or use one of {known}"
        )
        raise ConfigurationError("type", f"{problem}; got {type!r}")
    return found


def _check_fields(object: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
    """Refuse fields that the object cannot have: a misspelled one would change nothing."""
    from pinstripe.events import _MODELS  # noqa: PLC0415 -- slow, so only when needed

    model = _MODELS.get(object.get("object", ""))
    # Of an object that Pinstripe does not know, nobody can say which fields it has.
    if model is None:
        return
    known = {attribute.name for attribute in attrs.fields(model)}
    check_field_names(fields, known, object["object"])


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


_FIXTURES: Final = frozenset(
    ("stripe_sandbox", "stripe_event", "module_stripe_sandbox", "session_stripe_sandbox")
)
"""The fixtures that bring `stripe_no_network` along; the others use one of these."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each test that uses a fixture of the plugin use `stripe_no_network` too."""
    for item in items:
        names: list[str] = getattr(item, "fixturenames", [])
        if _FIXTURES.intersection(names) and "stripe_no_network" not in names:
            names.append("stripe_no_network")


@pytest.fixture
def stripe_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every client refuse hosts of other machines, before anything is sent."""
    from pinstripe._http.transport import AiohttpTransport  # noqa: PLC0415 -- slow, so only now
    from pinstripe.testing._no_network import within_this_machine  # noqa: PLC0415 -- as above

    monkeypatch.setattr(AiohttpTransport, "send", within_this_machine(AiohttpTransport.send))


@pytest.fixture
def stripe_sandbox_options() -> dict[str, Any]:
    """Return the arguments of `stripe_sandbox`: none, unless this fixture is overridden."""
    return {}


@pytest.fixture
def stripe_sandbox(stripe_sandbox_options: dict[str, Any]) -> Iterator[Sandbox]:
    """Run a sandbox, a new one for each test."""
    yield from _running(stripe_sandbox_options)


@pytest.fixture(scope="session")
def shared_stripe_sandbox_options() -> dict[str, Any]:
    """Return the arguments of `module_stripe_sandbox` and `session_stripe_sandbox`."""
    return {}


@pytest.fixture(scope="module")
def module_stripe_sandbox(shared_stripe_sandbox_options: dict[str, Any]) -> Iterator[Sandbox]:
    """Run a sandbox, one for each module."""
    yield from _running(shared_stripe_sandbox_options)


@pytest.fixture(scope="session")
def session_stripe_sandbox(shared_stripe_sandbox_options: dict[str, Any]) -> Iterator[Sandbox]:
    """Run a sandbox, one for all tests of this process."""
    yield from _running(shared_stripe_sandbox_options)


def _running(options: dict[str, Any]) -> Iterator[Sandbox]:
    from pinstripe.sandbox import Sandbox  # noqa: PLC0415 -- slow, so only when needed

    with Sandbox(**options) as sandbox:
        yield sandbox


@pytest.fixture
def stripe_sandbox_env(stripe_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Point the app under test at the sandbox of this test, by the environment."""
    variables = stripe_sandbox.environment
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


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
