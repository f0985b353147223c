"""The official Python SDK as a client: its objects have the values of the sandbox."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pinstripe.sandbox import ManualClock, Server, ServerThread, Settings
from pinstripe.sandbox._server import API_KEY, RESTRICTED_KEY
from tests.sandbox.conftest import NOW

stripe = pytest.importorskip("stripe")


@pytest.fixture
def running() -> Iterator[Server]:
    server = Server(Settings(seed=2, clock=ManualClock(NOW)))
    thread = ServerThread(server)
    thread.start()
    yield server
    thread.stop()


@pytest.fixture
def sdk(running: Server) -> Iterator[Any]:
    http = stripe.RequestsClient(session=_session())
    yield stripe.StripeClient(API_KEY, base_addresses={"api": running.url}, http_client=http)
    http.close()


def _session() -> Any:
    requests = pytest.importorskip("requests")
    session = requests.Session()
    session.trust_env = False
    return session


def test_a_session_goes_through_its_states_with_the_sdk(running: Server, sdk: Any) -> None:
    sessions = sdk.v1.identity.verification_sessions
    session = sessions.create(
        {
            "type": "document",
            "metadata": {"user": "42", "naïve": "été & [x]=+%"[:9]},
            "options": {
                "document": {"allowed_types": ["passport", "id_card"], "require_live_capture": True}
            },
            "provided_details": {"email": "a@b.example"},
        }
    )
    assert session.status == "requires_input"
    assert session.options.document.allowed_types == ["passport", "id_card"]
    assert session.metadata["user"] == "42"
    assert session.last_response.request_id.startswith("req_")
    session = sessions.update(session.id, {"metadata": {"user": "", "desk": "1"}})
    assert "user" not in session.metadata
    running.identity.verify(session.id)
    shown = sessions.retrieve(
        session.id, {"expand": ["verified_outputs", "last_verification_report"]}
    )
    assert shown.verified_outputs.first_name == shown.last_verification_report.document.first_name
    report = sdk.v1.identity.verification_reports.retrieve(shown.last_verification_report.id)
    assert report.verification_session == session.id
    assert sessions.redact(session.id).redaction.status == "processing"
    running.identity.finish_redaction(session.id)
    assert sessions.retrieve(session.id).redaction.status == "redacted"
    canceled = sessions.cancel(sessions.create({"type": "id_number"}).id)
    assert canceled.status == "canceled"


def test_lists_page_by_themselves(running: Server, sdk: Any) -> None:
    running.identity.seed(25, interval=10)
    listed = sdk.v1.identity.verification_sessions.list({"limit": 10})
    assert len(list(listed.auto_paging_iter())) == 25
    start = int(NOW) - 100
    some = sdk.v1.identity.verification_sessions.list({"created": {"gte": start}, "limit": 5})
    assert [session.created for session in some.auto_paging_iter()] == [
        int(NOW) - 10 * age for age in range(11)
    ]
    reports = sdk.v1.identity.verification_reports.list({"type": "document"})
    assert {report.object for report in reports} == {"identity.verification_report"}


def test_events_are_the_sdks_events(running: Server, sdk: Any) -> None:
    session = sdk.v1.identity.verification_sessions.create({"type": "document"})
    running.identity.verify(session.id)
    events = sdk.v1.events.list({"types": ["identity.verification_session.verified"]})
    (event,) = events.data
    assert event.data.object["id"] == session.id
    assert sdk.v1.events.retrieve(event.id).type == "identity.verification_session.verified"


def test_errors_are_the_sdks_errors(sdk: Any) -> None:
    sessions = sdk.v1.identity.verification_sessions
    with pytest.raises(stripe.InvalidRequestError) as caught:
        sessions.retrieve("vs_none")
    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        sessions.create({"type": "document", "nope": 1})
    assert (caught.value.code, caught.value.param) == ("parameter_unknown", "nope")
    session = sessions.create({"type": "document"}, {"idempotency_key": "k"})
    with pytest.raises(stripe.IdempotencyError):
        sessions.create({"type": "id_number"}, {"idempotency_key": "k"})
    with pytest.raises(stripe.AuthenticationError):
        sessions.list(options={"api_key": "sk_test_not ok"})
    with pytest.raises(stripe.PermissionError):
        sessions.retrieve(session.id, {"expand": ["verified_outputs.dob"]})


def test_options_of_a_call_reach_the_sandbox(sdk: Any) -> None:
    sessions = sdk.v1.identity.verification_sessions
    made = sessions.create({"type": "document"}, {"stripe_account": "acct_1"})
    assert list(sessions.list()) == []
    (listed,) = sessions.list(options={"stripe_account": "acct_1", "api_key": RESTRICTED_KEY})
    assert listed.id == made.id
    assert made.last_response.headers["Stripe-Account"] == "acct_1"


def test_preview_resources_go_by_raw_requests(running: Server, sdk: Any) -> None:
    response = sdk.raw_request(
        "post", "/v1/crypto/onramp_sessions", source_amount="5", source_currency="usd"
    )
    session = sdk.deserialize(response, api_mode="V1")
    assert session.transaction_details.source_amount == "5.00"
    quotes = sdk.raw_request("get", "/v1/crypto/onramp/quotes", destination_currencies=["eth"])
    assert len(sdk.deserialize(quotes, api_mode="V1").destination_network_quotes.base_network) == 1


def test_threads_share_the_sandbox(sdk: Any) -> None:
    sessions = sdk.v1.identity.verification_sessions
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.append(sessions.create({"type": "document"}).id))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 8
