"""What a worker of Dask is given in place of settings: a function that it can import."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any


def from_worker() -> Mapping[str, Any]:
    return {"api_key": os.environ["WORKERS_OWN_KEY"], "base_url": os.environ["WORKERS_OWN_URL"]}


def nothing() -> Mapping[str, Any]:
    return {"api_key": ""}
