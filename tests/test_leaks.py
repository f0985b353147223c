"""The leak walk: marked values in every field of every model, looked for in all that is shown.

What is private is said twice, by the `Private[...]` of a model and by what is left out of the
table here, so that a new model or field fails until somebody has decided about it. Private is
what tells who somebody is or where he lives, what opens something (a secret, or an address that
can hold one), what goes to or comes from a forwarding destination, and whatever the caller's own
system keeps at Stripe (metadata, references).
"""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import attrs
import msgspec
import pytest
from attrs import define, field

import pinstripe
from pinstripe import (
    AsyncClient,
    DecodeError,
    Page,
    PinstripeError,
    Request,
    Response,
    response_of,
    to_dict,
)
from pinstripe._models.convert import decode, structure
from pinstripe._models.page import LinkedPage
from pinstripe._models.record import Model, attach_response
from pinstripe._resources.walk import Created, Paging, start_walk
from pinstripe.bulk import Outcome
from pinstripe.identity import VerificationSession, VerificationSessions
from pinstripe.v2 import EventDestination
from tests.support import leaks
from tests.support.models import ANSWERS, MODELS, is_amount

# The fields that are shown; each other field has to be private.
EVENT = "id object account api_version context created data livemode pending_webhooks request type"
TYPED = """FileCreated OnrampSessionUpdated OrderCanceled OrderCreated OrderDelayed OrderDelivered
    OrderProductSubstituted ProductCreated ProductPricingUpdated VerificationSessionCanceled
    VerificationSessionCreated VerificationSessionProcessing VerificationSessionRedacted
    VerificationSessionRequiresInput VerificationSessionVerified"""

PUBLIC: dict[str, str] = {
    **dict.fromkeys(TYPED.split(), EVENT),
    "AmazonEventbridge": "aws_account_id aws_event_source_arn aws_event_source_status",
    "AzureEventGrid": """azure_partner_topic_name azure_partner_topic_status azure_region
        azure_resource_group_name azure_subscription_id""",
    "DeletedEventDestination": "id object",
    "DeletedWebhookEndpoint": "id object deleted",
    "DestinationDisabled": "reason",
    "DestinationWebhookEndpoint": "",
    "EventDestination": """id object amazon_eventbridge azure_event_grid created description
        enabled_events event_payload events_from livemode name snapshot_api_version status
        status_details type updated webhook_endpoint""",
    "StatusDetails": "disabled",
    "DeliveredEvent": EVENT,
    "Event": EVENT,
    "EventData": "",
    "EventRequest": "id idempotency_key",
    "RelatedObject": "id type url",
    "ThinEvent": """id object context created livemode reason related_object snapshot_event
        type""",
    "ThinEventReason": "type request",
    "EventOf": EVENT,
    "File": "id object created expires_at links purpose size type url",
    "FileLink": "id object created expired expires_at file livemode",
    "ForwardingHeader": "name",
    "ForwardingRequest": """id object created livemode payment_method replacements
        request_context request_details response_details""",
    "ForwardingRequestContext": "destination_duration",
    "ForwardingRequestDetails": "http_method",
    "ForwardingResponseDetails": "status",
    "IdentityAddress": "",
    "IdentityDate": "",
    "IdentityDocumentOptions": """allowed_types require_id_number require_live_capture
        require_matching_selfie""",
    "IdentityIdNumberOptions": "",
    "IdentityMatchingOptions": "dob name",
    "IdentityRequireVerification": "require_verification",
    "Location": "city country latitude longitude region",
    "OnrampQuote": """id destination_amount destination_currency destination_network fees
        source_total_amount""",
    "OnrampQuoteFees": "network_fee_monetary transaction_fee_monetary",
    "Quotes": """id object destination_network_quotes livemode rate_fetched_at
        source_amount source_currency""",
    "OnrampSession": "id object created livemode status transaction_details kyc_details_provided",
    "OnrampSessionFees": "network_fee_amount transaction_fee_amount",
    "OnrampTransactionDetails": """destination_amount destination_currencies
        destination_currency destination_network destination_networks fees last_error
        lock_wallet_address settlement_speed source_amount source_currency""",
    "Order": """id object amount_fees amount_subtotal amount_total canceled_at
        cancellation_reason confirmed_at created currency delayed_at delivered_at
        delivery_details expected_delivery_year livemode metric_tons product
        product_substituted_at status""",
    "OrderBeneficiary": "",
    "OrderDeliveryDetail": "delivered_at location metric_tons registry_url supplier",
    "Message": "object",
    "LinkedPage": "object data has_more url next_page_url previous_page_url",
    "Page": "object data has_more url",
    "Payload": "object",
    "Product": """id object created current_prices_per_metric_ton delivery_year livemode
        metric_tons_available name suppliers""",
    "ProductPrice": "amount_fees amount_subtotal amount_total",
    "ReportDocument": "status type error files",
    "ReportEmail": "status error",
    "ReportIdNumber": "status id_number_type error",
    "ReportOptions": "document id_number",
    "ReportPhone": "status error",
    "ReportSelfie": "status error document selfie",
    "Supplier": "id object info_url livemode locations name removal_pathway",
    "VerificationError": "code reason",
    "VerificationReport": """id object created livemode type verification_flow
        verification_session document email id_number options phone selfie""",
    "VerificationSession": """id object created livemode status type last_error
        last_verification_report options redaction related_customer related_customer_account
        related_person verification_flow""",
    "VerificationSessionOptions": "document email id_number matching phone",
    "VerificationSessionProvidedDetails": "",
    "VerificationSessionRedaction": "status",
    "VerificationSessionRelatedPerson": "account person",
    "VerificationSessionVerifiedOutputs": "id_number_type",
    "WebhookEndpoint": """id object created livemode status enabled_events api_version
        application description""",
}
KEY = "sk_test_CANARYkey4eC39HqLyjWDarjt"


