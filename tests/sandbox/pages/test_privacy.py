"""What the console hides: the private fields of the client's models."""

from __future__ import annotations

from pinstripe.sandbox._pages.privacy import private_fields, private_params
from pinstripe.sandbox._server import KINDS


def test_every_kind_of_the_api_says_what_is_private() -> None:
    kinds = {kind.name for kind in KINDS}
    assert set(private_fields()) == kinds - {"sandbox.webhook_delivery"}


def test_private_fields_are_found_at_every_depth() -> None:
    fields = private_fields()
    session = fields["identity.verification_session"]
    assert session["verified_outputs"] is True
    assert session["client_secret"] is True
    assert "status" not in session
    report = fields["identity.verification_report"]["document"]
    assert isinstance(report, dict)
    assert report["number"] is True
    assert "status" not in report
    assert fields["webhook_endpoint"]["secret"] is True


def test_a_field_that_says_what_it_is_is_left_to_its_own_kind() -> None:
    assert "suppliers" not in private_fields()["climate.product"]
    assert "product" not in private_fields()["climate.order"]


def test_parameters_with_private_values() -> None:
    named = private_params()
    assert {"metadata", "provided_details", "kyc_details", "wallet_addresses", "body"} <= named
    assert {"email", "number", "return_url", "url"} <= named
    assert not {"type", "status", "limit", "source_amount", "product"} & named
