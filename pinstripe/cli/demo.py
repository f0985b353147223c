"""`pinstripe demo`: what Pinstripe does, shown against the embedded sandbox in a few seconds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from decimal import Decimal
from time import perf_counter
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from pinstripe import AsyncClient
from pinstripe.cli._interrupt import run_interruptible
from pinstripe.cli._progress import progress_bar
from pinstripe.cli._receiver import Receiver
from pinstripe.crypto import OnrampQuote, QuotesQuery
from pinstripe.identity import VerificationReport
from pinstripe.webhooks import Webhook

if TYPE_CHECKING:
    from pinstripe.sandbox import Sandbox

# Enough of each to see that it is fast, and few enough for a demo of seconds.
QUOTES = 2_000
SESSIONS = 250


@click.command()
def demo() -> None:
    """Show what Pinstripe does, in a few seconds, against an embedded sandbox.

    The command reads nothing from the environment: it needs neither a key nor a network.

    The exit status is 0; 130 after Ctrl-C.
    """
    run_interruptible(show(Console(highlight=False)))


async def show(console: Console) -> None:
    """Run the demo.

    Args:
        console: Prints it.
    """
    from pinstripe.sandbox import Sandbox  # noqa: PLC0415 -- slow, so only when a command needs it

    timings: dict[str, float] = {}
    async with Sandbox() as sandbox, sandbox.client() as stripe:
        console.print(f"A sandbox of the API runs at {sandbox.url}")
        with timed(timings, console, f"{QUOTES:,} onramp quotes"):
            await compare_networks(stripe, console)
        with timed(timings, console, "One verification, from creation to redaction"):
            await verify_somebody(stripe, sandbox, console)
        with timed(timings, console, f"{SESSIONS} sessions, page by page"):
            await walk_sessions(stripe, sandbox, console)
        async with Receiver() as receiver:
            with timed(timings, console, "An order of carbon removal, and its events"):
                await order_removal(stripe, sandbox, receiver, console)
            with timed(timings, console, "A request forwarded with a card filled in"):
                await forward_card(stripe, receiver, console)
    console.print()
    for title, seconds in [*timings.items(), ("Total", sum(timings.values()))]:
        console.print(f"{title:<48}{seconds:6.2f} s")


async def compare_networks(stripe: AsyncClient, console: Console) -> None:
    """Ask for many quotes at once, and print on which network each currency is the cheapest.

    Args:
        stripe: The client.
        console: Prints it.
    """
    queries = [QuotesQuery(source_amount=dollars) for dollars in range(20, 20 + QUOTES)]
    best: dict[str, tuple[Decimal, OnrampQuote]] = {}
    with progress_bar("Asking", QUOTES, 0, console) as progress:
        async for outcome in stripe.crypto.onramp_quotes.retrieve_many(
            queries, concurrency=64, on_progress=progress
        ):
            quotes = outcome.unwrap()
            for currency in quotes.currencies:
                if (quote := quotes.cheapest(currency)) is not None:
                    price = quote.source_total_amount / quote.destination_amount
                    if currency not in best or price < best[currency][0]:
                        best[currency] = price, quote
    console.print(_table(best))


def _table(best: dict[str, tuple[Decimal, OnrampQuote]]) -> Table:
    table = Table("Currency", "Cheapest on")
    for heading in ("You pay", "of it fees", "You get", "$ a unit"):
        table.add_column(heading, justify="right")
    for currency, (price, quote) in sorted(best.items()):
        amounts = (quote.source_total_amount, quote.total_fees, quote.destination_amount, price)
        table.add_row(currency, quote.destination_network, *(f"{a:,.8g}" for a in amounts))
    return table


async def verify_somebody(stripe: AsyncClient, sandbox: Sandbox, console: Console) -> None:
    """Take a verification session through its life; nothing personal is printed.

    Args:
        stripe: The client.
        sandbox: Plays the person.
        console: Prints it.
    """
    sessions = stripe.identity.verification_sessions

    session = await sessions.create(type="document", metadata={"user": "42"})
    console.print(f"created    {session.id} is {session.status}")

    sandbox.identity.verify(session.id)  # the person opens session.url and shows a passport
    session = await sessions.retrieve(session.id, expand=["last_verification_report"])
    report = session.last_verification_report
    assert isinstance(report, VerificationReport)
    assert report.document is not None
    console.print(f"retrieved  {session.id} is {session.status}")
    console.print(f"           its report: {report.document.type} {report.document.status}")

    session = await sessions.redact(session.id)
    sandbox.identity.finish_redaction(session.id)  # at Stripe it can take four days
    session = await sessions.retrieve(session.id, expand=["verified_outputs"])
    assert session.redaction is not None
    assert session.verified_outputs is not None
    console.print(f"redacted   {session.id} is {session.redaction.status}")
    console.print(f"           its first name: {session.verified_outputs.first_name}", markup=False)


async def walk_sessions(stripe: AsyncClient, sandbox: Sandbox, console: Console) -> None:
    """Walk over many sessions; the next page is fetched while this one is read.

    Args:
        stripe: The client.
        sandbox: Makes the sessions.
        console: Prints it.
    """
    sandbox.identity.seed(SESSIONS)
    statuses: Counter[str] = Counter()
    async for page in stripe.identity.verification_sessions.list(max_items=SESSIONS).pages():
        statuses.update(session.status for session in page)
        console.print(f"a page of {len(page)}, {statuses.total()} sessions so far")
    console.print(", ".join(f"{count} {status}" for status, count in sorted(statuses.items())))


async def order_removal(
    stripe: AsyncClient, sandbox: Sandbox, receiver: Receiver, console: Console
) -> None:
    """Buy carbon removal, have it delivered, and verify the events about it.

    Args:
        stripe: The client.
        sandbox: Plays the seller.
        receiver: Receives the events.
        console: Prints it.
    """
    endpoint = await stripe.webhook_endpoints.create(
        url=f"{receiver.url}/events",
        enabled_events=["climate.order.created", "climate.order.delivered"],
    )
    products = [product async for product in stripe.climate.products.list()]
    available = [p for p in products if p.metric_tons_available >= 1]
    cheapest = min(available, key=lambda p: p.current_prices_per_metric_ton["usd"].amount_total)
    order = await stripe.climate.orders.create(
        product=cheapest.id, metric_tons="1.5", currency="usd"
    )
    console.print(f"{order.metric_tons} tons of {cheapest.name}: {order.amount_total / 100:,.2f} $")
    sandbox.climate.deliver(order.id)  # at Stripe it takes years
    await sandbox.webhooks.flush()  # until both events are delivered
    assert endpoint.secret is not None
    webhook = Webhook(endpoint.secret)
    for received in receiver.take():
        webhook.verify(received.body, received.headers["stripe-signature"])
        event = json.loads(received.body)
        console.print(f"received and verified {event['type']}: {event['data']['object']['status']}")


async def forward_card(stripe: AsyncClient, receiver: Receiver, console: Console) -> None:
    """Send a card to another service without ever holding its number.

    Args:
        stripe: The client.
        receiver: The other service.
        console: Prints it.
    """
    forwarded = await stripe.forwarding.requests.create(
        payment_method="pm_card_visa",
        url=f"{receiver.url}/charges",
        replacements=["card_number"],
        request={"body": '{"amount": 1999, "card": {"number": ""}}'},
    )
    [received] = receiver.take()
    number = json.loads(received.body)["card"]["number"]
    assert forwarded.request_details is not None
    kept = json.loads(forwarded.request_details.body)["card"]["number"]
    console.print(f"the destination got a number of {len(number)} digits")
    console.print(f"the API keeps, and we see, {kept}")


@contextmanager
def timed(timings: dict[str, float], console: Console, title: str) -> Generator[None]:
    """Print a heading above what the block prints, and note how long the block takes.

    Args:
        timings: Seconds by title.
        console: Prints it.
        title: The heading.
    """
    console.print(f"\n[bold]{title}[/bold]")
    started = perf_counter()
    yield
    timings[title] = perf_counter() - started
