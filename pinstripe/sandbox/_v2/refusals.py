"""The refusals that only `/v2` has.

Choices where the published facts are silent: one object too many is a 400 of the type
`quota_exceeded`, which has that as its code too.
"""

from __future__ import annotations

from pinstripe.sandbox._params.errors import Refusal, shortened


def not_found(kind: str, id: str) -> Refusal:
    """Return the refusal of an id that no stored object has.

    Args:
        kind: The kind of the object.
        id: The id in the path.
    """
    text = f"No such {kind}: '{shortened(id)}'"
    return Refusal(text, status=404, code="not_found")


def quota_exceeded(message: str) -> Refusal:
    """Return the refusal of one object too many.

    Args:
        message: What is allowed.
    """
    return Refusal(message, type="quota_exceeded", code="quota_exceeded")
