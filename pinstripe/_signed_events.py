"""Signed events, as a webhook receives them: what the fixture `stripe_event` builds."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from typing import Any, Final

import attrs
from attrs import field, frozen

from pinstripe._config.options import DEFAULT_API_VERSION
from pinstripe._core.checks import check_field_names
from pinstripe._core.errors import ConfigurationError
from pinstripe._event_samples import SAMPLED, Sample, sample
from pinstripe._models.convert import to_dict
from pinstripe._models.record import Model
from pinstripe._signature import sign

SECRET: Final = "whsec_pinstripe_pytest_plugin"  # noqa: S105 -- signs nothing but tests
"""The secret that events are signed with; give it to the code under test."""


@frozen(kw_only=True)
class SignedEvent:
    """An event as a webhook receives it.

    Attributes:
        event: The event, as plain data.
        body: The body of the request.
        signature: The `Stripe-Signature` header.
        secret: The secret that signed it.
    """

    event: dict[str, Any] = field(repr=lambda event: f"<{event['type']} {event['id']}>")
    body: bytes = field(repr=False)
    signature: str = field(repr=False)
    secret: str = field(repr=False)

    @property
    def id(self) -> str:
        """The id of the event."""
        value: str = self.event["id"]
        return value

    @property
    def type(self) -> str:
        """The type of the event."""
        value: str = self.event["type"]
        return value

    @property
    def data(self) -> dict[str, Any]:
        """The data of the event: its `object`, and the `previous_attributes` of an update."""
        value: dict[str, Any] = self.event["data"]
        return value

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the request."""
        return {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": self.signature,
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }


@frozen
class StripeEvent:
    """Builds signed events; the value of the fixture `stripe_event`.

        event = stripe_event("identity.verification_session.verified", metadata={"user": "42"})
        response = app.post("/webhook", content=event.body, headers=event.headers)

    Attributes:
        secret: The secret that events are signed with, unless the call names another.
    """

    secret: str = field(default=SECRET, repr=False)

    def __call__(
        self,
        type: str,
        /,
        *,
        object: Mapping[str, Any] | Model | None = None,
        previous_attributes: Mapping[str, Any] | None = None,
        event: Mapping[str, Any] | None = None,
        secret: str | None = None,
        timestamp: int | None = None,
        **fields: Any,
    ) -> SignedEvent:
        """Return a new signed event; each has an id of its own.

        Args:
            type: The type of the event. An event of one of Pinstripe's resources has a sample as
                its object; any other needs an `object`.
            object: The object of the event, in place of the sample: a model, or plain data such as
                the drivers of the sandbox return.
            previous_attributes: The values that an update replaced.
            event: Fields of the event itself, such as `{"account": "acct_1"}`.
            secret: The secret to sign with. The code under test must refuse an event that is
                signed with a secret it does not know.
            timestamp: When the event is signed, in seconds since the Unix epoch; now by default.
                Give an early one for a delivery that is too old.
            fields: Fields of the object, in place of those of the sample or of `object`.

        Raises:
            ConfigurationError: An argument is wrong, such as an unknown type or field.
        """
        if not isinstance(type, str) or not type.rpartition(".")[0]:
            raise ConfigurationError("type", "must be the type of an event, such as file.created")
        now = int(time.time()) if timestamp is None else timestamp
        about = _object_of(type, object, now)
        _check_fields(about.object, fields)
        replaced = about.previous_attributes if previous_attributes is None else previous_attributes
        data: dict[str, Any] = {"object": {**about.object, **fields}}
        if replaced is not None:
            data["previous_attributes"] = dict(replaced)
        # https://docs.stripe.com/api/events/object
        whole = {
            "id": f"evt_{_random_id()}",
            "object": "event",
            "api_version": DEFAULT_API_VERSION,
            "created": now,
            "data": data,
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": type,
            **(event or {}),
        }
        # Stripe sends its events indented, so code that parses and writes them again fails here.
        body = json.dumps(whole, indent=2, ensure_ascii=False).encode()
        key = self.secret if secret is None else secret
        return SignedEvent(event=whole, body=body, signature=sign(body, key, now), secret=key)


def _object_of(type: str, given: Mapping[str, Any] | Model | None, now: int) -> Sample:
    """Return the object of an event: the one that is given, or the sample of the type."""
    if given is not None:
        return Sample(dict(given) if isinstance(given, Mapping) else to_dict(given))
    found = sample(type, now, _random_id())
    if found is None:
        known = ", ".join(sorted(SAMPLED))
        problem = (
            f"is not a type with a sample; give its object with object=, or use one of {known}"
        )
        raise ConfigurationError("type", f"{problem}; got {type!r}")
    return found


def _check_fields(object: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
    """Refuse fields that the object cannot have: a misspelled one would change nothing."""
    from pinstripe.events import _MODELS  # noqa: PLC0415 -- slow, so only when needed

    model = _MODELS.get(object.get("object", ""))
    # Of an object that Pinstripe does not know, nobody can say which fields it has.
    if model is None:
        return
    known = {attribute.name for attribute in attrs.fields(model)}
    check_field_names(fields, known, object["object"])


def _random_id() -> str:
    return uuid.uuid4().hex[:24]
