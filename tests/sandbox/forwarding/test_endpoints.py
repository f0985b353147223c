"""Forwarding over HTTP: what the destination gets, what is stored, and what can fail."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import attrs
import pytest
from aiohttp import web

from pinstripe import (
    Created,
    IdempotencyError,
    InvalidRequestError,
    NotFoundError,
    RequestOptions,
    RetryPolicy,
)
from pinstripe._signature import verify
from pinstripe.sandbox import ManualClock, Sandbox, Server, Settings
from pinstripe.sandbox._forwarding.endpoints import MAX_ANSWER, SIGNING_SECRET
from tests.sandbox.conftest import NOW
from tests.support.destination import Destination, ReceivedRequest, listening
from tests.support.faulty import Faulty, then_end
from tests.support.sandbox_api import Api

pytestmark = pytest.mark.anyio

PATH = "/v1/forwarding/requests"
CARD = '{"amount":1.10,"card":{"number":"","exp_month":"","exp_year":"","cvc":"","name":""}}'
ALL = ["card_number", "card_expiry", "card_cvc", "cardholder_name"]


@pytest.fixture
async def destination() -> AsyncIterator[Destination]:
    async with listening() as destination:
        yield destination


def form(address: str, /, *, body: str | None = CARD, **changes: str) -> dict[str, str]:
    given = {
        "payment_method": "pm_card_visa",
        **{f"replacements[{index}]": name for index, name in enumerate(ALL)},
        "url": address,
    }
    if body is not None:
        given["request[body]"] = body
    return {**given, **changes}


# What is sent and what is stored


async def test_the_destination_gets_the_card(api: Api, destination: Destination) -> None:
    await api.ok("POST", PATH, form(destination.url))
    (got,) = destination.got
    assert (got.method, got.path) == ("POST", "/charge?x=1")
    assert got.body.decode() == (
        '{"amount":1.10,"card":{"number":"4242424242424242","exp_month":"12","exp_year":"2034",'
        '"cvc":"123","name":"Noor van Dam"}}'
    )
    assert got.all("Content-Type") == ["application/json"]
    names = {name.lower() for name, _ in got.headers}
    assert names == {"host", "content-type", "content-length"} | (names & {"connection"})


async def test_a_request_has_every_field_of_the_api(
    api: Api, clock: ManualClock, destination: Destination
) -> None:
    def answer(got: ReceivedRequest) -> web.Response:
        clock.advance(0.412)
        return web.json_response({"got": json.loads(got.body)}, headers={"X-Number": "4" * 2})

    destination.answer = answer
    request = await api.ok("POST", PATH, form(destination.url, **{"metadata[batch]": "41"}))
    masked = '"number":"424242******4242","exp_month":"12","exp_year":"2034","cvc":"***"'
    masked = f'"card":{{{masked},"name":"Noor van Dam"}}}}'
    response = request["response_details"]
    assert json.loads(response.pop("body")) == {"got": json.loads(f'{{"amount":1.10,{masked}')}
    names = [header["name"] for header in response.pop("headers")]
    assert names[:3] == ["X-Number", "Content-Type", "Content-Length"]
    assert request == {
        "id": request["id"],
        "object": "forwarding.request",
        "created": int(NOW + 0.412),
        "livemode": False,
        "metadata": {"batch": "41"},
        "payment_method": "pm_card_visa",
        "replacements": ALL,
        "request_context": {
            "destination_duration": 412,
            "destination_ip_address": "127.0.0.1",
        },
        "request_details": {
            "body": f'{{"amount":1.10,{masked}',
            "headers": [{"name": "Content-Type", "value": "application/json"}],
            "http_method": "POST",
        },
        "response_details": {"status": 200},
        "url": destination.url,
    }
    assert request["id"].startswith("fwdreq_")
    assert (await api.ok("GET", f"{PATH}/{request['id']}"))["url"] == destination.url


async def test_headers_keep_order_and_repeats_and_credentials_are_masked(
    api: Api, destination: Destination
) -> None:
    pairs = [
        ("X-B", "1, 2"),
        ("Accept", "application/json"),
        ("Authorization", "Bearer s3cret"),
        ("x-b", ""),
        ("Accept", "text/plain"),
        ("Echo", "4242 4242 4242 4242"),
    ]
    headers = {
        f"request[headers][{index}][{part}]": text
        for index, pair in enumerate(pairs)
        for part, text in zip(("name", "value"), pair, strict=True)
    }
    destination.answer = lambda got: web.Response(
        text=f"a={got.all('authorization')[0]} 4242-4242-4242-4242",
        headers=[("Set-Cookie", "s3cret=1"), ("A", "1"), ("A", "4242424242424242")],
    )
    request = await api.ok("POST", PATH, form(destination.url, **headers))
    (got,) = destination.got
    assert got.all("x-b") == ["1, 2", ""]
    assert got.all("accept") == ["application/json", "text/plain"]
    assert got.all("authorization") == ["Bearer s3cret"]
    sent = [(h["name"], h["value"]) for h in request["request_details"]["headers"]]
    assert sent == [
        ("Content-Type", "application/json"),
        ("X-B", "1, 2"),
        ("Accept", "application/json"),
        ("Authorization", "***"),
        ("x-b", ""),
        ("Accept", "text/plain"),
        ("Echo", "424242******4242"),
    ]
    received = [(h["name"], h["value"]) for h in request["response_details"]["headers"]]
    assert received[:3] == [("Set-Cookie", "***"), ("A", "1"), ("A", "424242******4242")]
    assert request["response_details"]["body"] == "a=Bearer s3cret 424242******4242"


async def test_the_callers_content_type_takes_the_place_of_the_services(
    api: Api, destination: Destination
) -> None:
    header = {
        "request[headers][0][name]": "content-type",
        "request[headers][0][value]": "application/vnd.x+json",
    }
    request = await api.ok("POST", PATH, form(destination.url, **header))
    assert destination.got[0].all("content-type") == ["application/vnd.x+json"]
    assert len(request["request_details"]["headers"]) == 1


async def test_xml_is_sent_as_xml(api: Api, destination: Destination) -> None:
    body = "<pay><number/><password>p</password></pay>"
    request = await api.ok("POST", PATH, form(destination.url, body=body))
    (got,) = destination.got
    assert got.body == b"<pay><number>4242424242424242</number><password>p</password></pay>"
    assert got.all("content-type") == ["application/xml"]
    assert request["request_details"]["body"] == (
        "<pay><number>424242******4242</number><password>***</password></pay>"
    )


@pytest.mark.parametrize("body", [None, ""])
async def test_a_request_without_a_body(
    api: Api, destination: Destination, body: str | None
) -> None:
    header = {"request[headers][0][name]": "A", "request[headers][0][value]": "1"}
    request = await api.ok("POST", PATH, form(destination.url, body=body, **header))
    assert destination.got[0].body == b""
    assert destination.got[0].all("content-type") == []
    assert request["request_details"]["body"] == ""


async def test_a_signature_can_be_checked(api: Api, destination: Destination) -> None:
    asked = {"replacements[4]": "request_signature"}
    request = await api.ok("POST", PATH, form(destination.url, **asked))
    (got,) = destination.got
    (header,) = got.all("stripe-signature")
    assert verify(got.body, header, SIGNING_SECRET, now=time.time()) == 0
    assert request["replacements"][-1] == "request_signature"


@pytest.mark.parametrize("status", [204, 302, 404, 429, 500, 503])
async def test_any_status_of_the_destination_is_a_success(
    api: Api, destination: Destination, status: int
) -> None:
    location = {"Location": destination.url}
    destination.answer = lambda _: web.Response(status=status, headers=location)
    request = await api.ok("POST", PATH, form(destination.url))
    assert request["response_details"]["status"] == status
    assert request["response_details"]["body"] == ""
    assert len(destination.got) == 1


async def test_an_answer_need_not_be_text(api: Api, destination: Destination) -> None:
    destination.answer = lambda _: web.Response(body=b"\xff\x00ok")
    request = await api.ok("POST", PATH, form(destination.url))
    assert request["response_details"]["body"] == "\ufffd\x00ok"


async def test_localhost_is_loopback(api: Api, destination: Destination) -> None:
    url = destination.url.replace("127.0.0.1", "localhost")
    request = await api.ok("POST", PATH, form(url))
    assert request["request_context"]["destination_ip_address"] == "127.0.0.1"


# Lists


async def test_lists_filter_by_range_for_thirty_days(
    api: Api, clock: ManualClock, destination: Destination
) -> None:
    ids = []
    for _ in range(3):
        ids.append((await api.ok("POST", PATH, form(destination.url)))["id"])
        clock.advance(10)
    listed = await api.ok("GET", f"{PATH}?limit=2")
    assert [request["id"] for request in listed["data"]] == ids[:0:-1]
    assert listed["has_more"]
    since = f"{PATH}?created[gt]={int(NOW)}"
    assert [request["id"] for request in (await api.ok("GET", since))["data"]] == ids[:0:-1]
    refused = await api("GET", f"{PATH}?created={int(NOW)}")
    assert (refused.status, refused.error["param"]) == (400, "created")
    clock.advance(30 * 86400 - 15)
    assert [r["id"] for r in (await api.ok("GET", PATH))["data"]] == ids[2:]
    gone = await api("GET", f"{PATH}/{ids[0]}")
    assert (gone.status, gone.error["code"]) == (404, "resource_missing")


async def test_accounts_are_apart(api: Api, destination: Destination) -> None:
    await api.ok("POST", PATH, form(destination.url), Stripe_Account="acct_1")
    assert (await api.ok("GET", PATH))["data"] == []
    assert len((await api.ok("GET", PATH, Stripe_Account="acct_1"))["data"]) == 1


# What is refused


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"url": "https://vault.example/"}, "url"),
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": "http://allowed.example/"}, "url"),
        ({"url": "http://127.0.0.1.example/"}, "url"),
        ({"url": "http://user:pw@127.0.0.1/"}, "url"),
        ({"url": "ftp://127.0.0.1/"}, "url"),
        ({"url": "//127.0.0.1/"}, "url"),
        ({"url": "http://[::1"}, "url"),
        ({"url": "nonsense"}, "url"),
        ({"replacements[0]": "card_colour"}, "replacements[0]"),
        ({"request[body]": '{"number":'}, "request[body]"),
        ({"request[headers][0][name]": "A B"}, "request[headers][0][name]"),
        ({"request[headers][0][name]": "Host"}, "request[headers][0][name]"),
        ({"request[headers][0][name]": "content-LENGTH"}, "request[headers][0][name]"),
        ({"request[headers][0][value]": "a\r\nB: 1"}, "request[headers][0][value]"),
    ],
)
async def test_what_does_not_fit_is_refused(
    destination: Destination, changes: dict[str, str], param: str
) -> None:
    server = Server(Settings(allow_hosts=("allowed.example",)))
    await server.start()
    header = {"request[headers][0][name]": "A", "request[headers][0][value]": "1"}
    async with aiohttp.ClientSession(server.url) as session:
        reply = await Api(session)("POST", PATH, form(destination.url, **{**header, **changes}))
    await server.stop()
    assert (reply.status, reply.error["param"]) == (400, param)
    assert reply.error["code"] == "forwarding_api_invalid_parameter"
    assert destination.got == []


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"payment_method": "pm_1"}, "resource_missing", "payment_method"),
        ({"config": "x"}, "parameter_unknown", "config"),
        ({"replacements": ""}, None, None),
        ({"request[method]": "GET"}, "parameter_unknown", "request[method]"),
        (
            {"request[headers][0][name]": "A"},
            "parameter_missing",
            "request[headers][0][value]",
        ),
    ],
)
async def test_parameters_are_checked(
    api: Api, destination: Destination, changes: dict[str, str], code: str | None, param: str | None
) -> None:
    reply = await api("POST", PATH, form(destination.url, **changes))
    assert reply.status == 400
    assert reply.error.get("code") == code
    assert reply.error.get("param", param) == param or param is None
    assert destination.got == []


@pytest.mark.parametrize("name", ["payment_method", "url", "request[body]"])
async def test_what_is_required(api: Api, destination: Destination, name: str) -> None:
    given = {key: value for key, value in form(destination.url).items() if key != name}
    reply = await api("POST", PATH, given)
    assert reply.error["code"] == "parameter_missing"
    assert reply.error["param"] == name.partition("[")[0]


# Destinations that fail


async def error_of(api: Api, url: str, **headers: str) -> tuple[int, str | None]:
    reply = await api("POST", PATH, form(url), **headers)
    assert "4242424242424242" not in json.dumps(reply.body)
    return reply.status, reply.error.get("code")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "connection_error"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "connection_error"),
        (b"nonsense\r\n\r\n", "error"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123", "error"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_ANSWER + 1), "error"),
    ],
    ids=["nothing", "cut headers", "not http", "cut body", "too long"],
)
async def test_destinations_that_give_no_usable_answer(api: Api, data: bytes, code: str) -> None:
    async with Faulty(then_end(data)) as server:
        assert await error_of(api, server.url) == (424, f"forwarding_api_upstream_{code}")
    assert (await api.ok("GET", PATH))["data"] == []


async def test_a_destination_that_is_not_there(api: Api) -> None:
    async with listening() as destination:
        url = destination.url
    assert await error_of(api, url) == (424, "forwarding_api_upstream_connection_error")


async def test_a_destination_that_does_not_speak_tls(api: Api, destination: Destination) -> None:
    url = destination.url.replace("http:", "https:")
    assert await error_of(api, url) == (424, "forwarding_api_upstream_connection_error")


async def test_a_destination_that_is_too_slow(destination: Destination) -> None:
    destination.wait = asyncio.Event().wait
    async with (
        Sandbox(forward_seconds=0.05) as sandbox,
        aiohttp.ClientSession(sandbox.url) as session,
    ):
        code = "forwarding_api_upstream_connection_timeout"
        assert await error_of(Api(session), destination.url) == (424, code)


# Idempotency


async def test_a_replay_does_not_forward_again(api: Api, destination: Destination) -> None:
    first = await api("POST", PATH, form(destination.url), Idempotency_Key="k1")
    again = await api("POST", PATH, form(destination.url), Idempotency_Key="k1")
    assert again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(destination.got) == 1
    other = form(destination.url, body="{}")
    assert (await api("POST", PATH, other, Idempotency_Key="k1")).status == 400
    assert len(destination.got) == 1


async def test_an_error_is_replayed_and_a_new_key_tries_again(
    api: Api, destination: Destination
) -> None:
    async with listening() as gone:
        url = gone.url
    for _ in range(2):
        reply = await api("POST", PATH, form(url), Idempotency_Key="k1")
        assert reply.error["code"] == "forwarding_api_upstream_connection_error"
    assert reply.headers["Idempotent-Replayed"] == "true"
    await api.ok("POST", PATH, form(destination.url), Idempotency_Key="k2")


async def test_a_key_is_in_use_while_the_destination_thinks(
    api: Api, destination: Destination
) -> None:
    arrived, go = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        arrived.set()
        await go.wait()

    destination.wait = wait
    first = asyncio.create_task(api("POST", PATH, form(destination.url), Idempotency_Key="k1"))
    await arrived.wait()
    second = await api("POST", PATH, form(destination.url), Idempotency_Key="k1")
    assert (second.status, second.error["code"]) == (409, "idempotency_key_in_use")
    assert (await api.ok("GET", PATH))["data"] == []
    go.set()
    assert (await first).status == 200
    assert len(destination.got) == 1


async def test_a_server_stops_while_a_destination_thinks(destination: Destination) -> None:
    arrived = asyncio.Event()

    async def wait() -> None:
        arrived.set()
        await asyncio.Event().wait()

    destination.wait = wait
    server = Server()
    await server.start()
    async with aiohttp.ClientSession(server.url) as session:
        call = asyncio.create_task(Api(session)("POST", PATH, form(destination.url)))
        await arrived.wait()
        await server.stop()
        with pytest.raises(aiohttp.ClientError):
            await call


# Other clients


def arguments(url: str) -> dict[str, Any]:
    headers = [{"name": "Accept", "value": "a"}, {"name": "Accept", "value": "b"}]
    return {
        "payment_method": "pm_card_amex",
        "replacements": ["card_number", "card_cvc"],
        "request": {"body": '{"number":"","cvc":""}', "headers": headers},
        "url": url,
    }


async def test_our_client(destination: Destination) -> None:
    async with Sandbox(seed=3) as sandbox, sandbox.client() as stripe:
        destination.answer = lambda _: web.Response(status=503, text="busy")
        options = RequestOptions(idempotency_key="order-1")
        given = arguments(destination.url)
        request = await stripe.forwarding.requests.create(**given, request_options=options)
        assert request.response_details is not None
        assert request.response_details.status == 503
        assert not request.destination_ok
        assert json.loads(destination.got[0].body) == {"number": "378282246310005", "cvc": "7373"}
        assert destination.got[0].all("accept") == ["a", "b"]
        destination.answer = lambda _: web.Response(text="fine")
        again = await stripe.forwarding.requests.create(**given, request_options=options)
        assert again == request
        options = attrs.evolve(options, idempotency_key="order-2")
        done = await stripe.forwarding.requests.create(**given, request_options=options)
        assert done.destination_ok
        assert len(destination.got) == 2
        assert await stripe.forwarding.requests.retrieve(done.id) == done
        window = Created(gte=request.created)
        listed = [r async for r in stripe.forwarding.requests.list(created=window, limit=1)]
        assert listed == [done, request]
        given["url"] = destination.url + "&y=2"
        with pytest.raises(IdempotencyError):
            await stripe.forwarding.requests.create(**given, request_options=options)
        with pytest.raises(NotFoundError):
            await stripe.forwarding.requests.retrieve("fwdreq_none")


async def test_our_client_repeats_no_request_that_found_no_destination() -> None:
    async with listening() as destination:
        url = destination.url
    async with Sandbox() as sandbox, sandbox.client(retry=RetryPolicy()) as stripe:
        with pytest.raises(InvalidRequestError) as caught:
            await stripe.forwarding.requests.create(**arguments(url))
    assert caught.value.code == "forwarding_api_upstream_connection_error"
    assert (caught.value.status, caught.value.attempts) == (424, 1)
    assert caught.value.outcome == "unknown"


async def test_the_official_client(destination: Destination) -> None:
    stripe = pytest.importorskip("stripe")
    requests = pytest.importorskip("requests")
    with requests.Session() as session:
        session.trust_env = False
        async with Sandbox() as sandbox:
            http = stripe.RequestsClient(session=session)
            address = {"api": sandbox.url}
            sdk = stripe.StripeClient(sandbox.api_key, base_addresses=address, http_client=http)
            service = sdk.v1.forwarding.requests
            made = await asyncio.to_thread(service.create, arguments(destination.url))
            assert made.response_details.status == 200
            assert made.request_details.body == '{"number":"378282*****0005","cvc":"***"}'
            names = [header.name for header in made.request_details.headers]
            assert names == ["Content-Type", "Accept", "Accept"]
            assert (await asyncio.to_thread(service.retrieve, made.id)).url == destination.url
            listed = await asyncio.to_thread(service.list, {"created": {"gte": made.created}})
            assert [request.id for request in listed] == [made.id]
            with pytest.raises(stripe.InvalidRequestError) as caught:
                await asyncio.to_thread(service.create, arguments("https://vault.example/"))
            assert caught.value.code == "forwarding_api_invalid_parameter"
            async with sandbox.client() as ours:
                assert (await ours.forwarding.requests.retrieve(made.id)).id == made.id
