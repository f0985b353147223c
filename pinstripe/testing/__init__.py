"""Tests without a sandbox and without a network: a fake API, models for it, and cassettes.

```python
import asyncio
from pinstripe.identity import VerificationSession
from pinstripe.testing import FakeAPI, refusal, sample

fake = FakeAPI()
verified = sample(VerificationSession, id="vs_1", status="verified")
fake.on("GET", "/v1/identity/verification_sessions/{session}").answer(verified)
fake.on("POST", "/v1/identity/verification_sessions").answer(refusal(402), verified)


async def main() -> None:
    async with fake.client() as stripe:
        session = await stripe.identity.verification_sessions.retrieve("vs_1")
        print(session.status, fake.calls[0].ids)  # verified {'session': 'vs_1'}


asyncio.run(main())
```

A `FakeAPI` is a transport, so everything above the wire is the real client: arguments are checked,
retries and idempotency keys happen, answers become models and errors. A call that no test expects
fails with an `AssertionError` that names what was asked and what was expected.

Tools that intercept HTTP libraries, such as aioresponses, respx, vcrpy and responses, intercept
nothing of this package: a test that mocks with them reaches the real API. In pytest, the fixture
`stripe_no_network` refuses every host but this machine's, and is on for tests that use another
fixture of the plugin.

A `Cassette` records what the API itself answers, and replays it in every later run:

```python
from pathlib import Path
from pinstripe import Client
from pinstripe.testing import Cassette


def cancel_one(stripe: Client) -> str:
    session = stripe.identity.verification_sessions.create(type="document")
    return stripe.identity.verification_sessions.cancel(session.id).status


def test_a_session_can_be_canceled() -> None:
    with Cassette(Path(__file__).parent / "canceled.json") as cassette:
        with cassette.sync_client() as stripe:
            assert cancel_one(stripe) == "canceled"
```

In pytest, the marker `stripe_cassette` does the same for all clients of a test.

For a whole life of objects over many calls, use the sandbox. The guide on testing tells which of
the three to use when.
"""

from pinstripe.testing._cassette import Cassette, Mode
from pinstripe.testing._fake import Answer, Call, Expectation, FakeAPI, delayed, refusal
from pinstripe.testing._samples import sample

# fmt: off
__all__ = [
    "Answer", "Call", "Cassette", "Expectation", "FakeAPI", "Mode", "delayed", "refusal", "sample",
]
