"""A command trusts the certificates that its environment names, and no others."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

from tests.support.cli_process import COMMAND, environment
from tests.support.faulty import Faulty, ok

pytestmark = pytest.mark.anyio

AUTHORITY = trustme.CA()


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_over_tls(tmp_path: Path, is_trusted: bool) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    trusted = {"SSL_CERT_FILE": str(tmp_path / "ca.pem")} if is_trusted else {}
    async with Faulty(ok(b'{"id": "re_1"}'), tls=context) as server:
        process = await asyncio.create_subprocess_exec(
            *(*COMMAND, "request", "GET", "/v1/refunds/re_1", "--json"),
            env=environment(None)
            | {"STRIPE_API_KEY": "sk_test_a", "PINSTRIPE_BASE_URL": server.url, **trusted},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        shown, problem = await process.communicate()
        if is_trusted:
            assert (process.returncode, shown) == (0, b'{"id":"re_1"}\n'), problem
        else:
            assert (process.returncode, shown, server.requests) == (3, b"", [])
            assert b"the certificate of 127.0.0.1 is refused" in problem
