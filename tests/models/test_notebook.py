"""What notebooks show: tables that hide what is private and escape the rest, in a real kernel."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbclient import NotebookClient

from pinstripe import Page
from pinstripe._models.notebook import table
from pinstripe._models.record import Model, model
from pinstripe.climate import Order, Product
from pinstripe.crypto import OnrampQuote, OnrampQuoteFees, OnrampSession, Quotes
from pinstripe.events import Event, VerificationSessionVerified
from pinstripe.forwarding import ForwardingRequest
from pinstripe.identity import VerificationReport, VerificationSession
from pinstripe.testing import sample
from tests.support.models import MODELS

TAGS = {"table", "caption", "thead", "tbody", "tr", "th", "td", "div"}
ATTRIBUTES = {"style", "scope", "colspan"}


@dataclass
class Read(HTMLParser):
    """What a browser reads: the texts, and that there are only tables."""

    texts: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        assert {name for name, _ in attrs} <= ATTRIBUTES
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        assert self.open
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        pytest.fail(f"a comment: {data}")

    handle_decl = handle_pi = unknown_decl = handle_comment


def read(value: Any) -> list[str]:
    """Return the texts of what a notebook shows of a value, in their order."""
    reader = Read()
    reader.feed(value._repr_html_())
    reader.close()
    assert reader.open == []
    return reader.texts


# --- what is shown ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_shows_its_public_fields_and_no_private_one(name) -> None:
    kind = MODELS[name]
    if issubclass(kind, Page):
        return
    value = sample(kind)
    texts = read(value)
    assert texts[0] == type(value).__name__ or texts[0].startswith("0 quotes")


def test_an_object_shows_a_row_for_each_value() -> None:
    created = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    session = sample(
        VerificationSession,
        id="vs_1",
        status="verified",
        created=created,
        metadata={"user": "CANARY"},
        client_secret="CANARY",
        last_verification_report="vr_1",
        options={"document": {"allowed_types": ["passport", "id_card"]}},
    )
    texts = read(session)
    assert texts[:6] == [
        *("VerificationSession", "id", "vs_1"),
        *("object", "identity.verification_session", "created"),
    ]
    assert "2026-01-02 03:04:05 UTC" in texts
    assert texts[texts.index("allowed_types") + 1] == "passport, id_card"
    assert texts[-1].startswith("Private, not shown: client_reference_id, client_secret, metadata")
    assert "CANARY" not in str(texts)
    assert "None" not in texts


def test_objects_in_an_object_are_tables_in_its_cell() -> None:
    price = {"amount_fees": 1, "amount_subtotal": 20, "amount_total": 21}
    place = {"city": "Bemidji", "country": "US"}
    supplier = {
        "id": "climsup_1",
        "object": "climate.supplier",
        "info_url": "https://a.example",
        "livemode": False,
        "locations": [place, place],
        "name": "Carbo",
        "removal_pathway": "biomass_carbon_removal_and_storage",
    }
    product = sample(
        Product,
        current_prices_per_metric_ton={"usd": price, "eur": price},
        suppliers=[supplier] * 7,
    )
    texts = read(product)
    start = texts.index("current_prices_per_metric_ton")
    assert texts[start + 1 : start + 9] == [
        *("amount_fees", "amount_subtotal", "amount_total"),
        *("usd", "1", "20", "21", "eur"),
    ]
    assert texts.count("climsup_1") == 5
    assert " and 2 more" in texts
    assert texts.count("Bemidji") == 10


def test_what_was_expanded_is_shown_without_its_private_fields() -> None:
    report = sample(VerificationReport, id="vr_1", client_reference_id="CANARY")
    session = sample(VerificationSession, last_verification_report=report)
    texts = read(session)
    assert "vr_1" in texts
    assert "CANARY" not in str(texts)
    # On a page, the id stands for it.
    assert "vr_1" in read(Page(data=(session,), has_more=False))


@model
class Odd(Model):
    """A model with everything that a field can hold."""

    deep: dict[str, Any] | None = None
    many: tuple[Any, ...] = ()
    long: str = ""
    amount: Decimal | None = None


def test_values_that_are_deep_many_or_long_are_cut() -> None:
    odd = Odd(
        deep={"a": {"b": {"c": {"d": "<deep>"}}}},
        many=tuple(range(9)),
        long="x" * 500,
        amount=Decimal("1E-18"),
    )
    texts = read(odd)
    assert texts[texts.index("many") + 1] == "0, 1, 2, 3, 4 and 4 more"
    assert f"{'x' * 120}…" in texts
    assert "0.000000000000000001" in texts
    assert "{'c': {'d': '<deep>'}}" in texts
    assert "1E+999999999" in read(Odd(amount=Decimal("1E+999999999")))
    assert read(Odd(many=({"a": 1}, {"b": 2}, (3, {"c": 4}))))[1:] == [
        *("many", "a", "1", "b", "2", "3", "{'c': 4}"),
    ]


def test_a_page_shows_its_first_objects_in_rows() -> None:
    sessions = [sample(OnrampSession, id=f"cos_{n}", client_secret="CANARY") for n in range(25)]
    texts = read(Page(data=tuple(sessions), has_more=True))
    assert texts[0] == "Page of 25 objects; there are more"
    assert [text for text in texts if text.startswith("cos_")] == [f"cos_{n}" for n in range(20)]
    assert "5 of the objects are not shown." in texts
    assert "Nested, not shown here: transaction_details." in texts
    assert texts[-1] == "Private, not shown: client_secret, metadata, redirect_url."
    assert "CANARY" not in str(texts)


def test_a_page_may_be_empty_or_of_several_classes() -> None:
    assert read(Page(data=(), has_more=False)) == ["Page of 0 objects; there are no more"]
    events = (sample(VerificationSessionVerified, id="evt_1"), sample(Event, id="evt_2"))
    texts = read(Page(data=events, has_more=False))
    assert {"evt_1", "evt_2"} <= {*texts}


def test_what_is_private_is_named_and_not_shown() -> None:
    for kind, values in (
        (Order, {"certificate": "CANARY", "metadata": {"k": "CANARY"}}),
        (OnrampSession, {"redirect_url": "CANARY"}),
        (ForwardingRequest, {"metadata": {"k": "CANARY"}}),
    ):
        html = sample(kind, **values)._repr_html_()
        assert "CANARY" not in html
        assert all(name in html for name in values)


# --- escaping -----------------------------------------------------------------------------------

nasty = st.one_of(
    st.text(),
    st.sampled_from(
        ["<script>alert(1)</script>", '"><img src=x onerror=1>', "&lt;", "\ud800", "]]>"]
    ),
)


@given(nasty, nasty, st.lists(nasty, max_size=3))
def test_texts_are_escaped_wherever_they_stand(name, value, many) -> None:
    odd = Odd(deep={name: value, "inner": {name: [value]}}, many=tuple(many), long=value)
    read(odd)
    read(Page(data=(odd, odd), has_more=False))
    fees = OnrampQuoteFees(network_fee_monetary=Decimal(1), transaction_fee_monetary=Decimal(1))
    quote = OnrampQuote(
        destination_amount=Decimal(1),
        destination_currency=name,
        destination_network=value,
        fees=fees,
        source_total_amount=Decimal(1),
    )
    read(sample(Quotes, source_currency=value, destination_network_quotes={name: [quote]}))
    reader = Read()
    reader.feed(table([], caption=name or "x", notes=[value]))


# --- quotes -------------------------------------------------------------------------------------


def quoted(network: str, amount: str, total: str, currency: str = "usdc") -> OnrampQuote:
    fees = OnrampQuoteFees(network_fee_monetary=Decimal("0.5"), transaction_fee_monetary=Decimal(2))
    return OnrampQuote(
        destination_amount=Decimal(amount),
        destination_currency=currency,
        destination_network=network,
        fees=fees,
        source_total_amount=Decimal(total),
    )


def answer(*quotes: OnrampQuote) -> Quotes:
    return Quotes(
        id="q_1",
        destination_network_quotes={str(n): (quote,) for n, quote in enumerate(quotes)},
        livemode=False,
        rate_fetched_at=datetime(2026, 1, 2, tzinfo=timezone.utc),
        source_amount=Decimal("100.00"),
        source_currency="usd",
    )


def test_quotes_are_ranked_by_the_cost_of_a_unit_in_each_currency() -> None:
    html = answer(
        quoted("ethereum", "100", "104.04"),
        quoted("solana", "0", "102"),
        quoted("base", "100", "102"),
        quoted("bitcoin", "0.001", "102", "btc"),
    )._repr_html_()
    reader = Read()
    reader.feed(html)
    assert reader.texts == [
        "4 quotes for 100.00 usd; rates of 2026-01-02 00:00:00 UTC",
        *("network", "cost of one, fees included", "dearer by", "receive", "fees", "pay"),
        "usdc",
        *("base", "1.02000", "100", "2.5", "102"),
        *("ethereum", "1.04040", "+2.0 %", "100", "2.5", "104.04"),
        *("solana", "no price", "0", "2.5", "102"),
        "btc",
        *("bitcoin", "102,000", "0.001", "2.5", "102"),
        "Costs, fees and payments in usd.",
    ]
    assert "width:98.0%" in html
    assert html.count("width:100.0%") == 2


@pytest.mark.parametrize(
    ("amount", "total", "shown"),
    [
        ("5", "0", ["0.00000", "5", "2.5", "0"]),
        ("1E-45", "1", ["1.00000e+45", "1E-45", "2.5", "1"]),
        ("1E+45", "1", ["1.00000e-45", "1E+45", "2.5", "1"]),
        ("NaN", "1", ["no price", "NaN", "2.5", "1"]),
        ("1e-7", "1", ["10,000,000", "0.0000001", "2.5", "1"]),
    ],
)
def test_costs_that_are_nothing_or_absurd_are_shown_too(amount, total, shown) -> None:
    assert read(answer(quoted("base", amount, total)))[8:-1] == ["base", *shown]


def test_quotes_that_cost_nothing_have_bars_of_no_length() -> None:
    html = answer(quoted("base", "5", "0"), quoted("solana", "7", "0"))._repr_html_()
    assert html.count("width:0.0%") == 2


# --- a real kernel ------------------------------------------------------------------------------

CELLS = (
    """
