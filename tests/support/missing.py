"""What a test needs from the machine, and what happens where that is missing."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def leave_out(missing: str) -> NoReturn:
    """Skip a test, or fail it where nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)
