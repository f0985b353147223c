"""Throughput: calls against one server, 32 in flight."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import aiohttp
import httpx
import orjson
import stripe

from benchmarks.measure import KEY, compare_async, table
from benchmarks.server import QUOTES, SESSIONS, fixed_answers
from pinstripe import AsyncClient

IN_FLIGHT = 32
CALLS = 320
_BASE = "aiohttp + json.loads"


def _fan_out(call: Callable[[], Awaitable[object]]) -> Callable[[int], Awaitable[object]]:
    async def worker(calls: int) -> None:
        for _ in range(calls):
            await call()

    async def run(calls: int) -> None:
        await asyncio.gather(*(worker(calls // IN_FLIGHT) for _ in range(IN_FLIGHT)))

    return run


def _plain(
    session: aiohttp.ClientSession, url: str, loads: Callable[[bytes], object]
) -> Callable[[], Awaitable[object]]:
    headers = {"Authorization": f"Bearer {KEY}"}

    async def call() -> object:
        async with session.get(url, headers=headers) as answer:
            return loads(await answer.read())

    return call


def _httpx(client: httpx.AsyncClient, url: str) -> Callable[[], Awaitable[object]]:
    async def call() -> object:
        return json.loads((await client.get(url)).content)

    return call


def _official(client: stripe.StripeClient, path: str) -> Callable[[], Awaitable[object]]:
    async def call() -> object:
        answer = await client.raw_request_async("get", path)
        return client.deserialize(answer, api_mode="V1")

    return call


async def _measure(url: str, path: str, call: Callable[[AsyncClient], Awaitable[object]]) -> str:
    address = {"api": url}
    default = stripe.StripeClient(KEY, base_addresses=address)
    aiohttp_client = stripe.AIOHTTPClient()
    over_aiohttp = stripe.StripeClient(KEY, base_addresses=address, http_client=aiohttp_client)
    limits = httpx.Limits(max_connections=IN_FLIGHT)
    async with (
        aiohttp.ClientSession() as session,
        httpx.AsyncClient(limits=limits) as plain_httpx,
        AsyncClient(KEY, base_url=url) as client,
    ):
        contenders = {
            _BASE: _plain(session, url + path, json.loads),
            "aiohttp + orjson": _plain(session, url + path, orjson.loads),
            "pinstripe (typed models)": lambda: call(client),
            "httpx + json.loads": _httpx(plain_httpx, url + path),
            "official SDK, its aiohttp client": _official(over_aiohttp, path),
            "official SDK, its default async client": _official(default, path),
        }
        costs = await compare_async({n: _fan_out(c) for n, c in contenders.items()}, CALLS)
        await aiohttp_client.close_async()
    return table(f"GET {path}, {IN_FLIGHT} in flight, a call", _BASE, costs)


async def _report(url: str) -> str:
    quotes = await _measure(
        url, QUOTES.decode(), lambda stripe: stripe.crypto.onramp_quotes.retrieve()
    )
    pages = await _measure(url, SESSIONS.decode(), _first_page)
    return quotes + "\n" + pages


async def _first_page(client: AsyncClient) -> object:
    return await client.identity.verification_sessions.list()


def report() -> str:
    """Return the tables."""
    with fixed_answers() as url:
        return asyncio.run(_report(url))
