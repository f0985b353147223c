"""What a user's code infers from waits; checked, never run."""

from __future__ import annotations

from typing_extensions import assert_type

from pinstripe import AsyncClient, Client
from pinstripe.climate import Order
from pinstripe.crypto import OnrampSession
from pinstripe.identity import VerificationSession


async def goals(stripe: AsyncClient, blocking: Client) -> None:
    sessions = stripe.identity.verification_sessions
    assert_type(await sessions.wait("vs_1", until="verified", timeout=9), VerificationSession)
    await sessions.wait("vs_1", until=("verified", "canceled"), timeout=9)
    await sessions.wait("vs_1", until={"verified"}, timeout=9)
    await sessions.wait("vs_1", until="redacted", timeout=9)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await sessions.wait("vs_1", until=["done"], timeout=9)  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    await sessions.wait("vs_1", until="verified")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    assert_type(await sessions.wait_for_redaction("vs_1", timeout=9), VerificationSession)
    onramp = stripe.crypto.onramp_sessions.wait("cos_1", until="rejected", timeout=9)
    assert_type(await onramp, OnrampSession)
    await stripe.crypto.onramp_sessions.wait("cos_1", until="initialized", timeout=9)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(blocking.climate.orders.wait("o_1", until="delivered", timeout=9), Order)
