"""Real calls that fail: neither the key nor what was sent comes into sight by their errors."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction, signature
from typing import Any

import distributed  # noqa: F401 -- where it is imported, a pickle holds more
import pytest

from pinstripe import AsyncClient, ConfigurationError, Limits, PinstripeError, RetryPolicy
from pinstripe.bulk import fan_out
from tests.support import faulty, leaks
from tests.support.faulty import Exchange, Faulty, ok

KEY = "sk_test_CANARYkey4eC39HqLyjWDarjt"
ADDRESS = "203.0.113.77"
MARKS = ("CANARY", ADDRESS)
IDS = "vs_1abc"

PERSON: dict[str, Any] = {
    "client_reference_id": "CANARYreference",
    "metadata": {"user": "CANARYmetadata"},
    "provided_details": {"email": "CANARY@mail.example", "phone": "+1555CANARY"},
}
KYC: dict[str, Any] = {
    "email": "CANARY@mail.example",
    "first_name": "CANARYfirst",
    "last_name": "CANARYlast",
    "dob": {"year": 1985, "month": 7, "day": 14},
    "address": {"line1": "CANARYstreet 12", "postal_code": "CANARY94107", "country": "US"},
}
CARD: dict[str, Any] = {
    "body": '{"card": {"number": "CANARY4242"}}',
    "headers": [{"name": "X-Secret", "value": "CANARYheader"}],
}


async def walked(pager: Any) -> None:
    async for _ in pager:
        pass


async def fanned(stripe: AsyncClient) -> None:
    async def create(person: dict[str, Any]) -> Any:
        return await stripe.identity.verification_sessions.create(type="document", **person)

    async for outcome in fan_out(create, [PERSON], concurrency=1):
        outcome.unwrap()


Call = Callable[[AsyncClient], Awaitable[Any]]


async def quoted(stripe: AsyncClient, **query: Any) -> None:
    async for outcome in stripe.crypto.onramp_quotes.retrieve_many([query]):
        outcome.unwrap()


SENT: dict[str, Call] = {
    "create a session": lambda stripe: stripe.identity.verification_sessions.create(
        type="document", return_url="https://a.example/?t=CANARYtoken", **PERSON
    ),
    "update a session": lambda stripe: stripe.identity.verification_sessions.update(
        IDS, metadata={"user": "CANARYmetadata"}
    ),
    "list sessions": lambda stripe: stripe.identity.verification_sessions.list(
        client_reference_id="CANARYreference", related_customer="cus_1"
    ),
    "walk sessions": lambda stripe: walked(
        stripe.identity.verification_sessions.list(client_reference_id="CANARYreference")
    ),
    "create an onramp session": lambda stripe: stripe.crypto.onramp_sessions.create(
        customer_ip_address=ADDRESS,
        kyc_details=KYC,
        wallet_addresses={"ethereum": "0xCANARYwallet"},
        metadata={"user": "CANARYmetadata"},
    ),
    "order": lambda stripe: stripe.climate.orders.create(
        product="climsku_1", amount=100, beneficiary={"public_name": "CANARYname"}
    ),
    "forward a request": lambda stripe: stripe.forwarding.requests.create(
        payment_method="pm_1",
        replacements=["card_number"],
        request=CARD,
        url="https://a.example/CANARYtoken",
    ),
    "create an endpoint": lambda stripe: stripe.webhook_endpoints.create(
        url="https://a.example/CANARYtoken", enabled_events=["*"]
    ),
    "upload a file": lambda stripe: stripe.files.create(
        file=b"content",
        filename="CANARYname.png",
        purpose="dispute_evidence",
        file_link_data={"create": True, "metadata": {"user": "CANARYmetadata"}},
    ),
    "call any endpoint": lambda stripe: stripe.request(
        "POST", "/v1/customers", {"name": "CANARYname", "email": "CANARY@mail.example"}
    ),
    "ask any endpoint": lambda stripe: stripe.request(
        "GET", "/v1/customers", {"email": "CANARY@mail.example"}
    ),
    "fan out": fanned,
    "quotes": lambda stripe: quoted(stripe, destination_currencies=["usdc"]),
}

NEVER: Any = {"user": "CANARYmetadata", "wrong": 5}
REFUSED: dict[str, Call] = {
    "metadata": lambda stripe: stripe.identity.verification_sessions.create(
        type="document", **{**PERSON, "metadata": NEVER}
    ),
    "a float": lambda stripe: stripe.request("POST", "/v1/x", {"name": "CANARYname", "a": 1.5}),
    "a surrogate": lambda stripe: stripe.request("POST", "/v1/x", {"a": "CANARY\ud800"}),
    "a list": lambda stripe: stripe.identity.verification_sessions.list(
        client_reference_id="CANARYreference", limit=1000
    ),
    "an address": lambda stripe: stripe.crypto.onramp_sessions.create(
        customer_ip_address=f"{ADDRESS}.1"
    ),
    "a date": lambda stripe: stripe.crypto.onramp_sessions.create(
        kyc_details={"first_name": "CANARYfirst", "dob": {"year": 1985}}
    ),
    "a wallet": lambda stripe: stripe.crypto.onramp_sessions.create(
        wallet_addresses={"ethereum": "0xCANARY", "solana": 5}
    ),
    "a header": lambda stripe: stripe.forwarding.requests.create(
        payment_method="pm_1",
        replacements=["card_number"],
        request={"headers": [{"name": "X", "value": "CANARY\nheader"}]},
        url="https://a.example",
    ),
    "a name": lambda stripe: stripe.files.create(
        file=b"CANARY", filename="CANARY\ud800", purpose="dispute_evidence"
    ),
    "a type": lambda stripe: stripe.files.create(
        file=b"CANARY", filename="CANARY", content_type="CANARY", purpose="dispute_evidence"
    ),
    "a link": lambda stripe: stripe.files.create(
        file=b"CANARY",
        filename="CANARY",
        purpose="dispute_evidence",
        file_link_data={"create": True, "metadata": {"user": "CANARY\ud800"}},
    ),
    "a file that is not there": lambda stripe: stripe.files.create(
        file="/nowhere/at/all",
        purpose="dispute_evidence",
        file_link_data={"create": True, "metadata": {"user": "CANARY"}},
    ),
    "a query of many": lambda stripe: quoted(stripe, source_amount="CANARY"),
    "an id": lambda stripe: stripe.identity.verification_sessions.update(
        "CANARY/..", metadata={"user": "CANARYmetadata"}
    ),
}


def settings(url: str) -> dict[str, Any]:
    retry, limits = RetryPolicy(max_attempts=2, base=0), Limits(max_response_bytes=2**16)
    return {"base_url": url, "files_url": url, "timeout": 0.25, "retry": retry, "limits": limits}


def behaviours() -> dict[str, Any]:
    """Every behaviour that `faulty` has by name, and some that it makes."""
    found = {
        name: value
        for name, value in vars(faulty).items()
        if iscoroutinefunction(value) and [*signature(value).parameters] == ["exchange"]
    }
    assert len(found) > 15
    made = {
        "a page": faulty.html(),
        "a page of a proxy": faulty.html(502),
        "nothing": ok(b""),
        "null": ok(b"null"),
        "another shape": ok(b'{"id": 5, "object": "list", "data": {}}'),
        "a redirect": faulty.redirect("https://evil.example/v1/x"),
        "a bomb": faulty.gzip_bomb(2**20),
    }
    statuses = (400, 401, 402, 403, 404, 409, 429, 500, 503)
    return {**found, **made, **{str(status): ok(b"{}", status) for status in statuses}}


def said_back(exchange: Exchange) -> str:
    """All that a request carries, as a careless server could repeat it."""
    headers = " ".join(f"{name}={value}" for name, value in exchange.request.headers.items())
    return f"{exchange.request.target} {headers} {exchange.request.body.decode('latin-1')}"


def echo(status: int) -> Any:
    """An answer that repeats the key and the whole request wherever it can."""

    async def behave(exchange: Exchange) -> None:
        said = said_back(exchange)
        facts = dict.fromkeys(("message", "code", "param", "type", "doc_url"), said)
        body = json.dumps({"error": facts, "id": [said], "data": said, "object": said})
        place = f"https://evil.example/v1?{exchange.request.query}"
        whole = ok(body.encode(), status, Location=place, Request_Id="CANARY request")
        await whole(exchange)

    return behave


async def failures(stripe: AsyncClient) -> dict[str, PinstripeError]:
    """The errors of all calls, made at once; a call without a model can succeed."""
    found: dict[str, PinstripeError] = {}

    async def make(name: str, call: Call) -> None:
        try:
            await call(stripe)
        except PinstripeError as error:
            found[name] = error

    await asyncio.gather(*(make(name, call) for name, call in SENT.items()))
    return found


async def against(server: Faulty, **changes: Any) -> dict[str, PinstripeError]:
    server.release.set()
    async with server, AsyncClient(KEY, **{**settings(server.url), **changes}) as stripe:
        return await failures(stripe)


@pytest.fixture
def everything_logged():
    """Every logger of the process at its most talkative, and the warnings."""
    handler, root = leaks.Lines(), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    logging.captureWarnings(capture=True)
    yield handler.lines
    logging.captureWarnings(capture=False)
    root.setLevel(before)
    root.removeHandler(handler)


async def slowly(call: Awaitable[Any]) -> Any:
    """Have asyncio tell of each callback that it runs."""
    asyncio.get_running_loop().slow_callback_duration = 0
    return await call


def look(walk: leaks.Walk, where: str, errors: dict[str, PinstripeError], logs: list[str]) -> None:
    for name, error in errors.items():
        walk.look(f"{where}, {name}", MARKS, leaks.of_error(error))
        walk.look(f"{where}, {name}", MARKS, iter([("vars", repr(vars(error)))]))
    walk.look(where, MARKS, (("logs", line) for line in logs))
    logs.clear()


@pytest.mark.uncounted
def test_no_fault_of_a_server_brings_out_what_was_sent(everything_logged, capsys) -> None:
    walk, found = leaks.Walk(), 0
    for name, behaviour in behaviours().items():
        errors = asyncio.run(against(Faulty(behaviour)))
        found += len(errors)
        look(walk, name, errors, everything_logged)
    for way in ("reset", "close", "speak"):
        errors = asyncio.run(against(Faulty(on_accept=way)))
        found += len(errors)
        look(walk, f"{way} on accept", errors, everything_logged)
    leaks.tell(capsys, f"{found} failed calls, {walk.places} places")
    assert not walk.hits
    assert found > 300


@pytest.mark.uncounted
@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 409, 429, 500])
def test_a_server_that_repeats_the_request_is_not_repeated(status, everything_logged) -> None:
    walk = leaks.Walk()
    errors = asyncio.run(slowly(against(Faulty(echo(status)), timeout=30)), debug=True)
    assert len(errors) > 8
    for name, error in errors.items():
        assert "CANARY" in repr(error.body)  # it was said, and can be read by who asks for it
        walk.look(name, MARKS, leaks.of_error(error))
    walk.look("all", MARKS, (("logs", line) for line in everything_logged))
    assert not walk.hits


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_before_it_is_sent_is_not_shown(name) -> None:
    async def refusal() -> BaseException:
        async with AsyncClient(KEY, **settings("http://127.0.0.1:1")) as stripe:
            try:
                await REFUSED[name](stripe)
            except (ConfigurationError, FileNotFoundError) as error:
                return error
        raise AssertionError("it was not refused")

    walk = leaks.Walk()
    walk.look(name, MARKS, leaks.of_error(asyncio.run(refusal())))
    assert not walk.hits


async def cancelled(call: Call) -> BaseException:
    """Cancel a call whose request has arrived, and return what comes out of it."""
    async with (
        Faulty(faulty.hang) as server,
        AsyncClient(KEY, **{**settings(server.url), "timeout": 30}) as stripe,
    ):

        async def make() -> None:
            await call(stripe)

        task = asyncio.create_task(make())
        arrival = asyncio.create_task(server.arrived.wait())
        await asyncio.wait([task, arrival], return_when=asyncio.FIRST_COMPLETED)
        arrival.cancel()
        task.cancel()
        try:
            await task
        except asyncio.CancelledError as error:
            return error
    raise AssertionError("it was not cancelled")


@pytest.mark.parametrize("name", SENT)
def test_a_cancellation_brings_nothing_with_it(name) -> None:
    walk = leaks.Walk()
    walk.look(name, MARKS, leaks.of_error(asyncio.run(cancelled(SENT[name]))))
    assert not walk.hits


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "https://127.0.0.1:{}"])
def test_no_connection_and_no_tls(address, everything_logged) -> None:
    async def errors() -> dict[str, PinstripeError]:
        async with Faulty(on_accept="speak") as server:
            url = address.format(server.port)
            async with AsyncClient(KEY, **{**settings(url), "timeout": 30}) as stripe:
                return await failures(stripe)

    walk = leaks.Walk()
    found = asyncio.run(slowly(errors()), debug=True)
    assert len(found) == len(SENT)
    look(walk, address, found, everything_logged)
    assert not walk.hits
