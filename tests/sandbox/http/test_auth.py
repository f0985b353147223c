"""Keys and headers: which requests are accepted, and the errors of the others."""

from __future__ import annotations

import base64

import aiohttp
import pytest

from pinstripe.sandbox import Refusal, Sandbox, Server, Settings
from pinstripe.sandbox.__main__ import main
from pinstripe.sandbox._http.auth import check_key
from pinstripe.sandbox._server import API_KEY
from tests.support.sandbox_api import SESSIONS, Api

pytestmark = pytest.mark.anyio


def basic(user: str, password: str = "") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("header", "restricted"),
    [
        (f"Bearer {API_KEY}", False),
        (f"bearer  {API_KEY} ", False),
        ("Bearer rk_test_1", True),
        (basic("sk_test_abc"), False),
        (basic("rk_test_abc"), True),
    ],
)
def test_takes_test_keys(header: str, restricted: bool) -> None:
    assert check_key(header) is restricted


@pytest.mark.parametrize(
    ("header", "said", "code"),
    [
        ("", "did not provide", None),
        ("Bearer ", "did not provide", None),
        ("Digest abc", "did not provide", None),
        ("Bearer sk_live_1234567890", "never takes a live key", None),
        ("Bearer rk_live_1234567890", "never takes a live key", None),
        (basic("sk_live_1234567890"), "never takes a live key", None),
        ("Bearer pk_test_1234567890", "secret key", "secret_key_required"),
        ("Bearer sk_test_", "Invalid API key", None),
        ("Bearer sk_test_a b", "Invalid API key", None),
        ("Bearer whatever", "Invalid API key", None),
        ("Basic ???", "base64", None),
        ("Basic " + base64.b64encode(b"\xff:").decode(), "base64", None),
    ],
)
async def test_answers_401_to_other_keys(
    api: Api, header: str, said: str, code: str | None
) -> None:
    reply = await api("GET", SESSIONS, Authorization=header)
    assert (reply.status, reply.error["type"]) == (401, "invalid_request_error")
    assert said in reply.error["message"]
    assert reply.error.get("code") == code
    assert "1234567890" not in str(reply)


async def test_a_header_that_is_missing_is_a_401(server: Server) -> None:
    async with aiohttp.ClientSession() as http, http.get(server.url + SESSIONS) as response:
        assert response.status == 401
        assert response.headers["Request-Id"].startswith("req_")


async def test_repeats_headers_in_answers_and_errors(api: Api) -> None:
    sent = {
        "Stripe_Version": "2025-06-30.basil",
        "Stripe_Account": "acct_1",
        "Idempotency_Key": "k1",
    }
    for path in (SESSIONS, "/v1/nothing"):
        reply = await api("POST", path, {"type": "document"}, **sent)
        assert reply.headers["Stripe-Version"] == "2025-06-30.basil"
        assert reply.headers["Stripe-Account"] == "acct_1"
        assert reply.headers["Idempotency-Key"] == "k1"
        assert reply.headers["Request-Id"].startswith("req_")
    plain = await api("GET", SESSIONS)
    assert plain.headers["Stripe-Version"] == "2026-10-28.endive"
    assert not {"Stripe-Account", "Idempotency-Key"} & plain.headers.keys()


@pytest.mark.parametrize(
    "version",
    [
        "2026-10-28.endive",
        "2019-05-16",
        "2026-10-14.preview",
        "2026-10-28.endive;crypto_onramp_beta=v2",
    ],
)
async def test_takes_versions(api: Api, version: str) -> None:
    assert (await api("GET", SESSIONS, Stripe_Version=version)).headers["Stripe-Version"] == version


