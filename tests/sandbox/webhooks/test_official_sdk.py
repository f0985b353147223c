"""The official Python SDK on every endpoint of webhook endpoints: its objects agree with ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pinstripe import to_dict
from pinstripe.sandbox import ManualClock, Sandbox
from tests.sandbox.conftest import NOW

stripe = pytest.importorskip("stripe")
requests = pytest.importorskip("requests")

pytestmark = pytest.mark.anyio

URL = "https://hooks.example/stripe"


def sandbox_options() -> dict[str, Any]:
    return {"seed": 4, "clock": ManualClock(NOW)}


@pytest.fixture
async def ours(sandbox: Sandbox) -> Any:
    async with sandbox.client() as client:
        yield client.webhook_endpoints


@pytest.fixture
def theirs(sandbox: Sandbox) -> Iterator[Any]:
    session = requests.Session()
    session.trust_env = False
    http = stripe.RequestsClient(session=session)
    client = stripe.StripeClient(
        sandbox.api_key, base_addresses={"api": sandbox.url}, http_client=http
    )
    yield client.v1.webhook_endpoints
    http.close()


def plain(value: Any) -> Any:
    """Return an object of the SDK as JSON data."""
    return json.loads(json.dumps(value.to_dict()))


def shown(value: Any) -> Any:
    """Return an object of ours as JSON data, without a secret that is null."""
    data = to_dict(value)
    return {name: data[name] for name in data if name != "secret" or data[name] is not None}


async def test_every_endpoint_agrees(ours: Any, theirs: Any) -> None:
    given: dict[str, Any] = {
        "url": URL,
        "enabled_events": ["*", "identity.verification_session.redacted"],
        "api_version": "2026-10-28.endive",
        "connect": True,
        "description": "naïve & [x]=+%",
        "metadata": {"team": "red", "é": "ü"},
    }
    made = theirs.create(given)
    assert made.secret.startswith("whsec_")
    mine = await ours.create(**given)
    assert mine.secret.startswith("whsec_")
    kept = {"id", "secret"}
    assert {k: v for k, v in shown(mine).items() if k not in kept} == {
        k: v for k, v in plain(made).items() if k not in kept
    }
    retrieved = theirs.retrieve(mine.id)
    assert "secret" not in retrieved
    assert shown(await ours.retrieve(mine.id)) == plain(retrieved)
    change: dict[str, Any] = {
        "disabled": True,
        "description": "",
        "enabled_events": ["climate.order.canceled"],
        "metadata": {"team": ""},
    }
    changed = theirs.update(made.id, change)
    assert (changed.status, changed.description) == ("disabled", None)
    assert plain(changed.metadata) == {"é": "ü"}
    assert shown(await ours.update(made.id, **change)) == plain(changed)
    listed = [endpoint async for endpoint in ours.list(limit=1)]
    theirs_listed = list(theirs.list({"limit": 1}).auto_paging_iter())
    assert [shown(endpoint) for endpoint in listed] == [plain(each) for each in theirs_listed]
    gone = theirs.delete(made.id)
    assert gone.deleted is True
    assert {**plain(gone), "id": ""} == {**to_dict(await ours.delete(mine.id)), "id": ""}
    with pytest.raises(stripe.InvalidRequestError) as caught:
        theirs.retrieve(made.id)
    assert caught.value.code == "resource_missing"
