"""Every command of the table of calls, once, against the sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from inspect import isfunction, signature
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from pinstripe import AsyncClient
from pinstripe._resources.resource import Resource
from pinstripe.cli._calls.commands import words_of
from pinstripe.cli._calls.table import CALLS, GROUPS
from pinstripe.sandbox import Sandbox

Command = Callable[..., int]
Captured = pytest.CaptureFixture[str]

# Calls that have no command, and why.
NO_COMMAND = {
    "crypto.onramp_quotes.retrieve_many": "`quotes batch` reads and writes files",
}

# The words after the name of each command; what is in braces is there already.
WORDS = {
    "identity.verification_sessions.create": "--type document --metadata user=42",
    "identity.verification_sessions.retrieve": "{session} --expand last_verification_report",
    "identity.verification_sessions.update": "{session} --metadata user=43",
    "identity.verification_sessions.list": "--status verified --created-gte 2020-01-01",
    "identity.verification_sessions.cancel": "{session} --yes",
    "identity.verification_sessions.redact": "{verified} --yes",
    "identity.verification_sessions.wait": "{verified} --until verified --timeout 9",
    "identity.verification_sessions.wait_for_redaction": "{redacted} --timeout 9",
    "identity.verification_reports.retrieve": "{report}",
    "identity.verification_reports.list": "--verification-session {verified}",
    "crypto.onramp_sessions.create": "--source-amount 100 --source-currency usd",
    "crypto.onramp_sessions.retrieve": "{onramp}",
    "crypto.onramp_sessions.list": "--status initialized",
    "crypto.onramp_sessions.wait": "{bought} --until fulfillment_complete --timeout 9",
    "crypto.onramp_quotes.retrieve": "--source-amount 100 --destination-currencies usdc",
    "climate.orders.create": "--product {product} --metric-tons 1.5 --yes",
    "climate.orders.retrieve": "{order} --expand product",
    "climate.orders.update": "{order} --beneficiary.public-name Ada",
    "climate.orders.list": "--limit 1",
    "climate.orders.cancel": "{order} --yes",
    "climate.orders.wait": "{canceled} --until canceled --timeout 9",
    "climate.products.retrieve": "{product}",
    "climate.products.list": "",
    "climate.suppliers.retrieve": "{supplier}",
    "climate.suppliers.list": "--max-items 2",
    "events.retrieve": "{event}",
    "events.fetch_related": "{thin}",
    "events.list": "--type identity.* --created-lte 2100-01-01",
    "files.create": "--file {page} --purpose dispute_evidence --file-link-data.create",
    "files.retrieve": "{file}",
    "files.list": "--purpose dispute_evidence",
    "files.download": "{file} {copy}",
    "files.read": "{file}",
    "files.download_images": "{report} {images} --api-key-file {restricted}",
    "file_links.create": "--file {file} --expires-at 2100-01-01",
    "file_links.retrieve": "{link}",
    "file_links.update": "{link} --expires-at now",
    "file_links.list": "--file {file}",
    "file_links.download": "{link} {other_copy}",
    "forwarding.requests.create": "--payment-method pm_card_visa --url {receiver} "
    "--replacements card_number --body {forward}",
    "forwarding.requests.retrieve": "{forwarded}",
    "forwarding.requests.list": "--created-lt 2100-01-01",
    "webhook_endpoints.create": "--url https://example.com/ --enabled-events file.created",
    "webhook_endpoints.retrieve": "{endpoint}",
    "webhook_endpoints.update": "{endpoint} --disabled",
    "webhook_endpoints.list": "",
    "webhook_endpoints.delete": "{endpoint} --yes",
    "v2.core.event_destinations.create": "--name ledger --type webhook_endpoint "
    "--event-payload thin --enabled-events v1.file.created --webhook-endpoint.url https://a.example",
    "v2.core.event_destinations.retrieve": "{destination} --include webhook_endpoint.url",
    "v2.core.event_destinations.update": "{destination} --description mine",
    "v2.core.event_destinations.list": "--limit 1",
    "v2.core.event_destinations.delete": "{destination} --yes",
    "v2.core.event_destinations.disable": "{destination}",
    "v2.core.event_destinations.enable": "{destination}",
    "v2.core.event_destinations.ping": "{destination}",
    "v2.core.events.list": "--object-id {verified}",
    "v2.core.events.retrieve": "{thin}",
}


def calls_of(resource: Resource) -> set[str]:
    members = vars(type(resource)).items()
    return {name for name, it in members if isfunction(it) and not name.startswith("_")}


def test_every_call_of_every_resource_is_in_the_table() -> None:
    client, found = AsyncClient("sk_test_1"), set(NO_COMMAND)
    for path in GROUPS:
        resource = attrgetter(path)(client)
        if isinstance(resource, Resource):
            found |= {f"{path}.{name}" for name in calls_of(resource)}
    assert found - set(NO_COMMAND) == set(CALLS)
    assert set(WORDS) == set(CALLS), "give each new command a line above"


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with Sandbox(seed=7) as sandbox:
        yield sandbox


@pytest.fixture
def world(shared: Sandbox, tmp_path: Path) -> dict[str, Any]:
    """The ids of one object of each kind, and the paths of files."""
    page, forward, restricted = (tmp_path / name for name in ("page.pdf", "body.json", "key"))
    page.write_bytes(b"%PDF-1.4\n%%EOF\n")
    forward.write_text(json.dumps({"request": {"body": '{"number": ""}'}}))
    restricted.write_text(shared.restricted_key)
    shared.reset()
    with shared.sync_client() as stripe:
        sessions = stripe.identity.verification_sessions
        session, verified, redacted = (sessions.create(type="document") for _ in range(3))
        for one in (verified, redacted):
            shared.identity.verify(one.id)
        sessions.redact(redacted.id)
        product = stripe.climate.products.list().first().data[0]
        order = stripe.climate.orders.create(product=product.id, metric_tons=1)
        canceled = stripe.climate.orders.create(product=product.id, metric_tons=1)
        stripe.climate.orders.cancel(canceled.id)
        file = stripe.files.create(file=page, purpose="dispute_evidence")
        receiver = f"{shared.url}/_sandbox/health"
        forwarded = stripe.forwarding.requests.create(
            payment_method="pm_card_visa",
            url=receiver,
            replacements=["card_number"],
            request={"body": '{"number": ""}'},
        )
        endpoint = stripe.webhook_endpoints.create(
            url="https://example.com/", enabled_events=["file.created"]
        )
        verified = stripe.identity.verification_sessions.retrieve(verified.id)
        onramp, bought = (stripe.crypto.onramp_sessions.create() for _ in range(2))
        shared.crypto.complete(bought.id)
        destination = stripe.v2.core.event_destinations.create(
            name="ledger",
            type="webhook_endpoint",
            event_payload="thin",
            enabled_events=["v1.file.created"],
            webhook_endpoint={"url": "https://a.example"},
        )
        (thin, *_) = stripe.v2.core.events.list(object_id=verified.id).first().data
        link = stripe.file_links.create(file=file.id)
        event = stripe.events.list().first().data[0]
    return {
        "session": session.id,
        "verified": verified.id,
        "redacted": redacted.id,
        "canceled": canceled.id,
        "bought": bought.id,
        "destination": destination.id,
        "thin": thin.id,
        "report": verified.last_verification_report,
        "onramp": onramp.id,
        "product": product.id,
        "supplier": product.suppliers[0].id,
        "order": order.id,
        "event": event.id,
        "file": file.id,
        "link": link.id,
        "forwarded": forwarded.id,
        "endpoint": endpoint.id,
        "receiver": receiver,
        "page": page,
        "forward": forward,
        "restricted": restricted,
        "copy": tmp_path / "copy",
        "other_copy": tmp_path / "other copy",
        "images": tmp_path / "images",
    }


@pytest.mark.parametrize("path", CALLS)
def test_a_command_does_what_its_call_does(
    *,
    path: str,
    shared: Sandbox,
    world: dict[str, Any],
    pinstripe: Command,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Captured,
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", shared.api_key)
    monkeypatch.setenv("PINSTRIPE_BASE_URL", shared.url)
    words = [word.format(**world) for word in WORDS[path].split()]
    gives = CALLS[path][1]
    as_json = ["--json"] if gives in ("list", "object") else []
    status = pinstripe(*words_of(path).split(), *words, *as_json)
    out, err = capfd.readouterr()
    assert (status, err) == (0, "")
    if gives == "bytes":
        assert out == world["page"].read_text()
    elif gives == "paths":
        assert [Path(line) for line in out.splitlines() if Path(line).is_file()]
    else:
        rows = [json.loads(line) for line in out.splitlines()]
        assert rows
        assert all("object" in row for row in rows)
        assert "metadata" not in rows[0], "private fields are hidden"


@pytest.mark.parametrize("path", [*CALLS, *GROUPS])
def test_help_says_what_there_is(path: str, pinstripe: Command, capfd: Captured) -> None:
    assert pinstripe(*words_of(path).split(), "-h") == 0
    out = capfd.readouterr().out
    assert out.startswith(f"Usage: pinstripe {words_of(path)} ")
    assert "`" not in out
    if path in CALLS:
        call = attrgetter(path)(AsyncClient("sk_test_1"))
        for name in set(signature(call).parameters) - {"request_options"}:
            word = name.replace("_", "-")
            assert f"--{word}" in out or word.upper() in out, name
        for variable in ("STRIPE_API_KEY", "PINSTRIPE_BASE_URL"):
            assert variable in out
        assert "exit status" in out