@pytest.mark.parametrize(
    "headers",
    [
        {"Stripe_Version": "latest"},
        {"Stripe_Version": "2026-08-26.clover"},  # this date has another name
        {"Stripe_Version": "2026-10-27.endive"},
        {"Stripe_Version": "2020-02-30"},
        {"Stripe_Version": "2026-13-01.preview"},
        {"Stripe_Version": "2026-10-28.endive;v2"},
        {"Stripe_Version": ""},
        {"Stripe_Account": "someone"},
        {"Stripe_Account": ""},
        {"Stripe_Context": "acct_1/someone"},
    ],
)
async def test_refuses_malformed_headers(api: Api, headers: dict[str, str]) -> None:
    reply = await api("GET", SESSIONS, **headers)
    assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")
    assert reply.headers["Stripe-Version"] == "2026-10-28.endive"


async def test_an_unknown_version_is_named_unless_it_could_break_the_message(api: Api) -> None:
    reply = await api("GET", SESSIONS, Stripe_Version="2026-08-26.clover")
    named = "Invalid Stripe API version: 2026-08-26.clover. The newest is 2026-10-28.endive."
    assert reply.error["message"] == named
    reply = await api("GET", SESSIONS, Stripe_Version="2026-08-26\u00e9")
    assert reply.error["message"].startswith("Invalid Stripe API version. ")


@pytest.mark.parametrize(
    "authorization",
    ["Bearer sk_test_abcdefghijkl", "Basic " + base64.b64encode(b"sk_test_abcdefghijkl:").decode()],
)
async def test_only_the_given_accounts_exist(authorization: str) -> None:
    async with (
        Sandbox(accounts=["acct_1", "acct_2"]) as sandbox,
        aiohttp.ClientSession(sandbox.url) as session,
    ):
        api = Api(session)
        for known in ({}, {"Stripe_Account": "acct_1"}, {"Stripe_Context": "acct_1/acct_2"}):
            await api.ok("GET", SESSIONS, **known)
        for header in ({"Stripe_Account": "acct_3"}, {"Stripe_Context": "acct_1/acct_3"}):
            reply = await api("GET", SESSIONS, **header, Authorization=authorization)
            assert (reply.status, reply.error["code"]) == (403, "account_invalid")
            assert "param" not in reply.error
            text = "The key sk_test_********ijkl has no access to the account acct_3"
            assert reply.error["message"] == f"{text}, or there is no such account."
        # Nor do the control routes of the sandbox make one.
        assert (await api("GET", "/_sandbox/clock", Stripe_Account="acct_3")).status == 403


def test_an_account_of_a_sandbox_has_the_id_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    for ids in ("someone", ["acct_1", "acct_"]):
        with pytest.raises(
            ValueError, match=r"ids of accounts \(acct_\.\.\.\), got '(someone|acct_)'"
        ):
            Sandbox(accounts=ids)
    assert Settings(accounts="acct_1").accounts == ("acct_1",)
    assert main(["--account", "acct_1", "--account", "someone"]) == 2
    assert "got 'someone'" in capsys.readouterr().err


async def test_accounts_are_separate(api: Api, server: Server) -> None:
    made = await api.ok("POST", SESSIONS, {"type": "document"}, Stripe_Account="acct_1")
    assert (await api.ok("GET", SESSIONS))["data"] == []
    assert (await api("GET", f"{SESSIONS}/{made['id']}")).status == 404
    for header in ({"Stripe_Account": "acct_1"}, {"Stripe_Context": "acct_9/acct_1"}):
        listed = await api.ok("GET", SESSIONS, **header)
        assert [session["id"] for session in listed["data"]] == [made["id"]]
    events = await api.ok("GET", "/v1/events", Stripe_Account="acct_1")
    assert [event["account"] for event in events["data"]] == ["acct_1"]
    with pytest.raises(Refusal):
        server.identity.submit(made["id"])


async def test_accounts_are_bounded(server: Server) -> None:
    for number in range(1000):
        server.world.account(f"acct_{number}")
    with pytest.raises(Refusal) as caught:
        server.world.account("acct_more")
    assert caught.value.status == 403
