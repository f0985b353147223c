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
| `stripe_cassette` | the `Cassette` of the test: every client is recorded or replayed; see below |
| `stripe_cassette_client`, `stripe_cassette_sync_client` | clients of that cassette |
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

**Cassettes.** With the marker `stripe_cassette`, or a fixture of that name, all clients of a test
are recorded when there is no file yet, and else replayed from it, also those that the app under
test makes itself:

```python
import pytest
import pinstripe


@pytest.mark.stripe_cassette
def test_a_session_can_be_canceled(stripe_cassette_sync_client: pinstripe.Client) -> None:
    sessions = stripe_cassette_sync_client.identity.verification_sessions
    session = sessions.create(type="document", metadata={"user": "42"})
    canceled = sessions.cancel(session.id)
    assert (canceled.status, canceled.metadata) == ("canceled", {"user": "42"})
```

The first run needs a key, in `STRIPE_API_KEY`; later runs need none. The file is
`cassettes/<test file>/<test>.json` beside the test file, or `stripe_cassette("a/path.json")` from
there. It is written if the test passes. To record it again, delete it, or pass `mode="record"`
once; `mode="replay"` never records. `pinstripe.testing.Cassette` tells what a replay does.

**No network.** In a test that uses any of these fixtures, a client refuses to send anything to
another machine, so that a forgotten setting cannot reach the real API; only what a cassette records
may. Other tests ask for it with
`@pytest.mark.usefixtures("stripe_no_network")`; `pinstripe.testing` has a fake for them.

**Private values.** If an `assert` compares two models that differ, the report names the fields and
does not print the values of private ones.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest

from pinstripe._models.record import Record
from pinstripe._signed_events import SECRET, SignedEvent, StripeEvent

if TYPE_CHECKING:
    from pinstripe._client import AsyncClient
    from pinstripe.sandbox import Sandbox
    from pinstripe.sync import Client
    from pinstripe.testing import Cassette, Mode

__all__ = [
    "SECRET",
    "SignedEvent",
    "StripeEvent",
    "module_stripe_sandbox",
    "session_stripe_sandbox",
    "shared_stripe_sandbox_options",
    "stripe_cassette",
    "stripe_cassette_client",
    "stripe_cassette_sync_client",
    "stripe_client",
    "stripe_event",
    "stripe_no_network",
    "stripe_sandbox",
    "stripe_sandbox_env",
    "stripe_sandbox_options",
    "stripe_sync_client",
]


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
    (
        *("stripe_sandbox", "stripe_event", "stripe_cassette"),
        *("module_stripe_sandbox", "session_stripe_sandbox"),
    )
)
"""The fixtures that bring `stripe_no_network` along; the others use one of these."""


_PASSED: Final = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    what = "record the Stripe calls of the test to a file, or replay them from it"
    config.addinivalue_line("markers", f'stripe_cassette(path=None, mode="auto"): {what}')


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Add the fixtures that tests use by a marker, or by another fixture of the plugin."""
    for item in items:
        names: list[str] = getattr(item, "fixturenames", [])
        if item.get_closest_marker("stripe_cassette") and "stripe_cassette" not in names:
            names.append("stripe_cassette")
        if _FIXTURES.intersection(names) and "stripe_no_network" not in names:
            names.append("stripe_no_network")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether a test passed."""
    report = yield
    if call.when == "call":
        item.stash[_PASSED] = report.passed
    return report


@pytest.fixture
def stripe_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every client refuse hosts of other machines, before anything is sent."""
    from pinstripe._http.transport import AiohttpTransport  # noqa: PLC0415 -- slow, so only now
    from pinstripe.testing._sending import within_this_machine  # noqa: PLC0415 -- as above

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


@pytest.fixture
def stripe_cassette(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cassette]:
    """Record the calls of all clients of this test, or replay them."""
    from pinstripe._http.transport import AiohttpTransport  # noqa: PLC0415 -- slow, so only now
    from pinstripe.testing._cassette import REPLAY_KEY  # noqa: PLC0415 -- as above
    from pinstripe.testing._sending import through_cassette  # noqa: PLC0415 -- as above

    # First, since it would refuse what is only replayed if it were asked before the cassette.
    request.getfixturevalue("stripe_no_network")
    marker = request.node.get_closest_marker("stripe_cassette") or pytest.mark.stripe_cassette.mark
    cassette = _cassette_of(request.node, *marker.args, **marker.kwargs)
    monkeypatch.setattr(AiohttpTransport, "send", through_cassette(cassette))
    if not cassette.recording and "STRIPE_API_KEY" not in os.environ:
        monkeypatch.setenv("STRIPE_API_KEY", REPLAY_KEY)  # for clients that the app makes
    with suppress(_NotPassedError), cassette:
        yield cassette
        if not request.node.stash.get(_PASSED, False):
            raise _NotPassedError


class _NotPassedError(Exception):
    """A test failed, so nothing is written."""


def _cassette_of(
    test: pytest.Item, path: str | os.PathLike[str] | None = None, mode: Mode = "auto"
) -> Cassette:
    """Return the cassette of a test, by the arguments of its marker."""
    from pinstripe.testing import Cassette  # noqa: PLC0415 -- slow, so only when needed

    folder = test.path.parent
    if path is None:
        name = test.nodeid.partition("::")[2].replace("::", ".")
        path = Path("cassettes", test.path.stem, f"{_file_name(name)}.json")
    return Cassette(folder / path if isinstance(path, (str, os.PathLike)) else path, mode)


def _file_name(test: str) -> str:
    """Return the name of a file for a test; the id of a parameter can hold anything."""
    name = test.rstrip("]").replace("[", "-")
    plain = re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)[:100]
    return plain if plain == name else f"{plain}-{sha256(test.encode()).hexdigest()[:8]}"


@pytest.fixture
def stripe_cassette_client(stripe_cassette: Cassette) -> AsyncClient:
    """Return a client that is recorded or replayed; you need not close it."""
    return stripe_cassette.client()  # as `stripe_client`


@pytest.fixture
def stripe_cassette_sync_client(stripe_cassette: Cassette) -> Iterator[Client]:
    """Return a blocking client that is recorded or replayed."""
    with stripe_cassette.sync_client() as client:
        yield client