import warnings
warnings.simplefilter("always")
import pinstripe
stripe, blocking = pinstripe.AsyncClient(), pinstripe.Client()
await stripe.crypto.onramp_quotes.retrieve()
""",
    "blocking.identity.verification_sessions.create(type='document', metadata={'k': 'CANARY'})",
    "await stripe.identity.verification_sessions.list(limit=5)",
    "blocking.identity.verification_sessions.list().first()",
    """
import pyarrow
streams = [
    await pinstripe.export.to_arrow(stripe.identity.verification_sessions.list()),
    pinstripe.sync.to_arrow(blocking.identity.verification_sessions.list()),
]
[pyarrow.table(stream).num_rows for stream in streams]
""",
    "await stripe.aclose()\nblocking.close()",
)


# What nbclient leaves open is collected when it likes, in whichever test.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_both_clients_show_tables_in_a_kernel_without_warnings(sandbox, monkeypatch) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", sandbox.api_key)
    monkeypatch.setenv("PINSTRIPE_BASE_URL", sandbox.url)
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    NotebookClient(book, kernel_name="python3", timeout=120).execute()
    gc.collect()
    outputs = [output for cell in book.cells for output in cell.outputs]
    # A warning would be an output of its own, on standard error.
    assert {output.output_type for output in outputs} == {"execute_result"}
    shown = [output.data.get("text/html", output.data["text/plain"]) for output in outputs]
    titles = ["quotes for 100.00 usd", "VerificationSession", *["Page of 1 objects"] * 2, "[1, 1]"]
    assert len(shown) == len(titles)
    assert all(title in text for title, text in zip(titles, shown, strict=True))
    assert "CANARY" not in str(shown)
