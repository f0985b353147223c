"""What the sandbox answers when it says no: one exception that carries an error envelope.

Every refusal has the envelope `{"error": {"type", "code", "message", "param", "doc_url"}}`, where
what is null is left out. Codes come from the published list where there is one; where the
published facts are silent the room that refuses says in its docstring what it chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

INVALID_REQUEST = "invalid_request_error"
IDEMPOTENCY = "idempotency_error"
API = "api_error"

DOC_ROOT = "https://stripe.com/docs/error-codes/"

_PARAM_SHOWN = 255


@attrs.define
class Refusal(Exception):
    """A request that the sandbox does not carry out.

    Args:
        message: a sentence for the developer; names the culprit, holds no personal data.
        status: HTTP status of the answer.
        type: the error type of the envelope.
        code: the error code, None where the API has none.
        param: the bracket path of the parameter at fault, such as `options[document]`.
        headers: headers that the answer carries besides the usual ones.
    """

    message: str
    status: int = 400
    type: str = INVALID_REQUEST
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])

    def __str__(self) -> str:
        return self.message

    def envelope(self) -> dict[str, Any]:
        """Return the JSON object of the answer."""
        fields = {
            "code": self.code,
            "doc_url": self.code and DOC_ROOT + self.code.replace("_", "-"),
            "message": self.message,
            "param": self.param,
            "type": self.type,
        }
        return {"error": {name: value for name, value in fields.items() if value is not None}}


def shortened(text: str) -> str:
    """Return text cut to a length that is fit for a message or the `param` field."""
    return text if len(text) <= _PARAM_SHOWN else text[:_PARAM_SHOWN] + "…"


def invalid(message: str, param: str | None = None, code: str | None = None) -> Refusal:
    """Return a 400 for a request that cannot be accepted.

    Args:
        message: what is wrong.
        param: bracket path of the parameter.
        code: the error code, None where the API has none.
    """
    return Refusal(message, code=code, param=None if param is None else shortened(param))


def missing(name: str, id: str, param: str, status: int = 404) -> Refusal:
    """Return the refusal for an id under which nothing is stored.

    Args:
        name: type of the object, such as `identity.verification_session`.
        id: the id that was asked for.
        param: the parameter that carried it.
        status: 404 for the object of the path, 400 for one named by a parameter.
    """
    text = f"No such {name}: '{shortened(id)}'"
    return Refusal(text, status=status, code="resource_missing", param=param)