def fields_of(kind: Any) -> dict[str, bool]:
    """The fields of a model, and whether each is private."""
    return {a.name: not a.repr for a in attrs.fields(getattr(kind, "__origin__", kind))}


@pytest.mark.parametrize("name", sorted(MODELS.keys() | PUBLIC.keys()))
def test_somebody_has_decided_about_every_field(name) -> None:
    assert name in MODELS, f"{name} is no model any more"
    assert name in PUBLIC, f"{name} is new: say here which of its fields are shown"
    shown = {field for field, private in fields_of(MODELS[name]).items() if not private}
    assert shown == set(PUBLIC[name].split())


@define
class Forge:
    """Makes plain data for a type, with a mark of its own in each value that is private.

    Which member of a union is built goes by `variant`.
    """

    variant: int = 0
    made: int = 0
    marks: set[str] = field(factory=set)
    inside: list[Any] = field(factory=list)

    def model(self, kind: Any, *, private: bool = False) -> dict[str, Any]:
        info: Any = msgspec.inspect.type_info(kind)
        known = fields_of(kind)
        self.inside.append(kind)
        plain = {
            # To msgspec `has_more` can be anything; the model lets only a bool through.
            f.encode_name: f.name == "has_more"
            or self.value(f.type, private=private or known[f.name])
            for f in info.fields
            if f.name in known
        }
        self.inside.pop()
        return plain

    def value(self, node: msgspec.inspect.Type, *, private: bool) -> Any:
        match node:
            case msgspec.inspect.StructType(cls=kind):
                return self.model(kind, private=private)
            case msgspec.inspect.UnionType() if is_amount(node):
                return self._leaf(node, private=private)
            case msgspec.inspect.UnionType(types=types):
                return self.value(self._member(types), private=private)
            case msgspec.inspect.LiteralType(values=words):
                return words[0]
            case msgspec.inspect.VarTupleType(item_type=inner):
                return [self.value(inner, private=private) for _ in range(2)]
            case msgspec.inspect.DictType(value_type=inner):
                return {self.text(private=private): self.value(inner, private=private)}
            case msgspec.inspect.AnyType():
                return self._any(private=private)
            case msgspec.inspect.Metadata(type=inner):
                return self.value(inner, private=private)
            case _:
                return self._leaf(node, private=private)

    def _member(self, types: tuple[msgspec.inspect.Type, ...]) -> msgspec.inspect.Type:
        kinds = [type(node) for node in types]
        dropped = {msgspec.inspect.NoneType}
        if msgspec.inspect.StrType in kinds:  # an open vocabulary: no word of it can be marked
            dropped.add(msgspec.inspect.LiteralType)
        members = [
            node
            for node in types
            if type(node) not in dropped and getattr(node, "cls", None) not in self.inside
        ]
        return members[self.variant % len(members)]

    def _any(self, *, private: bool) -> Any:
        if self.variant % 2:
            return self.model(VerificationSession, private=private)
        return {"object": "of.no.model", self.text(private=private): self.text(private=private)}

    def text(self, *, private: bool) -> str:
        self.made += 1
        text = f"CANARY{self.made}é" if private else f"public{self.made}"
        if private:
            self.marks |= {text, ascii(text)[1:-1]}
        return text

    def _leaf(self, node: msgspec.inspect.Type, *, private: bool) -> Any:
        number = 1_771_000_000 + self.made
        self.made += 1
        match node:
            case msgspec.inspect.StrType():
                return self.text(private=private)
            case msgspec.inspect.BoolType():
                return True  # nothing that could be looked for
            case msgspec.inspect.UnionType():
                value, marks = f"{number}.25", {f"{number}.25"}
            case msgspec.inspect.DateTimeType():
                moment = datetime.fromtimestamp(number, timezone.utc)
                value, marks = number, {str(moment), repr(moment), str(number)}
            case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
                value, marks = number, {str(number)}
            case _:
                raise AssertionError(node)
        self.marks |= marks if private else set()
        return value


