"""Handlers that ask for the object of an event in a class of their own."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool
from typing_extensions import TypedDict

from pinstripe import ConfigurationError, DecodeError, Hooks
from pinstripe.events import Event, EventOf, ThinEvent, VerificationSessionVerified
from pinstripe.pytest_plugin import SECRET, StripeEvent
from pinstripe.webhooks import Router, SQLAlchemyStore, Webhook, delivery_of, parse_event
from tests.support.clean import PRIVATE, check_clean

pytestmark = pytest.mark.anyio

VERIFIED = "identity.verification_session.verified"
PAID = "payment_intent.succeeded"

stripe_event = StripeEvent()


@frozen
class PaymentIntent:
    id: str
    amount: int
    created: datetime


@frozen
class Session:
    id: str
    brand_new: int


class SessionDict(TypedDict):
    object: str


def payment(**changes: Any) -> dict[str, Any]:
    intent = {"id": "pi_1", "object": "payment_intent", "amount": 500, "created": 1_790_510_912}
    return {
        "id": "evt_1",
        "object": "event",
        "created": 1_790_510_912,
        "data": {"object": {**intent, **changes}, "previous_attributes": {"amount": 400}},
        "type": PAID,
    }


def delivered(event: dict[str, Any]) -> tuple[bytes, str]:
    body = json.dumps(event).encode()
    return body, Webhook(SECRET).sign(body)


async def test_a_handler_gets_the_object_in_its_class() -> None:
    names: list[str] = []
    router = Router(
        Webhook(SECRET), hooks=Hooks(on_handler=lambda info: names.append(info.handler))
    )
    called: list[Any] = []

    @router.on(PAID, "payment_intent.created", into=PaymentIntent)
    async def paid(event: EventOf[PaymentIntent]) -> None:
        called.append(event)

    @router.on(PAID, into=PaymentIntent)
    def plain(event: EventOf[PaymentIntent]) -> None:
        called.append(event)

    router.on(Event)(called.append)
    body, signature = delivered(payment())
    receipt = await router.receive(body, signature)
    assert receipt.ending == "handled"
    typed, again, event = called
    time = datetime(2026, 9, 27, 12, 8, 32, tzinfo=timezone.utc)
    assert typed.data.object == again.data.object == PaymentIntent("pi_1", 500, time)
    assert (typed.id, typed.type, typed.created) == ("evt_1", PAID, time)
    assert typed.data.previous_attributes == {"amount": 400}
    assert delivery_of(typed).body == body
    assert type(typed) is EventOf
    assert isinstance(typed, Event)
    assert type(event) is Event
    assert event.data.object["amount"] == 500
    assert [name.rpartition(".")[2] for name in names] == ["paid", "plain", "append"]


async def test_hooks_name_the_handler_in_a_transaction_of_a_blocking_database_too(
    tmp_path: Path,
) -> None:
    names: list[str] = []
    store = SQLAlchemyStore(create_engine(f"sqlite:///{tmp_path / 'app.db'}", poolclass=NullPool))
    store.create_tables()
    hooks = Hooks(on_handler=lambda info: names.append(info.handler))
    router = Router(Webhook(SECRET), store, hooks=hooks)
    called: list[Any] = []

    @router.on(PAID, into=PaymentIntent)
    def paid(event: EventOf[PaymentIntent]) -> None:
        called.append(event.data.object.id)

    assert (await router.receive(*delivered(payment()))).ending == "handled"
    assert called == ["pi_1"]
    assert [name.rpartition(".")[2] for name in names] == ["paid"]


async def test_an_object_that_does_not_fit_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    router = Router(Webhook(SECRET))
    router.on(PAID, into=PaymentIntent)(lambda _: pytest.fail("was called"))
    receipt = await router.receive(*delivered(payment(amount=PRIVATE)))
    assert (receipt.ending, receipt.status) == ("failed", 500)
    assert isinstance(receipt.error, DecodeError)
    assert receipt.error.path == "$.data.object.amount"
    says = "not a PaymentIntent: Expected `int`, got `str` at $.data.object.amount"
    assert receipt.text == receipt.error.message == says
    check_clean(receipt.error)
    assert PRIVATE not in caplog.text


async def test_with_allow_plain_it_is_handed_over_as_it_came() -> None:
    router = Router(Webhook(SECRET), allow_plain=True)
    called: list[Any] = []
    router.on(PAID, into=PaymentIntent)(called.append)
    assert (await router.receive(*delivered(payment(amount=PRIVATE)))).ending == "handled"
    assert [type(event) for event in called] == [Event]


async def test_an_object_with_a_model_here_is_read_with_all_of_its_fields() -> None:
    router = Router(Webhook(SECRET))
    called: list[Any] = []
    router.on(VERIFIED, into=Session)(called.append)
    router.on(VERIFIED, into=SessionDict)(called.append)
    session = stripe_event(VERIFIED).data["object"]
    event = stripe_event(VERIFIED, object={**session, "brand_new": 5})
    assert (await router.receive(event.body, event.signature)).ending == "handled"
    assert called[0].data.object.brand_new == 5
    assert called[1].data.object == {"object": "identity.verification_session"}
    # The message of a bus has the event inside; an event that was made by hand has no body.
    called.clear()
    await router.dispatch(parse_event({"detail": json.loads(event.body)}))
    assert called[0].data.object.brand_new == 5
    named = Router(Webhook(SECRET), name="dicts")
    named.on(VERIFIED, into=SessionDict)(called.append)
    made = parse_event(event.body)
    assert isinstance(made, VerificationSessionVerified)
    fields = {name: getattr(made, name) for name in made.__struct_fields__}
    await named.dispatch(VerificationSessionVerified(**fields))
    assert called[-1].data.object == {"object": "identity.verification_session"}


async def test_its_own_class_decides_and_not_the_model_here() -> None:
    router = Router(Webhook(SECRET))
    called: list[Any] = []
    router.on(VERIFIED, into=SessionDict)(called.append)
    event = stripe_event(VERIFIED, metadata=None)
    assert (await router.receive(event.body, event.signature)).ending == "handled"
    assert called[0].data.object["object"] == "identity.verification_session"


async def test_a_thin_event_has_no_object() -> None:
    router = Router(Webhook(SECRET))
    router.on("odd.type", into=PaymentIntent)(lambda _: pytest.fail("was called"))
    thin = ThinEvent(id="evt_1", created=datetime.now(timezone.utc), type="odd.type")
    with pytest.raises(DecodeError, match="a thin event has no object"):
        await router.dispatch(thin)


@pytest.mark.parametrize(
    ("kinds", "into"),
    [
        ([Event], PaymentIntent),
        ([PAID, VerificationSessionVerified], PaymentIntent),
        (["v1.billing.meter.no_meter_found"], PaymentIntent),
        ([PAID], 5),
        ([PAID], type),
    ],
)
def test_what_no_object_can_be_is_refused(kinds, into) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Router(Webhook(SECRET)).on(*kinds, into=into)
    assert refused.value.argument == "into"


def test_a_handler_for_a_class_must_be_a_function() -> None:
    with pytest.raises(ConfigurationError) as refused:
        Router(Webhook(SECRET)).on(PAID, into=PaymentIntent)(5)  # type: ignore[arg-type]
    assert refused.value.argument == "handler"
