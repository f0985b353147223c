"""What the reports of a call and of its requests say, in the fields of `_config.infos`."""

from __future__ import annotations

from typing import Any

from pinstripe._core.errors import TransportError
from pinstripe._core.redaction import clean_request_id
from pinstripe._http.messages import Request, Response
from pinstripe._http.retry import Attempts


def facts_of(request: Request, attempts: Attempts) -> dict[str, Any]:
    """Return the fields that all reports of a call have.

    Args:
        request: What the call sends.
        attempts: The attempts of the call.
    """
    return {"call": attempts.call, "method": request.method, "path": request.template}


def end_of_request(result: Response | TransportError) -> dict[str, Any]:
    """Return the fields that say how a request ended.

    Args:
        result: The answer, or the error in its place.
    """
    if isinstance(result, TransportError):
        return {"error": type(result).__name__}
    return {"status": result.status, "request_id": clean_request_id(result.request_id)}
