"""`pinstripe listen`: the events of a test account, delivered to an app on this machine.

The log of events is asked for what is newer than the last event seen, in the order in which it
happened, so that none is missed and none is sent twice, but for those that the app refused: they
are sent again, twice, before the next one. A delivery is what Stripe's would be, the event as the
API shows it under a signature made now.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets as random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from fnmatch import fnmatchcase
from functools import partial
from time import strftime
from typing import Any

import click
from attrs import define, frozen
from rich.console import Console
from rich.markup import escape
from yarl import URL

from pinstripe import AsyncClient
from pinstripe._core.errors import (
    ConfigurationError,
    PinstripeError,
    RateLimitError,
    ServerError,
    TransportError,
)
from pinstripe._core.redaction import clean_text
from pinstripe._resources.endpoint import response_of
from pinstripe.cli._account import BadInput, test_client
from pinstripe.cli._http import NoAnswer, send
from pinstripe.cli._interrupt import INTERRUPTED, run_interruptible
from pinstripe.sandbox._http.outbound import may_call, read_url
from pinstripe.sandbox._webhooks.delivery import HEADERS
from pinstripe.webhooks import Webhook

_TRIES = 3
_PASSING = (TransportError, ServerError, RateLimitError)


@frozen
class _Forward:
    """Where events go, and which.

    Attributes:
        url: The app.
        webhook: Signs deliveries.
        patterns: The types of events; none for all.
        interval: Seconds between two looks at the log, and before a refused event is sent again.
    """

    url: URL
    webhook: Webhook
    patterns: Sequence[str]
    interval: float

    def wants(self, type: str) -> bool:
        return not self.patterns or any(fnmatchcase(type, each) for each in self.patterns)


@define
class _Count:
    delivered: int = 0
    refused: int = 0


@click.command(short_help="Deliver the events of a test account to an app here.")
@click.option(
    "--forward-to", required=True, metavar="URL", help="The app that the events are sent to."
)
@click.option(
    "--events", default="", metavar="TYPES", help="Types of events, with commas; * stands for any."
)
@click.option(
    "--secret",
    envvar="STRIPE_WEBHOOK_SECRET",
    help="Sign with this whsec_ secret; from STRIPE_WEBHOOK_SECRET, else a new one is printed.",
)
@click.option(
    "--allow-host", multiple=True, metavar="NAME", help="A host beside loopback to send to."
)
@click.option(
    "--interval",
    type=click.FloatRange(0.01, 3600),
    default=1.0,
    show_default=True,
    help="Seconds between two looks at the log.",
)
def listen(
    *, forward_to: str, events: str, secret: str | None, allow_host: Sequence[str], interval: float
) -> int:
    """Deliver every event that happens from now on, signed, to an app on this machine.

    A line is printed for each attempt: the time, the type and id of the event, and the status of
    the answer. An event that is not answered with 2xx is sent twice more.

    The key is read from STRIPE_API_KEY, and has to be one of test mode; PINSTRIPE_BASE_URL points
    to a sandbox.

    It runs until Ctrl-C, with the exit status 130 then; 1 where the API refuses to tell of events,
    2 where the usage or the environment is wrong, and nothing was sent.
    """
    url = read_url(forward_to)
    if url is None:
        raise BadInput("--forward-to must be an http or https address")
    if not may_call(url, {name.lower() for name in allow_host}):
        raise BadInput(f"--forward-to is not this machine; allow it with --allow-host {url.host}")
    client, console = test_client(), Console(highlight=False)
    patterns = [name.strip() for name in events.split(",") if name.strip()]
    forward = _Forward(url, _webhook(secret, console), patterns, interval)
    count = _Count()
    try:
        run_interruptible(_listen(client, forward, console, count))
    except KeyboardInterrupt:
        told = f"Stopped: {count.delivered} events delivered, {count.refused} refused."
        click.echo(told, err=True)
    except PinstripeError as error:
        raise click.ClickException(error.message) from None
    return INTERRUPTED


def _webhook(secret: str | None, console: Console) -> Webhook:
    if secret is None:
        secret = f"whsec_{random.token_hex(16)}"
        console.print(f"Signing with {secret}", soft_wrap=True)
    try:
        return Webhook(secret)
    except ConfigurationError as error:
        raise BadInput(f"--secret: {error.message}") from None


class _Log:
    """The log of events, from where it ended when the command began.

    Args:
        client: Of the account.
    """

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._last: str | None = None

    async def begin(self) -> None:
        """Look where the log ends."""
        page = await self._client.events.list(limit=1)
        self._last = page.data[0].id if page.data else None

    async def new(self) -> AsyncGenerator[dict[str, Any], None]:
        """Yield what has happened since, oldest first, as the API shows it."""
        pages: list[list[dict[str, Any]]] = []
        pager = self._client.events.list(ending_before=self._last)
        async with aclosing(pager.pages()) as walk:
            async for page in walk:
                pages.append(json.loads(response_of(page).body)["data"][::-1])
                # A log that was empty is read from its new end, and told from its beginning.
                if self._last is not None:
                    for event in pages.pop():
                        yield self._seen(event)
        for event in itertools.chain(*reversed(pages)):
            yield self._seen(event)

    def _seen(self, event: dict[str, Any]) -> dict[str, Any]:
        self._last = event["id"]
        return event


async def _listen(client: AsyncClient, forward: _Forward, console: Console, count: _Count) -> None:
    log = _Log(client)
    async with client:
        await _patiently(log.begin, forward.interval)
        shown = escape(str(forward.url))
        console.print(f"Listening; events go to {shown} until Ctrl-C", soft_wrap=True)
        while True:
            await _patiently(partial(_forward_new, log, forward, console, count), forward.interval)
            await asyncio.sleep(forward.interval)


async def _patiently(look: Callable[[], Awaitable[None]], interval: float) -> None:
    """Look at the log, again and again while the API cannot be reached."""
    while not await _succeeds(look):  # noqa: ASYNC110 -- nothing tells when it can be again
        await asyncio.sleep(interval)


async def _succeeds(look: Callable[[], Awaitable[None]]) -> bool:
    try:
        await look()
    except _PASSING as error:
        click.echo(f"the log cannot be read, for now: {error.message}", err=True)
        return False
    return True


async def _forward_new(log: _Log, forward: _Forward, console: Console, count: _Count) -> None:
    async with aclosing(log.new()) as events:
        async for event in events:
            if forward.wants(event["type"]):
                delivered = await _deliver(event, forward, console)
                count.delivered += delivered
                count.refused += not delivered


async def _deliver(event: dict[str, Any], forward: _Forward, console: Console) -> bool:
    """Send an event until it is taken, and tell each attempt; return whether it was."""
    body = json.dumps(event, indent=2, ensure_ascii=False).encode()
    for attempt in range(_TRIES):
        await asyncio.sleep(attempt * forward.interval)
        headers = {**HEADERS, "Stripe-Signature": forward.webhook.sign(body)}
        try:
            status = (await send("POST", forward.url, body, headers)).status
        except NoAnswer as error:
            outcome, taken = str(error), False
        else:
            outcome, taken = str(status), 200 <= status < 300
        style = "green" if taken else "red"
        told = f"{strftime('%H:%M:%S')}  {event['type']}  {event['id']}"
        console.print(f"{escape(clean_text(told))}  [{style}]{outcome}[/]", soft_wrap=True)
        if taken:
            return True
    return False
