"""Samples: every model has one, and takes what a test gives it."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal

import pytest

from pinstripe import Page, from_dict, to_dict
from pinstripe.climate import Order, Supplier
from pinstripe.crypto import OnrampSession, OnrampTransactionDetails
from pinstripe.identity import VerificationReport, VerificationSession
from pinstripe.testing import sample
from tests.support.models import MODELS


# The event of a payload becomes one of another class.
@pytest.mark.parametrize("name", sorted(MODELS.keys() - {"DeliveredEvent"}))
def test_every_model_has_a_sample(name: str) -> None:
    kind = Page[VerificationSession] if name == "Page" else MODELS[name]
    made = sample(kind)
    assert isinstance(made, getattr(kind, "__origin__", kind))
    assert from_dict(kind, to_dict(made)) == made


@pytest.mark.parametrize(
    "status", ["requires_input", "processing", "verified", "canceled", "brand_new"]
)
def test_a_status_brings_what_belongs_to_it(status: str) -> None:
    session = sample(VerificationSession, status=status)
    assert session.status == status
    assert (session.verified_outputs is not None) <= (status == "verified")


def test_fields_are_models_times_and_amounts() -> None:
    when = datetime(2026, 1, 2, tzinfo=timezone.utc)
    order = sample(Order, created=when, metric_tons=Decimal("1.5"), metadata={"a": "b"})
    assert (order.created, order.metric_tons, order.metadata) == (when, Decimal("1.5"), {"a": "b"})
    details = OnrampTransactionDetails(destination_currency="usdc")
    assert sample(OnrampSession, transaction_details=details).transaction_details == details
    report = sample(VerificationReport, id="vr_1")
    session = sample(VerificationSession, last_verification_report=report)
    assert session.last_verification_report == report
    page = sample(Page[Supplier], data=[sample(Supplier, id="climsup_1")])
    assert [supplier.id for supplier in page.data] == ["climsup_1"]
