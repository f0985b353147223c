"""Nothing blocks the event loop: calls of a client with every blocking function under guard."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import trustme
from blockbuster import BlockBusterFunction, BlockingError, blockbuster_ctx

from pinstripe import TLS, AsyncClient
from pinstripe.bulk import fan_out
from pinstripe.export import to_file
from tests.support.faulty import Faulty, ok

# Coverage looks at the files of code when it first runs, which blocks.
pytestmark = [pytest.mark.anyio, pytest.mark.uncounted]

PDF = b"%PDF-1.7 a receipt"

# Beside what blockbuster itself knows of.
FILES = ["builtins.open", "io.open", "os.open", "os.fsync", "os.lstat", "os.rename", "os.chmod"]
CERTIFICATES = ["load_verify_locations", "set_default_verify_paths", "load_cert_chain"]


@pytest.fixture
def guarded() -> Iterator[None]:
    """Let blocking functions raise in the thread of any event loop."""
    known = [BlockBusterFunction(None, name) for name in FILES]
    known += [BlockBusterFunction(ssl.SSLContext, name) for name in CERTIFICATES]
    with blockbuster_ctx() as guard:
        guard.functions |= {function.full_name: function for function in known}
        guard.activate()
        yield


def sandbox_options() -> dict[str, Any]:
    return {"seed": 5}


@pytest.mark.usefixtures("guarded")
async def test_the_guard_sees_what_blocks(tmp_path) -> None:
    steps: list[Callable[[], object]] = [
        partial(time.sleep, 0),
        partial((tmp_path / "a").write_bytes, b""),
        partial(os.stat, tmp_path),
        ssl.create_default_context,
    ]
    for step in steps:
        with pytest.raises(BlockingError):
            step()
        await asyncio.to_thread(step)


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize("warm", [True, False])
async def test_calls_of_every_kind(sandbox, tmp_path, warm) -> None:
    source = tmp_path / "receipt.pdf"
    await asyncio.to_thread(source.write_bytes, PDF + bytes(300_000))
    async with AsyncClient(
        sandbox.restricted_key, base_url=sandbox.url, files_url=sandbox.url
    ) as client:
        if warm:
            await client.warm_up()
        sessions = client.identity.verification_sessions
        made = [outcome async for outcome in fan_out(_session(sessions), range(5))]
        assert all(outcome.ok for outcome in made)
        assert (await sessions.retrieve(made[0].unwrap())).status == "requires_input"
        assert len([session async for session in sessions.list(limit=2)]) == 5
        async for _ in sessions.list(limit=1):
            break
        assert len([session async for session in sessions.list(limit=2).parallel(4)]) == 5
        for file in (source, PDF):
            sent = await client.files.create(
                file=file, filename="receipt.pdf", purpose="dispute_evidence"
            )
            path = await client.files.download(sent.id, tmp_path / sent.id)
            assert await asyncio.to_thread(path.exists)
        for format in ("jsonl", "csv", "parquet"):
            assert await to_file(sessions.list(), tmp_path / f"sessions.{format}") == 5


def _session(sessions):
    async def create(_: int) -> str:
        return (await sessions.create(type="document")).id

    return create


@pytest.mark.usefixtures("guarded")
async def test_a_connection_with_certificates(tmp_path) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    file = tmp_path / "ca.pem"

    def prepare() -> TLS:
        authority.issue_cert("127.0.0.1").configure_cert(context)
        authority.cert_pem.write_to_path(str(file))
        return TLS(ca_file=file)

    tls = await asyncio.to_thread(prepare)
    async with Faulty(ok(), tls=context) as server:
        url = server.url
        async with AsyncClient("sk_test_a", base_url=url, files_url=url, tls=tls) as client:
            assert (await client.request("GET", "/v1/balance")).status == 200
