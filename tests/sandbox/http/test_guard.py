"""What a page of another site can do: nothing, whatever route it tries."""

from __future__ import annotations

import re
from typing import Any

import aiohttp
import pytest

from pinstripe.sandbox import Refusal, Server, Settings
from pinstripe.sandbox._http.guard import check_host, check_site
from pinstripe.sandbox._http.routes import Route
from pinstripe.sandbox._server import API_KEY, ROUTES
from tests.support.sandbox_api import SESSIONS, Api

pytestmark = pytest.mark.anyio

VISITS = [route for route in ROUTES if route.open and route.method == "GET"]
FROM_ELSEWHERE = [
    {"Origin": "https://shop.example"},
    {"Origin": "http://localhost:3000"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


def id_of(route: Route) -> str:
    return f"{route.method} {route.path}"


def path_of(route: Route) -> str:
    return re.sub(r"\{\w+\}", "1", route.path)


async def sent(server: Server, method: str, path: str, **headers: str) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, server.url + path, headers=headers, allow_redirects=False) as response,
    ):
        assert "WWW-Authenticate" not in response.headers
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert not [name for name in response.headers if name.startswith("Access-Control-")]
        return response.status, await response.read()


@pytest.mark.uncounted
@pytest.mark.parametrize("route", ROUTES, ids=id_of)
async def test_no_route_acts_for_a_page_of_another_site(server: Server, route: Route) -> None:
    for headers in FROM_ELSEWHERE:
        for key in ({}, {"Authorization": f"Bearer {API_KEY}", "Stripe-Account": "acct_1"}):
            status, body = await sent(server, route.method, path_of(route), **headers, **key)
            if route in VISITS and "Origin" not in headers:
                assert b"another site" not in body
            else:
                assert (status, b"another site" in body) == (403, True)
    if route not in VISITS:
        assert server.world.accounts() == []


@pytest.mark.parametrize("headers", FROM_ELSEWHERE, ids=str)
@pytest.mark.parametrize(
    ("method", "path"), [("OPTIONS", SESSIONS), ("HEAD", SESSIONS), ("GET", "/x"), ("PUT", "/")]
)
async def test_what_is_no_route_is_refused_too(
    server: Server, method: str, path: str, headers: dict[str, str]
) -> None:
    assert (await sent(server, method, path, **headers))[0] == 403


async def test_pages_of_the_sandbox_and_programs_may_act(api: Api, server: Server) -> None:
    for headers in (
        {},
        {"Origin": server.url},
        {"Origin": server.url.upper()},
        {"Origin": server.url, "Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
    ):
        assert (await api("POST", SESSIONS, {"type": "document"}, **headers)).status == 200


async def test_a_foreign_host_is_a_403_before_the_key_is_looked_at(api: Api) -> None:
    reply = await api("GET", SESSIONS, Host="rebound.example:80", Authorization="Bearer nonsense")
    assert (reply.status, reply.error["type"]) == (403, "invalid_request_error")
    same = {"Host": "rebound.example:80", "Origin": "http://rebound.example:80"}
    assert (await api("GET", SESSIONS, **same)).status == 403


async def test_an_origin_on_another_port_or_scheme_is_another_site(server: Server) -> None:
    host = server.url.removeprefix("http://")
    for origin in (f"https://{host}", f"http://{host}0", f"http://{host}.example", f"{host}"):
        with pytest.raises(Refusal, match="another site"):
            check_site({"Host": host, "Origin": origin}, visit=True)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:80", "127.0.0.1:12111", "127.8.8.8", "[::1]:1", "[::1]", "Box:80"],
)
def test_takes_loopback_names_and_its_own(host: str) -> None:
    check_host(host, Settings(reachable_as="box").reachable_as)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "example.com",
        "localhost.example.com:80",
        "localhost.",
        "0.0.0.0:80",
        "10.0.0.1",
        "[::2]:80",
        ":80",
        "2130706433",
        "0177.0.0.1",
        "127.1",
        "[::ffff:10.0.0.1]",
        "box.example",
    ],
)
def test_refuses_other_names(host: str) -> None:
    with pytest.raises(Refusal) as caught:
        check_host(host, ("box",))
    assert caught.value.status == 403
