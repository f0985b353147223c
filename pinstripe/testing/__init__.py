"""Unit tests without a sandbox and without a network: a fake API, and models to answer with.

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

For a whole life of objects over many calls, use the sandbox.
"""

from pinstripe.testing._cassette import Cassette, Mode
from pinstripe.testing._fake import Answer, Call, Expectation, FakeAPI, delayed, refusal
from pinstripe.testing._samples import sample

# fmt: off
__all__ = [
    "Answer", "Call", "Cassette", "Expectation", "FakeAPI", "Mode", "delayed", "refusal", "sample",
]
