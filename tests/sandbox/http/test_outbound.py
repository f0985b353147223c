"""Where the sandbox sends requests of its own: however an address is written or resolved."""

from __future__ import annotations

import socket
from typing import Any

import aiohttp
import pytest
from yarl import URL

from pinstripe.sandbox import Server, Settings
from pinstripe.sandbox._http.outbound import may_call, may_connect, read_url
from tests.support.destination import listening
from tests.support.sandbox_api import WEBHOOKS, Api

pytestmark = pytest.mark.anyio

# Other ways to write an address: each means another machine to some parser, or hides which one.
ELSEWHERE = [
    "http://93.184.216.34/",
    "http://1572395042/",  # decimal
    "http://0x5db8d822/",  # hexadecimal
    "http://0135.0270.0330.0042/",  # octal
    "http://93.12114978/",  # two parts
    "http://[::ffff:93.184.216.34]/",  # IPv6-mapped
    "http://[::ffff:5db8:d822]/",
    "http://[64:ff9b::5db8:d822]/",
    "http://localhost@93.184.216.34/",  # userinfo
    "http://127.0.0.1:80@93.184.216.34/",
    "http://localhost%40@93.184.216.34/",
    "http://93.184.216.34#@localhost/",
    "http://93.184.216.34?@localhost/",
    "http://localhost.example/",
    "http://127.0.0.1.example/",
    "http://0.0.0.0/",
    "http://[::]/",
    "http://169.254.169.254/",
]
# These are loopback to the resolver of some machines, and names that nobody allowed to the sandbox.
ODD_LOOPBACK = [
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://localhost./",
    "http://①②⑦.0.0.1.example/",
]
LOOPBACK = [
    "http://localhost/",
    "http://LOCALHOST:8080/",
    "http://127.0.0.1/",
    "http://127.8.8.8/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://93.184.216.34@localhost/",  # userinfo
]


@pytest.mark.parametrize("text", [*ELSEWHERE, *ODD_LOOPBACK])
def test_other_machines_are_not_called(text: str) -> None:
    url = read_url(text)
    assert url is None or not may_call(url, ("allowed.example",))


@pytest.mark.parametrize("text", [*LOOPBACK, "https://Allowed.example/"])
def test_loopback_and_allowed_names_are_called(text: str) -> None:
    url = read_url(text)
    assert url is not None
    assert may_call(url, ("allowed.example",))


@pytest.mark.parametrize(
    ("url", "address", "may"),
    [
        ("http://localhost/", "127.0.0.1", True),
        ("http://localhost/", "127.8.8.8", True),
        ("http://localhost/", "::1", True),
        ("http://localhost/", "::ffff:127.0.0.1", True),
        ("http://localhost/", "93.184.216.34", False),
        ("http://localhost/", "::ffff:93.184.216.34", False),
        ("http://localhost/", "10.0.0.1", False),
        ("http://localhost/", "0.0.0.0", False),
        ("https://allowed.example/", "93.184.216.34", True),
        ("https://allowed.example/", "172.18.0.3", True),
        ("https://allowed.example/", "127.0.0.1", True),
        ("https://allowed.example/", "169.254.169.254", False),
        ("https://allowed.example/", "::ffff:169.254.169.254", False),
        ("https://allowed.example/", "fe80::1%1", False),
        ("https://allowed.example/", "0.0.0.0", False),
        ("https://allowed.example/", "224.0.0.1", False),
    ],
)
def test_the_resolved_address_decides(url: str, address: str, may: bool) -> None:
    assert may_connect(URL(url), address) is may


@pytest.mark.parametrize("text", [*ELSEWHERE, *ODD_LOOPBACK])
async def test_no_endpoint_and_no_destination_may_name_them(api: Api, text: str) -> None:
    endpoint = await api("POST", WEBHOOKS, {"url": text, "enabled_events[]": "*"})
    assert (endpoint.status, endpoint.error["code"]) == (400, "url_invalid")
    forwarded = await api("POST", "/v1/forwarding/requests", _request(text))
    assert (forwarded.status, forwarded.error["param"]) == (400, "url")


async def test_names_that_resolve_elsewhere_are_not_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # `localhost` in a hosts file that somebody changed, and an allowed name that was rebound.
    resolved = {"localhost": "198.51.100.7", "allowed.example": "169.254.169.254"}
    real = socket.getaddrinfo

    def resolve(host: Any, *rest: Any, **options: Any) -> Any:
        return real(resolved.get(host, host), *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    server = Server(Settings(allow_hosts=("allowed.example",)))
    await server.start()
    async with aiohttp.ClientSession(server.url) as session:
        api = Api(session)
        for url in ("http://localhost:9/", "https://allowed.example/"):
            await api.ok("POST", WEBHOOKS, {"url": url, "enabled_events[]": "*"})
            reply = await api("POST", "/v1/forwarding/requests", _request(url))
            assert (reply.status, reply.error["param"]) == (400, "url")
            assert "where a sandbox forwards nothing" in reply.error["message"]
        await api.session_of()
    await server.webhooks.flush()
    errors = [each["attempts"][0]["error"] for each in server.webhooks.deliveries()]
    assert errors == ["not_allowed", "not_allowed"]
    await server.stop()


async def test_a_name_that_resolves_to_loopback_is_connected_to(api: Api, server: Server) -> None:
    async with listening() as destination:
        url = destination.url.replace("127.0.0.1", "localhost")
        forwarded = await api.ok("POST", "/v1/forwarding/requests", _request(url))
        await api.ok("POST", WEBHOOKS, {"url": url, "enabled_events[]": "*"})
        await api.session_of()
        await server.webhooks.flush()
    assert forwarded["request_context"]["destination_ip_address"] == "127.0.0.1"
    assert len(destination.got) == 2


def _request(url: str) -> dict[str, str]:
    return {
        "payment_method": "pm_card_visa",
        "replacements[]": "card_number",
        "url": url,
        "request[body]": "{}",
    }
