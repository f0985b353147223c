"""The error answers of the sandbox: one exception that carries an error envelope.

Every refusal has the envelope `{"error": {"type", "code", "message", "param", "doc_url"}}`; null
fields are left out. The codes come from the published list if it has one that fits. If the
published facts are silent, the module that refuses says in its docstring what it chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, field

INVALID_REQUEST = "invalid_request_error"
IDEMPOTENCY = "idempotency_error"
API = "api_error"

DOC_ROOT = "https://stripe.com/docs/error-codes/"

# Own choice: long enough for every real path, short enough that an answer cannot be blown up.
_MAX_QUOTED = 255


@define
class Refusal(Exception):
    """A request that the sandbox refuses.

    Args:
        message: A sentence for the developer; it names what is wrong and holds no personal data.
        status: The HTTP status of the answer.
        type: The error type of the envelope.
        code: The error code; None if the API has none.
        param: The bracket path of the wrong parameter, such as `options[document]`.
        headers: Headers of the answer besides the usual ones.
    """

    message: str
    status: int = 400
    type: str = INVALID_REQUEST
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(factory=dict[str, str])

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
    """Return text from a request, cut to a length that fits into a message or into `param`."""
    return text if len(text) <= _MAX_QUOTED else text[:_MAX_QUOTED] + "…"


def invalid(message: str, param: str | None = None, code: str | None = None) -> Refusal:
    """Return a 400 for a request that cannot be accepted.

    Args:
        message: What is wrong.
        param: The bracket path of the parameter.
        code: The error code; None if the API has none.
    """
    return Refusal(message, code=code, param=None if param is None else shortened(param))


def missing(name: str, id: str, param: str, status: int = 404) -> Refusal:
    """Return the refusal of an id that no stored object has.

    Args:
        name: The type of the object, such as `identity.verification_session`.
        id: The id that the request named.
        param: The parameter that held the id.
        status: 404 for the object of the path, 400 for an object that a parameter names.
    """
    text = f"No such {name}: '{shortened(id)}'"
    return Refusal(text, status=status, code="resource_missing", param=param)