def kind_of(name: str) -> Any:
    kind: Any = MODELS[name]
    if kind is LinkedPage:
        return LinkedPage[EventDestination]
    return Page[VerificationSession] if kind is Page else kind


def filled(name: str, variant: int) -> tuple[Any, dict[str, Any], set[str]]:
    """A model, plain data that fills each of its fields, and the marks in it."""
    kind = kind_of(name)
    forge = Forge(variant)
    plain = forge.model(kind)
    return kind, plain, forge.marks


ANSWER = Response(status=200, headers={"X": "CANARYheader"}, body=b"CANARYbody")
OF_THE_ANSWER = {"CANARYheader", "CANARYbody"}


def model_of(kind: Any, plain: dict[str, Any]) -> Any:
    made = decode(json.dumps(plain).encode(), kind)
    if isinstance(made, Model):
        attach_response(ANSWER, made)
    return made


def compared(config: pytest.Config, left: Any, right: Any) -> leaks.Shown:
    """What pytest prints of an assertion that two models are equal."""
    told = config.hook.pytest_assertrepr_compare(config=config, op="==", left=left, right=right)
    assert told, (left, right)
    yield "assertion", "\n".join(told[0])


VARIANTS = range(3)


@pytest.mark.uncounted
def test_no_model_shows_what_is_private(pytestconfig, capsys) -> None:
    walk, marked = leaks.Walk(), 0
    for name in MODELS:
        for variant in VARIANTS:
            kind, plain, marks = filled(name, variant)
            made = model_of(kind, plain)
            marked += len(marks)
            walk.look(name, marks | OF_THE_ANSWER, leaks.of_value(made))
            others = Forge(variant, made=10_000)
            other = model_of(kind, others.model(kind))
            marks |= others.marks | OF_THE_ANSWER
            walk.look(name, marks, compared(pytestconfig, made, other))
    leaks.tell(capsys, f"{len(MODELS)} models, {marked} marks, {walk.places} places")
    assert not walk.hits
    assert marked > 500
    assert walk.places > 1500


def test_the_walk_finds_what_is_shown() -> None:
    """A walk that looks for what is public finds it in each channel: none is blind."""
    session = model_of(*filled("VerificationSession", 0)[:2])
    walk = leaks.Walk()
    walk.look("session", [session.id], leaks.of_value(session))
    blind = {"vars", "reprlib", "asyncio"}  # no `__dict__`; and what is cut down to 30 characters
    assert len(walk.hits) == walk.places - len(blind)
    error = PinstripeError("CANARY")
    walk = leaks.Walk()
    walk.look("error", ["CANARY"], leaks.of_error(error))
    assert len(walk.hits) == walk.places - 2  # no notes


@pytest.mark.uncounted
@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_copy_of_a_model_is_its_data_and_never_the_answer_it_came_from(name) -> None:
    kind, plain, marks = filled(name, 0)
    made = model_of(kind, plain)
    pickled = pickle.dumps(made)
    assert not any(mark.encode() in pickled for mark in OF_THE_ANSWER)
    for twin in (pickle.loads(pickled), copy.copy(made), copy.deepcopy(made)):
        assert twin == made
    everything = json.dumps(to_dict(made), ensure_ascii=False)
    assert all(
        mark in everything for mark in marks if mark.startswith("CANARY") and "\\" not in mark
    )


def test_there_is_one_way_to_have_everything() -> None:
    asked = {"reveal", "to_dict", "as_dict", "asdict", "dict", "json", "to_json", "dump"}
    doors = {name for kind in MODELS.values() for name in dir(kind)} | set(dir(pinstripe))
    assert doors & asked == {"to_dict"}


# --- what does not fit its model ----------------------------------------------------------------

WRONG: tuple[Any, ...] = ({"CANARYkey": "CANARYvalue"}, ["CANARYitem"], "CANARYtext", 1771.7713)
WRONG_MARKS = ("CANARY", "1771.7713")


def places_in(plain: Any) -> Iterator[tuple[Any, ...]]:
    """Every path into plain data."""
    yield ()
    inner = plain.items() if isinstance(plain, dict) else enumerate(plain)
    for key, value in inner if isinstance(plain, (dict, list)) else ():
        for path in places_in(value) if isinstance(value, (dict, list)) else ((),):
            yield (key, *path)


