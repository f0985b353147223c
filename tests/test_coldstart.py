"""What is imported and made when: no more than a call needs, and nothing of it after warming up."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pinstripe
from pinstripe import _client

PRODUCTS = [
    *("climate", "crypto", "events", "files", "forwarding", "identity"),
    *("v2", "webhook_endpoints"),
]
PRELUDE = f"""
import asyncio, sys, pinstripe
from pinstripe import AsyncClient
def loaded(names): return {{name for name in names if name in sys.modules}}
def products(): return loaded("pinstripe." + name for name in {PRODUCTS})
client = AsyncClient("sk_test_a", base_url="http://127.0.0.1:1")
"""


def run(script: str) -> None:
    command = [sys.executable, "-W", "error", "-c", PRELUDE + script]
    subprocess.run(command, check=True, timeout=60)


def test_a_client_is_made_without_products_and_engines() -> None:
    run("""
assert products() == set()
assert loaded(["aiohttp", "anyio", "cattrs", "pinstripe._http.exchange"]) == set()
""")


@pytest.mark.parametrize("product", ["climate", "crypto", "forwarding", "identity"])
def test_a_namespace_imports_its_product_only(product) -> None:
    run(f"""
assert type(client.{product}).__module__ == "pinstripe.{product}"
assert products() == {{"pinstripe.{product}"}}
assert loaded(["aiohttp", "anyio", "cattrs", "pinstripe._http.exchange"]) == set()
""")


def test_every_namespace_is_a_property_that_says_what_it_returns() -> None:
    tree = ast.parse(Path(_client.__file__).read_text(encoding="utf-8"))
    declared = {
        node.name: ast.unparse(node.returns)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.returns is not None
        if [ast.unparse(decorator) for decorator in node.decorator_list] == ["fork_safe_property"]
    }
    client = pinstripe.AsyncClient("sk_test_a")
    assert set(declared) == {*PRODUCTS, "file_links"}
    for name, returned in declared.items():
        assert type(getattr(client, name)).__name__ == returned


def test_nothing_is_left_to_import_or_make_after_warming_up() -> None:
    run("""
from pinstripe._models.convert import decoder_of
from pinstripe._resources.endpoint import Endpoint
from pinstripe._resources.resource import Resource
async def main():
    async with client:
        await client.warm_up()
        assert "aiohttp" in sys.modules
        modules, decoders = set(sys.modules), decoder_of.cache_info().misses
        apart = {"Client", "sync", "export", "webhooks", "sandbox", "adapters", "testing", "sketch"}
        for name in set(pinstripe.__all__) - apart:
            getattr(pinstripe, name)
            getattr(client, name, None)
        endpoints = [e for r in Resource.__subclasses__() for e in vars(r).values()
                     if isinstance(e, Endpoint) and e.model is not pinstripe.Response]
        assert len(endpoints) > 25
        for endpoint in endpoints:
            decoder_of(endpoint.model)
        try: await client.identity.verification_sessions.retrieve("vs_1")
        except pinstripe.ConnectError: pass
        assert decoder_of.cache_info().misses == decoders
        assert set(sys.modules) - modules <= {"pinstripe.bulk"}, set(sys.modules) - modules
asyncio.run(main())
""")


@pytest.mark.anyio
async def test_a_client_with_a_transport_of_its_own_warms_up_without_opening_it(
    anyio_backend,
) -> None:
    class Still:
        async def send(self, request: pinstripe.Request) -> pinstripe.Response:
            raise AssertionError(request)

        async def aclose(self) -> None:
            pass

    async with pinstripe.AsyncClient("sk_test_a", transport=Still()) as client:
        await client.warm_up()
