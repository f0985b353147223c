"""What every room's tests share."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# The first text that hypothesis draws builds its table of Unicode, which takes a second: neither
# that nor a busy machine is a fault of what is tested.
settings.register_profile("pinstripe", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("pinstripe"), max_examples=20)
settings.load_profile("pinstripe")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
