"""`pinstripe demo`: what Pinstripe does, shown against the embedded sandbox in a few seconds."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from decimal import Decimal
from time import perf_counter

import click
from rich.console import Console
from rich.table import Table

from pinstripe import AsyncClient
from pinstripe.cli._progress import progress_bar
from pinstripe.crypto import OnrampQuote, QuotesQuery
from pinstripe.identity import VerificationReport
from pinstripe.sandbox import Sandbox

QUOTES = 2_000
SESSIONS = 250


@click.command(short_help="Show what Pinstripe does: no key, no network.")
def demo() -> None:
    """Show what Pinstripe does, in a few seconds, without a key and without a network."""
    asyncio.run(show(Console(highlight=False)))


async def show(console: Console) -> None:
    """Run the demo.

    Args:
        console: Where it prints.
    """
    timings: dict[str, float] = {}
    async with Sandbox() as sandbox, sandbox.client() as stripe:
        console.print(f"A sandbox of the API runs at {sandbox.url}")
        with timed(timings, console, f"{QUOTES:,} onramp quotes"):
            await compare_networks(stripe, console)
        with timed(timings, console, "One verification, from creation to redaction"):
            await verify_somebody(stripe, sandbox, console)
        with timed(timings, console, f"{SESSIONS} sessions, page by page"):
            await walk_sessions(stripe, sandbox, console)
    console.print()
    for title, seconds in [*timings.items(), ("Total", sum(timings.values()))]:
        console.print(f"{title:<48}{seconds:6.2f} s")


async def compare_networks(stripe: AsyncClient, console: Console) -> None:
    """Ask for many quotes at once, and print where each currency is the cheapest.

    Args:
        stripe: The client.
        console: Where to print.
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
        sandbox: Where the person is played.
        console: Where to print.
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
    sandbox.identity.finish_redaction(session.id)  # which can take four days
    session = await sessions.retrieve(session.id, expand=["verified_outputs"])
    assert session.redaction is not None
    assert session.verified_outputs is not None
    console.print(f"redacted   {session.id} is {session.redaction.status}")
    console.print(f"           its first name: {session.verified_outputs.first_name}", markup=False)


async def walk_sessions(stripe: AsyncClient, sandbox: Sandbox, console: Console) -> None:
    """Walk over many sessions; the next page is on its way while this one is read.

    Args:
        stripe: The client.
        sandbox: Where the sessions are made.
        console: Where to print.
    """
    sandbox.identity.seed(SESSIONS)
    statuses: Counter[str] = Counter()
    async for page in stripe.identity.verification_sessions.list(max_items=SESSIONS).pages():
        statuses.update(session.status for session in page)
        console.print(f"a page of {len(page)}, {statuses.total()} sessions so far")
    console.print(", ".join(f"{count} {status}" for status, count in sorted(statuses.items())))


@contextmanager
def timed(timings: dict[str, float], console: Console, title: str) -> Generator[None]:
    """Put a heading above what the block prints, and note how long it takes.

    Args:
        timings: Seconds by title.
        console: Where to print.
        title: The heading.
    """
    console.print(f"\n[bold]{title}[/bold]")
    started = perf_counter()
    yield
    timings[title] = perf_counter() - started
