"""Delivers the events of a test account to an app on this machine.

The command asks the log of events again and again for what is newer than the last event that it
saw. Events go to the app one after the other, in the order in which they happened, so none is
missed and none overtakes another. An event that the app refuses is sent twice more before the next
one. A delivery is what Stripe's would be: the event as the API shows it, under a signature made
now.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Collection, Sequence
from contextlib import aclosing
from functools import partial
from ipaddress import ip_address
from time import strftime
from typing import Any

from attrs import define, frozen
from rich.console import Console
from rich.markup import escape
from yarl import URL

from pinstripe import AsyncClient
from pinstripe._core.errors import ConfigurationError, PinstripeError
from pinstripe._core.redaction import clean_text
from pinstripe.cli._account import BadInput, test_client
from pinstripe.cli._event_log import EventLog, matches, patterns_of, until_readable
from pinstripe.cli._failures import failure_of
from pinstripe.cli._http import NoAnswer, send
from pinstripe.cli._interrupt import run_interruptible
from pinstripe.cli._status import INTERRUPTED
from pinstripe.cli._words import say
from pinstripe.webhooks import Webhook

_ATTEMPTS = 3

# The headers of Stripe's own deliveries besides the signature; https://docs.stripe.com/webhooks
_HEADERS = {
    "Content-Type": "application/json; charset=utf-8",
    "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    "Accept": "*/*",
    "Cache-Control": "no-cache",
}


@frozen
class _Forwarding:
    """Which events are sent, and to which address.

    Attributes:
        url: The address of the app.
        webhook: Signs deliveries.
        patterns: The types of events; empty for all.
        interval: Seconds between two looks at the log, and before a refused event is sent again.
    """

    url: URL
    webhook: Webhook
    patterns: Sequence[str]
    interval: float


@define
class _Count:
    delivered: int = 0
    refused: int = 0


def run_listen(
    *, forward_to: str, events: str, secret: str | None, allow_host: Sequence[str], interval: float
) -> int:
    """Deliver events until Ctrl-C, and return the exit status.

    Args:
        forward_to: As of the command.
        events: As of the command.
        secret: As of the command.
        allow_host: As of the command.
        interval: As of the command.

    Raises:
        BadInput: The usage or the environment is wrong; nothing was sent.
        CallFailedError: The API refuses to show the events.
    """
    url = _address(forward_to, {name.lower() for name in allow_host})
    client, console = test_client(), Console(highlight=False)
    if secret is None:
        secret = f"whsec_{secrets.token_hex(16)}"
        console.print(f"Signing with {secret}", soft_wrap=True)
    try:
        webhook = Webhook(secret)
    except ConfigurationError as error:
        raise BadInput(f"--secret: {error.message}") from None
    forwarding, count = _Forwarding(url, webhook, patterns_of(events), interval), _Count()
    try:
        run_interruptible(_listen(client, forwarding, console, count))
    except KeyboardInterrupt:
        say(f"Stopped: {count.delivered} events delivered, {count.refused} refused.")
    except PinstripeError as error:
        raise failure_of(error, error.message) from None
    return INTERRUPTED


def _address(text: str, allowed_hosts: Collection[str]) -> URL:
    """Return the address of the app, which must be on this machine or on an allowed host."""
    try:
        url = URL(text)
        # yarl reads host and port only when they are asked for.
        usable = url.scheme in ("http", "https") and bool(url.host) and url.port is not None
    except ValueError:
        url, usable = URL(), False
    if not usable or " " in text or not text.isprintable():
        raise BadInput("--forward-to must be an http or https address")
    # A name is not looked up, since it could mean another machine a moment later.
    host = (url.host or "").lower()
    try:
        local = ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local and host not in allowed_hosts:
        raise BadInput(f"--forward-to is not this machine; allow it with --allow-host {url.host}")
    return url


async def _listen(
    client: AsyncClient, forwarding: _Forwarding, console: Console, count: _Count
) -> None:
    log = EventLog(client)
    async with client:
        await until_readable(log.find_end, forwarding.interval)
        shown = escape(str(forwarding.url))
        console.print(f"Listening; events go to {shown} until Ctrl-C", soft_wrap=True)
        forward = partial(_forward_new, log, forwarding, console, count)
        while True:
            await until_readable(forward, forwarding.interval)
            await asyncio.sleep(forwarding.interval)


async def _forward_new(
    log: EventLog, forwarding: _Forwarding, console: Console, count: _Count
) -> None:
    async with aclosing(log.new_events()) as events:
        async for _, event in events:
            if matches(event["type"], forwarding.patterns):
                delivered = await _deliver(event, forwarding, console)
                count.delivered += delivered
                count.refused += not delivered


async def _deliver(event: dict[str, Any], forwarding: _Forwarding, console: Console) -> bool:
    """Send an event until the app accepts it, print each attempt, and return whether it did."""
    body = json.dumps(event, indent=2, ensure_ascii=False).encode()
    for attempt in range(_ATTEMPTS):
        await asyncio.sleep(attempt * forwarding.interval)
        # Each attempt is signed again: a receiver refuses signatures that are minutes old.
        headers = {**_HEADERS, "Stripe-Signature": forwarding.webhook.sign(body)}
        try:
            status = (await send("POST", forwarding.url, body, headers)).status
        except NoAnswer as error:
            result, accepted = str(error), False
        else:
            result, accepted = str(status), 200 <= status < 300
        style = "green" if accepted else "red"
        text = clean_text(f"{strftime('%H:%M:%S')}  {event['type']}  {event['id']}")
        console.print(f"{escape(text)}  [{style}]{result}[/]", soft_wrap=True)
        if accepted:
            return True
    return False
