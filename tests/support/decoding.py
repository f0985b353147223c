"""Answers of the API, as a test writes them down."""

import json
from typing import Any

from pinstripe._models.convert import decode


def read(data: Any, model: Any) -> Any:
    """Return the model that an answer with this data is read as."""
    return decode(json.dumps(data).encode(), model)
