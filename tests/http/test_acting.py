"""Accounts and contexts: what is checked, which header is sent, and whose limits count."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinstripe import AsyncClient, ConfigurationError, Hooks, Request, RequestOptions, Response
from pinstripe._http.pipeline import queue_key
from pinstripe.sandbox import Sandbox
from pinstripe.testing import FakeAPI

pytestmark = pytest.mark.anyio

NAMES = ("Stripe-Account", "Stripe-Context")


class Kept:
    """A transport that keeps what it is to send."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def send(self, request: Request) -> Response:
        self.requests.append(request)
        return Response(status=200, headers={}, body=b"{}")

    async def aclose(self) -> None:
        pass


def makers() -> list[Any]:
    client = AsyncClient("sk_test_1", transport=Kept())
    return [
        lambda **given: AsyncClient("sk_test_1", **given),
        client.with_options,
        RequestOptions,
    ]


BAD = ["", "acct_", "cus_1", "acct_1/", "/acct_1", "acct_1//acct_2", "acct_1 /acct_2", "acct_é"]
BAD += ["acct_1\n", "acct_1/../acct_2", "acct_" + "a" * 255]


@pytest.mark.parametrize("make", makers(), ids=["client", "with_options", "request_options"])
@pytest.mark.parametrize("context", BAD)
def test_what_is_no_path_of_accounts_is_refused_by_its_name(make, context) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make(context=context)
    assert caught.value.argument == "context"


@pytest.mark.parametrize("make", makers(), ids=["client", "with_options", "request_options"])
def test_an_account_and_a_context_exclude_each_other(make) -> None:
    with pytest.raises(ConfigurationError, match="together with account") as caught:
        make(account="acct_1", context="acct_1")
    assert caught.value.argument == "context"


ACTS_FOR = st.sampled_from(
    [{}, {"account": "acct_A"}, {"context": "acct_B"}, {"context": "acct_C/acct_D"}]
)


@given(ACTS_FOR, ACTS_FOR, ACTS_FOR)
async def test_what_is_nearest_to_the_call_is_the_one_that_is_sent(client, sibling, call) -> None:
    kept = Kept()
    stripe = AsyncClient("sk_test_1", transport=kept, **client).with_options(**sibling)
    options = RequestOptions(**call) if call else None
    await stripe.request("GET", "/v1/things", request_options=options)
    wanted = call or sibling or client
    sent = {name: kept.requests[0].headers.get(name) for name in NAMES}
    assert sent == {
        "Stripe-Account": wanted.get("account"),
        "Stripe-Context": wanted.get("context"),
    }


async def test_the_key_of_an_organization_needs_a_context() -> None:
    kept = Kept()
    stripe = AsyncClient("sk_org_1", transport=kept)
    with pytest.raises(ConfigurationError, match="key of an organization") as caught:
        await stripe.request("GET", "/v1/things")
    assert caught.value.argument == "context"
    assert kept.requests == []
    options = RequestOptions(context="acct_1")
    await stripe.request("GET", "/v1/things", request_options=options)
    await stripe.with_options(context="acct_1").request("GET", "/v1/things")
    with pytest.raises(ConfigurationError):
        await stripe.request("GET", "/v1/things", request_options=RequestOptions(account="acct_1"))
    assert len(kept.requests) == 2


def test_the_limits_are_those_of_the_account_that_a_call_runs_on() -> None:
    def lane(**headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = Request(method="GET", path="/v1/a", template="/v1/a", headers=named)
        key = queue_key(request)
        assert key is not None
        return key[0]

    assert lane() is None
    assert lane(Stripe_Account="acct_C") == "acct_C"
    assert lane(Stripe_Context="acct_C") == lane(Stripe_Context="acct_P/acct_C") == "acct_C"


async def test_hooks_and_fakes_see_the_context() -> None:
    begun: list[Any] = []
    fake = FakeAPI()
    fake.on("GET", "/v1/climate/orders/{order}").answer({})
    stripe = fake.client(context="acct_P", hooks=Hooks(on_call=begun.append))
    for options in (
        None,
        RequestOptions(context="acct_P/acct_C"),
        RequestOptions(account="acct_A"),
    ):
        await stripe.request(
            "GET", "/v1/climate/orders/{order}", ids={"order": "o_1"}, request_options=options
        )
    wanted = [(None, "acct_P"), (None, "acct_P/acct_C"), ("acct_A", None)]
    assert [(info.account, info.context) for info in begun] == wanted
    assert [(call.account, call.context) for call in fake.calls] == wanted


async def test_a_context_reaches_the_account_at_its_end() -> None:
    async with Sandbox() as sandbox, sandbox.client(context="acct_P/acct_C") as stripe:
        made = await stripe.identity.verification_sessions.create(type="document")
        for same in ({"context": "acct_C"}, {"account": "acct_C"}):
            sessions = stripe.with_options(**same).identity.verification_sessions
            assert (await sessions.retrieve(made.id)).id == made.id
        other = stripe.with_options(context="acct_P").identity.verification_sessions
        assert len(await other.list()) == 0