def changed(plain: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    twin = plain.copy()
    twin[path[0]] = changed(plain[path[0]], path[1:], value)
    return twin


def refusals(name: str) -> Iterator[PinstripeError]:
    """The errors of a model whose data is wrong, one place and one wrong value at a time."""
    kind, plain, _ = filled(name, 1)
    for path in places_in(plain):
        for wrong in WRONG:
            damaged = changed(plain, path, wrong)
            try:
                if wrong is WRONG[0]:
                    structure(damaged, kind)
                else:
                    decode(json.dumps(damaged).encode(), kind)
            except DecodeError as error:
                yield error


@pytest.mark.uncounted
def test_no_error_of_a_decoder_shows_a_value(capsys) -> None:
    walk, errors = leaks.Walk(), 0
    for name in ANSWERS:
        for error in refusals(name):
            errors += 1
            assert error.path.startswith("$")
            walk.look(f"{name}{error.path}", WRONG_MARKS, leaks.of_error(error))
    leaks.tell(capsys, f"{errors} decode errors, {walk.places} places")
    assert not walk.hits
    assert errors > 1000


# --- what else stands between floors ------------------------------------------------------------

PARAMS = {"client_reference_id": "CANARYreference", "metadata": {"a": "CANARYmetadata"}}
REQUEST = Request(
    method="POST",
    path="/v1/x/CANARYpath",
    template="/v1/x/{x}",
    query="a=CANARYquery",
    body=b"a=CANARYbody",
    headers={"Authorization": "CANARYheader", "Idempotency-Key": "key_visible"},
)
WALK = start_walk(VerificationSessions._LIST, PARAMS, Paging(None, None, None, None, None), None)


def client() -> AsyncClient:
    return AsyncClient(KEY)


def carriers() -> dict[str, Any]:
    """What holds the key, or what was sent or came, by name."""
    stripe = client()
    page = model_of(*filled("Page", 0)[:2])
    return {
        "client": stripe,
        "sibling": stripe.with_options(timeout=3),
        "config": stripe._config,
        "pipeline": stripe._send.__self__,
        "transport": stripe._shared.transport,
        "shared": stripe._shared,
        "resource": stripe.identity.verification_sessions,
        "product": stripe.identity,
        "request": REQUEST,
        "response": ANSWER,
        "walk": WALK,
        "pager": stripe.identity.verification_sessions.list(client_reference_id="CANARYreference"),
        "outcome": Outcome(0, PARAMS, page),
        "failed outcome": Outcome(0, PARAMS, None, PinstripeError("it failed")),
        "created": Created(gte=datetime(2026, 1, 1, tzinfo=timezone.utc)),
        "page": page,
    }


@pytest.mark.parametrize("name", carriers())
def test_nothing_that_carries_the_key_or_data_shows_it(name) -> None:
    walk = leaks.Walk()
    shown = (one for one in leaks.of_value(carriers()[name]) if one[0] != "vars")
    walk.look(name, ["CANARY"], shown)
    assert not walk.hits
    assert walk.places > 10


@pytest.mark.uncounted
@pytest.mark.parametrize(
    "name",
    [
        *("client", "sibling", "config", "pipeline", "transport", "shared"),
        *("resource", "product", "request", "response", "pager"),
    ],
)
@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_no_copy_leaves_with_the_key_or_the_wire(name, copied) -> None:
    value = carriers()[name]
    if copied is copy.copy and name not in ("client", "sibling", "config", "request", "response"):
        return  # a shallow copy of what only refers to them holds the same objects
    walk = leaks.Walk()
    walk.look(name, ["CANARY"], leaks.of_refusal(lambda: copied(value)))
    assert not walk.hits
    with pytest.raises(TypeError):
        copied(value)


def test_a_page_is_pickled_without_the_answer() -> None:
    page = model_of(*filled("Page", 0)[:2])
    assert response_of(page) is ANSWER
    pickled = pickle.dumps(Outcome(0, "input", page))
    assert not any(mark.encode() in pickled for mark in OF_THE_ANSWER)
    assert pickle.loads(pickled).unwrap() == page


BAD_KEYS = [f" {KEY}", f"{KEY}\n", f"{KEY}é", f"pk_test_{KEY}", "CANARY", f"whsec_{KEY}"]


@pytest.mark.parametrize("key", BAD_KEYS, ids=range(len(BAD_KEYS)))
@pytest.mark.parametrize("make", [AsyncClient, lambda key: AsyncClient(api_key=key)])
def test_a_wrong_key_is_shown_nowhere(key, make) -> None:
    with pytest.raises(PinstripeError) as caught:
        make(key)
    walk = leaks.Walk()
    walk.look("a wrong key", ["CANARY"], leaks.of_error(caught.value))
    assert not walk.hits
